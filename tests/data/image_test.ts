/** Tests of decoding: every kind of file against Pillow's pixels, and everything that is wrong. */
import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { decodeImage, type RgbImage } from "../../data/image.ts";
import { Random } from "../../data/random.ts";
import { fromBase64, GOLDEN, goldenImage, readSafetensors, sharedPath } from "./helpers.ts";

interface Awkward {
  files: Record<string, { file: string; width: number; height: number; rgb: string }>;
}
const awkward: Awkward = JSON.parse(
  Deno.readTextFileSync(new URL("awkward_images.json", GOLDEN)),
);

function largestDifference(image: RgbImage, expected: Uint8Array): number {
  assertEquals(image.data.length, expected.length);
  return image.data.reduce((most, byte, i) => Math.max(most, Math.abs(byte - expected[i]!)), 0);
}

for (const [name, { file, width, height, rgb }] of Object.entries(awkward.files)) {
  const tolerance = name === "j_cmyk.jpg" ? 3 : 0; // another decoder's inverse DCT
  Deno.test(`decodeImage() gives Pillow's pixels for ${name}`, async () => {
    const image = await decodeImage(fromBase64(file), name);
    assertEquals([image.width, image.height], [width, height]);
    assertLessOrEqual(largestDifference(image, fromBase64(rgb)), tolerance);
  });
}

for (
  const [name, { shape, data }] of readSafetensors(
    new URL("images/decoded_rgb.safetensors", GOLDEN),
  )
) {
  Deno.test(`decodeImage() gives the golden pixels of ${name}`, async () => {
    const image = await decodeImage(goldenImage(name), name);
    assertEquals([image.height, image.width, 3], shape);
    assertEquals(largestDifference(image, data), 0);
  });
}

const photos = sharedPath("data/photos");
Deno.test({
  name: "decodeImage() decodes every photo or says what is wrong with it",
  ignore: !photos,
  async fn() {
    const refused: Record<string, string> = {
      "chessboard_GRAY_U16.tif": "a TIFF file",
      "multipage_rgb.tif": "a TIFF file",
      "truncated.jpg": "Premature end of JPEG file",
    };
    let decoded = 0;
    for (const { name } of Deno.readDirSync(photos!)) {
      const bytes = Deno.readFileSync(`${photos}/${name}`);
      if (refused[name]) {
        await assertRejects(() => decodeImage(bytes, name), SyntaxError, refused[name]);
      } else {
        const { width, height, data } = await decodeImage(bytes, name);
        assertEquals(data.length, width * height * 3);
        assert(new Set(data).size > 1, `${name} has one value only`);
        decoded++;
      }
    }
    assertEquals(decoded, 17);
  },
});

const wrong: [string, Uint8Array, string][] = [
  ["empty.png", new Uint8Array(), "an empty file"],
  ["text.png", new TextEncoder().encode("This is not a picture: été."), "a text file"],
  ["noise.png", Uint8Array.of(0xfe, 0xdc, 0x00, 0x01, 0xff), "fe dc 00 01 ff"],
  ["a.bmp", new TextEncoder().encode("BM\0\0\0\0"), "a BMP file"],
  ["a.tif", new TextEncoder().encode("II*\0\0\0\0\0"), "a TIFF file"],
];
for (const [name, bytes, found] of wrong) {
  Deno.test(`decodeImage() names ${name} and finds ${found}`, async () => {
    const error = await assertRejects(() => decodeImage(bytes, name), SyntaxError, found);
    assert(error.message.includes(name) && error.message.includes("PNG, JPEG, GIF or WebP"));
  });
}

const WHOLE: Record<string, Uint8Array> = {
  PNG: goldenImage("0_rgb.png"),
  JPEG: goldenImage("5_photo.jpg"),
  CMYK: fromBase64(awkward.files["j_cmyk.jpg"]!.file),
  WebP: fromBase64(awkward.files["w_lossy.webp"]!.file),
  "lossless WebP": fromBase64(awkward.files["w_lossless.webp"]!.file),
  GIF: fromBase64(awkward.files["g_plain.gif"]!.file),
};

for (const [kind, bytes] of Object.entries(WHOLE)) {
  Deno.test(`decodeImage() refuses a ${kind} file cut anywhere`, async () => {
    await decodeImage(bytes, kind);
    for (const share of [0.02, 0.1, 0.3, 0.5, 0.7, 0.9, 0.97]) {
      const cut = bytes.subarray(0, Math.floor(bytes.length * share));
      await assertRejects(() => decodeImage(cut, `cut ${kind}`), SyntaxError, `cut ${kind}`);
    }
    await decodeImage(bytes, kind); // and decodes a whole one right after
  });

  Deno.test(`decodeImage() survives flipped bits in a ${kind} file`, async () => {
    const random = new Random(7);
    let errors = 0;
    for (let round = 0; round < 60; round++) {
      const damaged = bytes.slice();
      for (let flips = 0; flips < 3; flips++) {
        damaged[random.below(damaged.length)]! ^= 1 << random.below(8);
      }
      try {
        const { width, height, data } = await decodeImage(damaged, "damaged", 1_000_000);
        assertEquals(data.length, width * height * 3);
      } catch (error) {
        assert(error instanceof SyntaxError || error instanceof RangeError, String(error));
        errors++;
      }
    }
    if (kind === "PNG") assertEquals(errors, 60); // checksums find every flip
  });
}

/** A PNG header that declares a size, without a checksum: it is to be refused before that. */
function pngOfSize(width: number, height: number): Uint8Array {
  const bytes = goldenImage("0_rgb.png").slice();
  const view = new DataView(bytes.buffer);
  view.setUint32(16, width);
  view.setUint32(20, height);
  return bytes;
}

function patched(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
}

function frameHeaderAt(bytes: Uint8Array): number {
  return bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
}

Deno.test("decodeImage() refuses absurd and empty declared sizes before decoding", async () => {
  const jpeg = WHOLE["JPEG"]!;
  const files: [string, Uint8Array][] = [
    ["100000x100000", pngOfSize(100_000, 100_000)],
    ["0x5", pngOfSize(0, 5)],
    ["65535x65535", patched(jpeg, frameHeaderAt(jpeg) + 5, 255, 255, 255, 255)],
    ["0x0", patched(jpeg, frameHeaderAt(jpeg) + 5, 0, 0, 0, 0)],
    ["65535x65535", patched(WHOLE["GIF"]!, 6, 255, 255, 255, 255)],
    ["16383x16383", patched(WHOLE["WebP"]!, 26, 255, 255, 255, 255)],
    ["16384x16384", patched(WHOLE["lossless WebP"]!, 21, 255, 255, 255, 255)],
  ];
  for (const [size, bytes] of files) {
    await assertRejects(() => decodeImage(bytes, "bomb"), RangeError, `declared size of ${size}`);
  }
});

Deno.test("decodeImage() takes its size limit as an argument", async () => {
  const bytes = goldenImage("0_rgb.png"); // 97 x 61
  await decodeImage(bytes, "a", 97 * 61);
  await assertRejects(() => decodeImage(bytes, "a", 97 * 61 - 1), RangeError, "97x61");
});

Deno.test("decodeImage() decodes many JPEG files at once without mixing them up", async () => {
  const cut = WHOLE["JPEG"]!.subarray(0, 4000);
  const results = await Promise.allSettled(
    [WHOLE["JPEG"]!, cut, WHOLE["JPEG"]!, cut].map((bytes) => decodeImage(bytes, "a")),
  );
  assertEquals(results.map((r) => r.status), ["fulfilled", "rejected", "fulfilled", "rejected"]);
});
