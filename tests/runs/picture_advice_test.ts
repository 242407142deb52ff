// Tests of what is said about pictures of other shapes and sizes than the model sees.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { presets } from "../../model/config.ts";
import { pictureAdvice } from "../../runs/picture_advice.ts";
import { Tally } from "../../runs/tally.ts";

function sizes(width: number, height: number, oblong: number) {
  const [widths, heights] = [new Tally(), new Tally()];
  for (let i = 0; i < 10; i++) {
    widths.add(width);
    heights.add(height);
  }
  return { widths, heights, oblong };
}

Deno.test("pictureAdvice() is silent about square pictures of nearly the model's size", () => {
  assertEquals(pictureAdvice(sizes(64, 64, 0), presets.tiny.vlm), []);
  assertEquals(pictureAdvice(sizes(40, 30, 1), presets.tiny.vlm), []);
  const none = { widths: new Tally(), heights: new Tally(), oblong: 0 };
  assertEquals(pictureAdvice(none, presets.tiny.vlm), []);
});

Deno.test("pictureAdvice() names sizes that show more, and what they cost", () => {
  const [shape, size, ...more] = pictureAdvice(sizes(400, 100, 10), presets.tiny.vlm);
  assertEquals(more, []);
  assertStringIncludes(shape!, "100.0 % of the pictures are far from square");
  assertStringIncludes(shape!, "every 12.5 pixel across and every 3.1 down");
  assertStringIncludes(size!, "smaller than about 50 pixels is lost");
  assertStringIncludes(size!, "vit_img_size=64 sees 25 at 4 times the patches");
  assertStringIncludes(size!, "vit_img_size=200 sees 8 at 39 times the patches");
  const [pretrained] = pictureAdvice(sizes(2000, 2000, 0), presets["222m"].vlm);
  assertEquals(pretrained!.includes("--set"), false);
});
