/** Tests of prompts and of the way from a file to the encoder's numbers. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { ImageProcessor, mmstarPrompt, toPixels, vqaPrompt } from "../../data/processor.ts";
import { GOLDEN, goldenImage, readSafetensors } from "./helpers.ts";

Deno.test("prompts are written as nanoVLM v0.1 writes them", () => {
  assertEquals(vqaPrompt("What?"), "Question: What? Answer:");
  assertEquals(
    mmstarPrompt("Pick"),
    "Question: Pick \nAnswer only with the letter! \nAnswer:",
  );
});

Deno.test("toPixels() gives torchvision's ToTensor: channels first, float32 of byte / 255", () => {
  const image = { width: 2, height: 1, data: Uint8Array.of(0, 1, 2, 100, 254, 255) };
  assertEquals(
    toPixels(image, { mean: 0, std: 1 }),
    Float32Array.of(0, 100 / 255, 1 / 255, 254 / 255, 2 / 255, 1),
  );
});

Deno.test("toPixels() rounds byte / 255 once, for every byte", () => {
  const image = { width: 256, height: 1, data: Uint8Array.from({ length: 768 }, (_, i) => i / 3) };
  const once = Float32Array.from({ length: 768 }, (_, i) => (i % 256) / 255);
  assertEquals(toPixels(image, { mean: 0, std: 1 }), once);
});

Deno.test("toPixels() subtracts the mean and divides by the deviation", () => {
  const image = { width: 1, height: 1, data: Uint8Array.of(0, 51, 255) };
  assertEquals(toPixels(image, { mean: 0.5, std: 0.5 }), Float32Array.of(-1, -0.6, 1));
});

Deno.test("ImageProcessor goes from a file to the golden numbers", async () => {
  const golden = readSafetensors(new URL("images/v01_resize_64.safetensors", GOLDEN));
  const pixels = await new ImageProcessor({ vit_img_size: 64 }).process(
    goldenImage("0_rgb.png"),
    "0_rgb.png",
  );
  assertEquals(pixels, new Float32Array(golden.get("0_rgb.png")!.data.buffer));
});

Deno.test("ImageProcessor names a file that it cannot read", async () => {
  const text = new TextEncoder().encode("hello");
  await assertRejects(
    () => new ImageProcessor({ vit_img_size: 8 }).process(text, "a.png"),
    SyntaxError,
    '"a.png"',
  );
});

Deno.test("ImageProcessor refuses settings out of range and pictures of another size", () => {
  assertThrows(() => new ImageProcessor({ vit_img_size: 0 }), RangeError);
  assertThrows(() => new ImageProcessor({ vit_img_size: 8, vit_pixel_std: 0 }), RangeError);
  assertThrows(() => new ImageProcessor({ vit_img_size: 8, vit_pixel_mean: NaN }), RangeError);
  const small = { width: 4, height: 4, data: new Uint8Array(48) };
  assertThrows(
    () => new ImageProcessor({ vit_img_size: 8 }).write(small, new Float32Array(192)),
    TypeError,
  );
});

const processors = (sides: number) => ({
  padded: new ImageProcessor({ vit_img_size: sides, image_fit: "pad" }),
  squeezed: new ImageProcessor({ vit_img_size: sides }),
  overWhite: new ImageProcessor({ vit_img_size: sides, image_alpha: "white" }),
});

Deno.test("ImageProcessor squeezes a picture, or keeps its shape on white", async () => {
  const black = { width: 400, height: 100, data: new Uint8Array(3 * 400 * 100) };
  const { padded, squeezed } = processors(8);
  assertEquals(new Set((await squeezed.square(black, "a")).data), new Set([0]));
  const lines = Array.from({ length: 8 }, (_, y) => y === 3 || y === 4 ? 0 : 255);
  const wide = await padded.square(black, "a");
  assertEquals([...wide.data], lines.flatMap((byte) => Array(24).fill(byte)));
  const tall = await padded.square({ ...black, width: 100, height: 400 }, "a");
  assertEquals([...tall.data], Array(8).fill(lines.flatMap((byte) => [byte, byte, byte])).flat());
  const line = await padded.square({ width: 1, height: 1000, data: new Uint8Array(3000) }, "a");
  assertEquals(line.data.filter((byte) => byte === 0).length, 3 * 8);
  const square = { width: 8, height: 8, data: Uint8Array.from({ length: 192 }, (_, i) => i) };
  assertEquals(await padded.square(square, "a"), await squeezed.square(square, "a"));
});

Deno.test("ImageProcessor drops alpha, or lays the picture over white", async () => {
  const data = Uint8Array.of(10, 20, 30, 10, 20, 30, 10, 20, 30, 10, 20, 30);
  const image = { width: 2, height: 2, data, alpha: Uint8Array.of(0, 128, 255, 1) };
  const { squeezed, overWhite } = processors(2);
  assertEquals((await squeezed.square(image, "a")).data, data);
  // Pillow's alpha_composite over white.
  const expected = [255, 255, 255, 132, 137, 142, 10, 20, 30, 254, 254, 254];
  assertEquals([...(await overWhite.square(image, "a")).data], expected);
  assertEquals([...data.slice(0, 3)], [10, 20, 30], "the picture itself stays");
});

Deno.test("ImageProcessor refuses what is no picture, and says what one is", async () => {
  const processor = new ImageProcessor({ vit_img_size: 4, image_alpha: "white" });
  const good = { width: 2, height: 2, data: new Uint8Array(12) };
  assertEquals((await processor.square(good, "it")).width, 4);
  const cases: [unknown, string][] = [
    [{ ...good, data: new Uint8Array(16) }, "width 2, height 2, data Uint8Array of 16 bytes"],
    [{ ...good, data: new Uint8Array(0) }, "data Uint8Array of 0 bytes"],
    [{ ...good, data: new Uint8ClampedArray(12) }, "data Uint8ClampedArray of 12 bytes"],
    [{ ...good, data: new Float32Array(12) }, "data Float32Array of 48 bytes"],
    [{ ...good, data: Array(12).fill(0) }, "data Array"],
    [{ ...good, alpha: new Uint8Array(3) }, "alpha Uint8Array of 3 bytes"],
    [{ ...good, alpha: null }, "alpha Null"],
    [{ ...good, width: 0 }, "width 0"],
    [{ ...good, height: -2, width: -2 }, "width -2"],
    [{ ...good, width: 1.5, height: 2, data: new Uint8Array(9) }, "width 1.5"],
    [{ ...good, width: NaN }, "width NaN"],
    [{ ...good, width: "2" }, "width String"],
    [{ width: 2, height: 2 }, "data Undefined"],
    [new ArrayBuffer(8), "found ArrayBuffer,"],
    [[1, 2], "found Array,"],
    ["photo.jpg", "found String,"],
    [new Blob(), "found Blob,"],
    [null, "found Null,"],
    [undefined, "found Undefined,"],
    [7, "found 7,"],
  ];
  for (const [image, found] of cases) {
    const { message } = await assertRejects(
      () => processor.square(image as Uint8Array, "the picture"),
      TypeError,
    );
    assert(message.includes(found) && message.includes("3 * width * height"), message);
  }
});
