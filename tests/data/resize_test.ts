/** Tests of resizing against Pillow's pixels, bit for bit. */
import { assertEquals, assertStrictEquals, assertThrows } from "@std/assert";
import { resize } from "../../data/resize.ts";
import type { RgbImage } from "../../data/image.ts";
import { toPixels } from "../../data/processor.ts";
import { GOLDEN, readSafetensors, sharedPath } from "./helpers.ts";

const images = new URL("images/", GOLDEN);

function goldenRgb(): Map<string, RgbImage> {
  const decoded = readSafetensors(new URL("decoded_rgb.safetensors", images));
  return new Map(
    [...decoded].map(([name, { shape, data }]) => [
      name,
      { height: shape[0]!, width: shape[1]!, data },
    ]),
  );
}

/** Checks every tensor of a file: U8 is the pixels times 255, F32 the pixels themselves. */
function checkAgainst(url: URL | string): number {
  let compared = 0;
  for (const [name, { dtype, shape, data }] of readSafetensors(url)) {
    const side = shape[1]!;
    const pixels = toPixels(resize(goldenRgb().get(name)!, side, side), { mean: 0, std: 1 });
    if (dtype === "F32") assertEquals(pixels, new Float32Array(data.buffer), name);
    else assertEquals(Uint8Array.from(pixels, (value) => Math.round(value * 255)), data, name);
    compared++;
  }
  return compared;
}

Deno.test("resize() matches Pillow bit for bit at 64 x 64", () => {
  assertEquals(checkAgainst(new URL("v01_resize_64.safetensors", images)), 7);
});

const large = sharedPath("golden/images/v01_resize_224.safetensors");
Deno.test({
  name: "resize() matches Pillow bit for bit from one line to 224 x 224",
  ignore: !large,
  fn: () => assertEquals(checkAgainst(large!), 1),
});

Deno.test("resize() returns a picture of the right size as it is", () => {
  const image = { width: 2, height: 1, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
  assertStrictEquals(resize(image, 2, 1), image);
});

Deno.test("resize() keeps a plain colour through shrinking and growing", () => {
  const image = { width: 13, height: 7, data: new Uint8Array(13 * 7 * 3).fill(201) };
  for (const [width, height] of [[1, 1], [3, 50], [29, 2]] as const) {
    assertEquals(resize(image, width, height).data, new Uint8Array(width * height * 3).fill(201));
  }
});

Deno.test("resize() refuses sizes that are no whole numbers from 1 on", () => {
  const image = { width: 1, height: 1, data: new Uint8Array(3) };
  for (const size of [0, -1, 1.5, NaN]) assertThrows(() => resize(image, size, 4), RangeError);
});
