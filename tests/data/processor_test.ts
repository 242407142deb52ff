/** Tests of prompts and of the way from a file to the encoder's numbers. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
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
  const pixels = await new ImageProcessor(64).process(goldenImage("0_rgb.png"), "0_rgb.png");
  assertEquals(pixels, new Float32Array(golden.get("0_rgb.png")!.data.buffer));
});

Deno.test("ImageProcessor names a file that it cannot read", async () => {
  const text = new TextEncoder().encode("hello");
  await assertRejects(() => new ImageProcessor(8).process(text, "a.png"), SyntaxError, '"a.png"');
});

Deno.test("ImageProcessor refuses settings out of range and pictures of another size", () => {
  assertThrows(() => new ImageProcessor(0), RangeError);
  assertThrows(() => new ImageProcessor(8, { mean: 0, std: 0 }), RangeError);
  assertThrows(() => new ImageProcessor(8, { mean: NaN, std: 1 }), RangeError);
  const small = { width: 4, height: 4, data: new Uint8Array(48) };
  assertThrows(() => new ImageProcessor(8).write(small, new Float32Array(192)), TypeError);
});
