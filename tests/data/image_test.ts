/** Tests of decoding: every kind of file against Pillow's pixels, and everything that is wrong. */
import { assert, assertEquals, assertLessOrEqual, assertRejects } from "@std/assert";
import { decodeImage, decodePlain, type RgbImage } from "../../data/image.ts";
import { Random } from "../../data/random.ts";
import { STRUCTURES } from "./breakage.ts";
import {
  animateWebp,
  bytesOf,
  fromBase64,
  GOLDEN,
  goldenImage,
  readSafetensors,
  sharedPath,
} from "./helpers.ts";

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
  Deno.test(`decodeImage() gives Pillow's pixels for ${name}`, async () => {
    const image = await decodeImage(fromBase64(file), name);
    assertEquals([image.width, image.height], [width, height]);
    assertEquals(largestDifference(image, fromBase64(rgb)), 0);
  });
}

for (
  const [name, { shape, data }] of readSafetensors(
    new URL("images/decoded_rgb.safetensors", GOLDEN),
  )
) {
  Deno.test(`decodePlain() gives the golden pixels of ${name}`, async () => {
    const image = await decodePlain(goldenImage(name), name);
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
      "multipage_rgb.tif": "64 bits a colour", // Pillow does not read it either
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
    assertEquals(decoded, 18);
  },
});

const text = (content: string) => new TextEncoder().encode(content);
const wrong: [string, Uint8Array, string][] = [
  ["empty.png", new Uint8Array(), "an empty file"],
  ["text.png", new TextEncoder().encode("This is not a picture: été."), "a text file"],
  ["noise.png", Uint8Array.of(0xfe, 0xdc, 0x00, 0x01, 0xff), "fe dc 00 01 ff"],
  ["a.mp4", text("\0\0\0\x20ftypisom\0\0\0\0"), "an MP4 or like file"],
  ["a.jxl", Uint8Array.of(0xff, 0x0a, 1, 2, 3), "a JPEG XL file"],
  [
    "a.svg",
    text('<?xml version="1.0"?>\n<svg xmlns="http://www.w3.org/2000/svg"/>'),
    "an SVG file",
  ],
  ["page.jpg", text("<!DOCTYPE html><html>Not found</html>"), "an HTML page"],
  ["lfs.png", text("version https://git-lfs.github.com/spec/v1\noid sha256:0"), "Git LFS"],
];
for (const [name, bytes, found] of wrong) {
  Deno.test(`decodeImage() names ${name} and finds ${found}`, async () => {
    const error = await assertRejects(() => decodeImage(bytes, name), SyntaxError, found);
    assert(
      error.message.includes(name) &&
        error.message.includes("PNG, JPEG, GIF, WebP, TIFF, BMP, HEIC or AVIF"),
    );
    const advice = name === "lfs.png"
      ? "git lfs pull"
      : /svg|jxl|noise/.test(name)
      ? "by: magick FILE FILE.png"
      : "Fetch it again, or leave it out.";
    assert(error.message.endsWith(advice), error.message);
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

/** A PNG whose chunks' checksums fit again. */
function withChecksums(bytes: Uint8Array): Uint8Array {
  return STRUCTURES.PNG.repair(bytes);
}

function patched(bytes: Uint8Array, at: number, ...values: number[]): Uint8Array {
  const copy = bytes.slice();
  copy.set(values, at);
  return copy;
}

function frameHeaderAt(bytes: Uint8Array): number {
  return bytes.findIndex((byte, i) => byte === 0xff && bytes[i + 1] === 0xc0);
}

/** The place of a GIF's first frame. */
function gifFrameAt(bytes: Uint8Array): number {
  return bytes.findIndex((byte, i) => i > 12 && byte === 0x2c && bytes[i - 1] === 0);
}

Deno.test("decodeImage() refuses a file that hides a large picture, at once", async () => {
  const jpeg = fromBase64(awkward.files["j_prog.jpg"]!.file);
  const gif = WHOLE["GIF"]!;
  const size = [0x33, 0x33, 0x33, 0x33]; // 13,107 x 13,107 in either order of bytes
  const frameAt = jpeg.findIndex((byte, i) => byte === 0xff && jpeg[i + 1] === 0xc2);
  const scanAt = jpeg.lastIndexOf(0xda) - 1;
  const scan = jpeg.subarray(scanAt, -2);
  const end = jpeg.subarray(-2);
  const scans = Array.from({ length: 120 }, () => scan);
  const still = WHOLE["lossless WebP"]!;
  const frame = { width: 24, height: 16 };
  const huge = { width: 16384, height: 16384 };
  const hidden = patched(still, 21, 0xff, 0xff, 0xff, 0x0f); // its VP8L says 16,384 x 16,384
  const deep = pngOfSize(11_000, 11_000);
  const files: [string, Uint8Array][] = [
    ["too few for its", patched(jpeg, frameAt + 5, 0x11, 0x11, 0x33, 0x33)],
    ["scans, more than 100", bytesOf(jpeg.subarray(0, -2), ...scans, end)],
    ["too few for a frame", patched(gif, gifFrameAt(gif) + 5, ...size)],
    ["gives up on", animateWebp([hidden], frame, { width: 40, height: 40 })],
    ["beyond the 26x40 canvas", animateWebp([still], frame, { width: 26, height: 40 })],
    ["beyond the 40x40 canvas", animateWebp([hidden], huge, { width: 40, height: 40 })],
    ["two IHDR chunks", withChecksums(bytesOf(pngOfSize(9, 9).subarray(0, 33), deep.subarray(8)))],
    ["at most", withChecksums(deep)],
  ];
  for (const [found, bytes] of files) {
    const start = performance.now();
    await assertRejects(() => decodeImage(bytes, "bomb"), SyntaxError, found);
    assertLessOrEqual(performance.now() - start, 500, found);
  }
});

for (const name of ["w_lossy.webp", "w_alpha.webp", "w_lossless.webp", "w_alpha_ll.webp"]) {
  Deno.test(`decodeImage() shows the first frame of an animation of ${name} on black`, async () => {
    const first = fromBase64(awkward.files[name]!.file);
    const { width, height, data } = await decodeImage(first, name);
    const other = WHOLE[name === "w_lossy.webp" ? "lossless WebP" : "WebP"]!;
    const canvas = { width: 33, height: 21 };
    const animation = await decodeImage(
      animateWebp([first, other], { width, height }, canvas),
      name,
    );
    assertEquals([animation.width, animation.height], [33, 21]);
    for (let y = 0; y < 21; y++) {
      for (let x = 0; x < 33; x++) {
        const isIn = x >= 4 && x < 4 + width && y >= 2 && y < 2 + height;
        const from = ((y - 2) * width + x - 4) * 3;
        const expected = isIn ? data.slice(from, from + 3) : new Uint8Array(3);
        assertEquals(animation.data.slice((y * 33 + x) * 3, (y * 33 + x + 1) * 3), expected);
      }
    }
  });
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
