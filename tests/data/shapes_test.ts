/** Tests of the drawn shapes: the same for a seed, balanced, and readable off the pixels. */
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { RgbImage } from "../../data/image.ts";
import { Shapes, SHAPES_IMAGE_SIZE } from "../../data/shapes.ts";

Deno.test("Shapes has 20,000 rows to train on and 500 to validate on, of four questions", async () => {
  const train = new Shapes("train");
  const validation = new Shapes("validation");
  assertEquals([train.rows, validation.rows], [20_000, 500]);
  assertEquals(await validation.turnCounts(), new Uint32Array(500).fill(4));
  assertEquals(train.row(19_999).turns.length, 4);
  for (const index of [-1, 20_000, 0.5]) assertThrows(() => train.row(index), RangeError);
  assertThrows(() => new Shapes("train", { rows: 0 }), RangeError);
});

Deno.test("Shapes draws the same row each time, and others for other rows, seeds and parts", () => {
  const row = new Shapes("train").row(3);
  assertEquals(new Shapes("train", { rows: 4 }).row(3).image, row.image);
  for (
    const other of [
      new Shapes("train").row(4),
      new Shapes("train", { seed: 1 }).row(3),
      new Shapes("validation").row(3),
    ]
  ) assertNotEquals(other.image, row.image);
});

Deno.test("Shapes answers each type of question evenly", () => {
  const shapes = new Shapes("train");
  const counts = new Map<string, Map<string, number>>();
  for (let index = 0; index < 2000; index++) {
    for (const { category, question, answer } of shapes.row(index).turns) {
      assert(`Question: ${question} Answer:${answer}`.length < 45);
      const answers = counts.get(category) ?? new Map<string, number>();
      counts.set(category, answers.set(answer, (answers.get(answer) ?? 0) + 1));
    }
  }
  const kinds = Object.fromEntries([...counts].map(([kind, answers]) => [kind, answers.size]));
  assertEquals(kinds, { color: 6, shape: 4, position: 4, "yes/no": 2 });
  for (const answers of counts.values()) {
    const even = 2000 / answers.size;
    const deviation = Math.sqrt(even * (1 - 1 / answers.size));
    for (const count of answers.values()) assert(Math.abs(count - even) < 4.5 * deviation);
  }
});

const HUES: Record<string, [number, number, number]> = {
  red: [1, 0, 0],
  green: [0, 1, 0],
  blue: [0, 0, 1],
  yellow: [1, 1, 0],
  purple: [1, 0, 1],
  cyan: [0, 1, 1],
};

/** Pixels of a saturated colour, which the grey background has none of. */
function colored(image: RgbImage) {
  const found: { x: number; y: number; rgb: number[] }[] = [];
  for (let i = 0; i < image.width * image.height; i++) {
    const rgb = [...image.data.subarray(3 * i, 3 * i + 3)];
    if (Math.max(...rgb) - Math.min(...rgb) > 90) {
      found.push({ x: i % image.width, y: Math.floor(i / image.width), rgb });
    }
  }
  return found;
}

function guessColor(pixels: { rgb: number[] }[]): string {
  const mean = [0, 1, 2].map((c) => pixels.reduce((sum, p) => sum + p.rgb[c]!, 0));
  const [low, high] = [Math.min(...mean), Math.max(...mean)];
  const hue = mean.map((value) => (value - low) / (high - low));
  const distance = (name: string) =>
    HUES[name]!.reduce((sum, value, c) => sum + (value - hue[c]!) ** 2, 0);
  return Object.keys(HUES).sort((a, b) => distance(a) - distance(b))[0]!;
}

Deno.test("Shapes draws pictures off which color, position and shape can be read", () => {
  const shapes = new Shapes("validation");
  const fills: Record<string, number[]> = {};
  for (let index = 0; index < 500; index++) {
    const { image, turns } = shapes.row(index);
    assert(!(image instanceof Uint8Array));
    assertEquals([image.width, image.height], [SHAPES_IMAGE_SIZE, SHAPES_IMAGE_SIZE]);
    const [color, shape, position, yesNo] = turns.map(({ answer }) => answer);
    const pixels = colored(image);
    assertEquals(guessColor(pixels), color, `row ${index}`);
    const [xs, ys] = [pixels.map(({ x }) => x), pixels.map(({ y }) => y)];
    const [left, right] = [Math.min(...xs), Math.max(...xs)];
    const [top, bottom] = [Math.min(...ys), Math.max(...ys)];
    const vertical = top + bottom + 1 < SHAPES_IMAGE_SIZE ? "top" : "bottom";
    const horizontal = left + right + 1 < SHAPES_IMAGE_SIZE ? "left" : "right";
    assertEquals(`${vertical} ${horizontal}`, position, `row ${index}`);
    (fills[shape!] ??= []).push(pixels.length / ((right - left + 1) * (bottom - top + 1)));
    const asked = turns[3]!.question.replace(/^Is it (a )?|\?$/g, "");
    assertEquals(yesNo, asked === color || asked === shape ? "yes" : "no");
  }
  const mean = (values: number[]) => values.reduce((sum, value) => sum + value, 0) / values.length;
  assert(mean(fills["square"]!) > 0.85); // of its box: all, a circle pi / 4, a triangle a half
  assert(Math.abs(mean(fills["circle"]!) - 0.79) < 0.08);
  assert(Math.abs(mean(fills["triangle"]!) - 0.52) < 0.08);
  assert(Math.abs(mean(fills["cross"]!) - 0.54) < 0.1);
});
