// Tests of what is said about pictures of other shapes and sizes than the model sees.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { presets } from "../../model/config.ts";
import { pictureAdvice, PictureSizes } from "../../runs/picture_advice.ts";

function sizes(width: number, height: number): PictureSizes {
  const all = new PictureSizes();
  for (let i = 0; i < 10; i++) all.add({ width, height });
  return all;
}

Deno.test("pictureAdvice() is silent about square pictures of nearly the model's size", () => {
  assertEquals(pictureAdvice(sizes(64, 64), presets.tiny.vlm), []);
  assertEquals(pictureAdvice(sizes(40, 30), presets.tiny.vlm), []);
  assertEquals(pictureAdvice(new PictureSizes(), presets.tiny.vlm), []);
});

Deno.test("pictureAdvice() names sizes that show more, and what they cost", () => {
  const [shape, size, ...more] = pictureAdvice(sizes(400, 100), presets.tiny.vlm);
  assertEquals(more, []);
  assertStringIncludes(shape!, "100.0 % of the pictures are far from square");
  assertStringIncludes(shape!, "one of 400 × 100 fills 25.0 % of the 32 × 32");
  const [squeezed] = pictureAdvice(sizes(400, 100), { ...presets.tiny.vlm, image_fit: "squeeze" });
  assertStringIncludes(squeezed!, "--set image_fit=pad");
  assertStringIncludes(size!, "smaller than about 50 pixels is lost");
  assertStringIncludes(size!, "vit_img_size=64 sees 25 at 4 times the patches");
  assertStringIncludes(size!, "vit_img_size=200 sees 8 at 39 times the patches");
  const [pretrained] = pictureAdvice(sizes(2000, 2000), presets["222m"].vlm);
  assertEquals(pretrained!.includes("--set"), false);
});
