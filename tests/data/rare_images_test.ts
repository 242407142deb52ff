/**
 * Tests of the kinds of pictures that people have and that a decoder easily gets wrong: what Pillow
 * makes of each as it is, turned upright, and laid over white.
 */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { crc32, gunzipSync } from "node:zlib";
import { decodeImage, decodePlain, type RgbImage } from "../../data/image.ts";
import { overWhite } from "../../data/rgb_image.ts";
import { BREAKAGES, breakFile, type Structure } from "./breakage.ts";
import { bytesOf, fromBase64, GOLDEN, goldenImage } from "./helpers.ts";
import { Random } from "../../data/random.ts";

interface Rare {
  file: string;
  plain: string;
  upright: string;
  overWhite: string;
}
const { files }: { files: Record<string, Rare> } = JSON.parse(
  Deno.readTextFileSync(new URL("rare_images.json", GOLDEN)),
);

/** Size and hash as in the golden file. */
async function summary({ width, height, data }: RgbImage): Promise<string> {
  const hash = await crypto.subtle.digest("SHA-256", data.slice());
  return `${width}x${height} ${new Uint8Array(hash).toHex().slice(0, 16)}`;
}

const KINDS = {
  b: "BMP",
  c: "found",
  e: "turned",
  g: "GIF",
  j: "JPEG",
  p: "PNG",
  t: "TIFF",
  w: "WebP",
};

for (const [letter, kind] of Object.entries(KINDS)) {
  const ofKind = Object.entries(files).filter(([name]) => name.startsWith(letter));
  Deno.test(`${ofKind.length} rare ${kind} files are read as Pillow reads them`, async () => {
    assert(ofKind.length > 0);
    for (const [name, { file, ...right }] of ofKind) {
      const bytes = fromBase64(file);
      const upright = await decodeImage(bytes, name);
      const found = {
        plain: await summary(await decodePlain(bytes, name)),
        upright: await summary(upright),
        overWhite: await summary(overWhite(upright)),
      };
      assertEquals(found, right, name);
    }
  });
}

Deno.test("HEIC and AVIF files, as phones take pictures, are read upright", async () => {
  const { files } = JSON.parse(Deno.readTextFileSync(new URL("heif_images.json", GOLDEN)));
  // Libraries differ in how they spread a colour over the two by two pixels that it is stored for.
  for (const kind of Object.keys(files)) {
    const mostLevels = kind === "heic" ? 1 : 16;
    const { file, width, height, rgb } = files[kind];
    const found = await decodeImage(fromBase64(file), kind);
    assertEquals([found.width, found.height], [width, height]);
    const levels = fromBase64(rgb).map((byte, i) => Math.abs(byte - found.data[i]!));
    assert(Math.max(...levels) <= mostLevels, `${kind}: ${Math.max(...levels)} levels`);
    const cut = fromBase64(file).subarray(0, 400);
    await assertRejects(() => decodeImage(cut, kind), SyntaxError, "cut short");
    await assertRejects(() => decodeImage(cut.subarray(0, 32), kind), SyntaxError, "in its header");
  }
});

Deno.test("a whole TIFF file of a kind that is not read is not called damaged", async () => {
  const open = (packing: number, colours: number) => {
    const tags = [[0, 2], [1, 2], [2, 8], [3, packing], [6, colours]] as const;
    const entries = tags.flatMap(([tag, value]) => [tag, 1, 3, 0, 1, 0, 0, 0, value, 0, 0, 0]);
    return decodeImage(bytesOf("II*\0\x08\0\0\0\x05\0", entries, "\0\0\0\0"), "a.tif");
  };
  const lab = await assertRejects(
    () => open(1, 8),
    SyntaxError,
    "the CIE Lab space, expected a TIFF",
  );
  const packed = await assertRejects(() => open(99, 2), SyntaxError, "number 99, expected a TIFF");
  for (const { message } of [lab, packed]) assert(message.endsWith("as PNG, or leave it out."));
});

Deno.test("damaged EXIF data leave the picture as it is", async () => {
  const jpeg = goldenImage("5_photo.jpg");
  const { data } = await decodeImage(jpeg, "photo");
  for (const tiff of ["", "II", "II*\0\xff\xff\xff\xff", "MM\0*\0\0\0\x08\xff\xff", "rubbish"]) {
    const exif = bytesOf("\xff\xe1\0", [8 + tiff.length], "Exif\0\0", tiff);
    const file = bytesOf(jpeg.subarray(0, 2), exif, jpeg.subarray(2));
    assertEquals((await decodeImage(file, "photo")).data, data);
  }
});

Deno.test("XMP says the orientation where EXIF does not", async () => {
  const jpeg = goldenImage("5_photo.jpg");
  const { width, height } = await decodeImage(jpeg, "photo");
  const xmp = 'http://ns.adobe.com/xap/1.0/\0<x tiff:Orientation="6"/>';
  const file = bytesOf(jpeg.subarray(0, 2), "\xff\xe1\0", [2 + xmp.length], xmp, jpeg.subarray(2));
  const turned = await decodeImage(file, "photo");
  assertEquals([turned.width, turned.height], [height, width]);
});

Deno.test("decodeImage() refuses what would take over a gigabyte, at once", async () => {
  const png = goldenImage("0_rgb.png");
  const header = (width: number, height: number, depth: number, colourType: number) => {
    const copy = png.slice();
    const view = new DataView(copy.buffer);
    view.setUint32(16, width);
    view.setUint32(20, height);
    copy.set([depth, colourType], 24);
    view.setUint32(29, crc32(copy.subarray(12, 29)));
    return copy;
  };
  const start = performance.now();
  const bombs: [Uint8Array, string][] = [
    [header(178_956_970, 1, 8, 2), "65535 a side"],
    [header(1, 178_956_970, 1, 0), "65535 a side"],
    [header(13_377, 13_377, 8, 2), "at most 166666666 pixels in a PNG file"],
    [header(13_377, 13_377, 16, 6), "at most 83333333 pixels"],
  ];
  for (const [bytes, found] of bombs) {
    await assertRejects(() => decodeImage(bytes, "bomb"), RangeError, found);
  }
  assert(performance.now() - start < 1000);
});

/** A file without parts that are known, as far as breaking it goes. */
const UNKNOWN: Structure = {
  pieces: (bytes) =>
    [0, 1, 2, 3].map((i) => ({
      start: Math.floor(i * bytes.length / 4),
      end: Math.floor((i + 1) * bytes.length / 4),
    })),
  numbers: (bytes) =>
    Array.from(
      { length: 30 },
      (_, i) => ({ at: Math.min(2 * i, bytes.length - 4), bytes: 2, littleEndian: true }),
    ),
  repair: (bytes) => bytes,
};

Deno.test("broken files of rare kinds are pictures or errors, and the next is as ever", async () => {
  const names = ["b2_rle8.bmp", "b2_24top.bmp", "c_j_cmyk_noadobe.jpg", "t_1_group4.tif"]
    .concat("t_RGB_tiff_lzw.tif", "t_P_raw.tif", "t2_tile_be.tif", "t_RGB_jpeg.tif")
    .concat("t2_tile_lzw_be.tif", "t_RGB_zstd.tif", "t2_pred_le.tif");
  const counts = { picture: 0, error: 0 };
  for (let i = 0; i < 240; i++) {
    const name = names[i % names.length]!;
    const { file, plain } = files[name]!;
    const random = new Random(3, i);
    const how = BREAKAGES[i % BREAKAGES.length]!;
    const broken = breakFile(fromBase64(file), UNKNOWN, { how, random });
    const start = performance.now();
    try {
      const { width, height, data } = await decodeImage(broken, "broken");
      assertEquals(data.length, 3 * width * height, `${name} ${i}, ${how}`);
      counts.picture++;
    } catch (error) {
      assert(error instanceof SyntaxError || error instanceof RangeError, `${name} ${i}: ${error}`);
      counts.error++;
    }
    assert(performance.now() - start < 5000, `${name} ${i}, ${how}`);
    assertEquals(await summary(await decodeImage(fromBase64(file), name)), plain, `after ${i}`);
  }
  assert(counts.picture > 0 && counts.error > 0, JSON.stringify(counts));
});

Deno.test("a TIFF file of more or smaller tiles than any real one is refused at once", async () => {
  for (const side of [0, 1]) {
    const tags = [[256, 9000], [257, 9000], [258, 8], [259, 1], [262, 1], [277, 1]]
      .concat([[322, side], [323, side], [324, 8], [325, 1]]);
    const entries = tags.flatMap(([tag = 0, value = 0]) => [
      ...[tag & 255, tag >> 8, 4, 0, 1, 0, 0, 0],
      ...[value & 255, value >> 8, 0, 0],
    ]);
    const tiff = bytesOf("II*\0\x08\0\0\0", [tags.length, 0], entries, [0, 0, 0, 0]);
    const found = `strips or tiles of ${side}x${side} pixels`;
    await assertRejects(() => decodeImage(tiff, "tiles"), SyntaxError, found);
  }
});

/** An AVIF file of two frames by Pillow 13, the second one filled with zeros at its end; compressed. */
const TWO_FRAMES =
  "H4sIAAAAAAACA41TvU8UQRR/s0fMhRx6AQxqgByGgoKCvcrCGOAMkBBCRWK77uyyAzvMZGfYnIbiiPFPoJaa3v/A0EJlLGyJJnZa" +
  "WRh5szsLy3J8vGTyPmd+7/32LQDMhvqd9FKmAAV1aGyuQpcp8YKz0OXMC9cW3EVM/+KB9iCXqYjGibVBMl9DRR5KpnlmETyTLBa+" +
  "cV4bn+TR2hnq53hmGNsJL2qfoRM41vPSObcjYpFhbTGZSNSrTPoC9ShTMrB4zeJI1mUmUKvX66gaXup29qFhQiO+iJMdP+7iy0Pw" +
  "oIehMSZ5MRM2NkCcDwMAzjEXIsVQl6cRJTb/w/26dKlrP/9bMX2S8uykwkXFn4dbBaudJZ1422hHejvDJ9fx89hFD3A7Zt8eCs5w" +
  "DQKqzQpMB7HSFq+44Vx9gxxxygxls5zezE1xd+PLvdaFbPB8BUZTHtFKu9M0z43TJAhLrTR2k7iV2+Sx0m9jtA+UVrRU89Es0A2U" +
  "mOGbsIJ6pagYXFhfa3UEAm72/zhPMqrvWKqm76tswj17SemM3aIJx+pxbNYvxau59yVgx/4rE4YkpbP9h9J/hDGlKm8tc+rpYRgc" +
  "Mv6nv59/t6YOT3vtR034Dn9OXs68+Qav3CAahvbTuVqv96/fwOc7PzlSJAQAAA==";

Deno.test("of a film in an AVIF file only the first frame is looked at", async () => {
  const { width, height } = await decodeImage(gunzipSync(fromBase64(TWO_FRAMES)), "film");
  assertEquals([width, height], [16, 16]);
});
