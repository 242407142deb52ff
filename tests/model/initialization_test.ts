// First values: repeatable, and of the deviations that each scheme says.

import { assert, assertEquals, assertGreater, assertLess } from "@std/assert";
import { initialValues, normalGenerator, uniformGenerator } from "../../model/initialization.ts";

const random = () => ({ normal: normalGenerator(1), uniform: uniformGenerator(1) });

function deviation(values: Float32Array): number {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / values.length);
}

/** Within 5 standard errors of the deviation of n normal numbers, 1 / √(2n). */
function assertDeviation(values: Float32Array, expected: number): void {
  const ratio = deviation(values) / expected;
  assertLess(Math.abs(ratio - 1), 5 / Math.sqrt(2 * values.length));
}

const WEIGHT = { name: "decoder.blocks.0.mlp.up_proj.weight", shape: [192, 64] };
const CONVOLUTION = { name: "vision_encoder.patch_embedding.conv.weight", shape: [64, 3, 8, 8] };
const EMBEDDING = { name: "decoder.token_embedding.weight", shape: [257, 64] };
const POSITION = { name: "vision_encoder.patch_embedding.position_embedding", shape: [1, 64, 64] };

Deno.test("initialValues() has nanoVLM's deviation of 0.02, and positions uniform in [0, 1)", () => {
  for (const parameter of [WEIGHT, CONVOLUTION, EMBEDDING]) {
    assertDeviation(initialValues(parameter, "nanovlm", random()), 0.02);
  }
  const positions = initialValues(POSITION, "nanovlm", random());
  assert(positions.every((value) => value >= 0 && value < 1));
  assertDeviation(positions, Math.sqrt(1 / 12));
});

Deno.test("initialValues() by fan-in divides by the root of the inputs", () => {
  assertDeviation(initialValues(WEIGHT, "fan_in", random()), 1 / 8);
  assertDeviation(initialValues(CONVOLUTION, "fan_in", random()), 1 / Math.sqrt(192));
  assertDeviation(initialValues(EMBEDDING, "fan_in", random()), 1 / 8);
  assertDeviation(initialValues(POSITION, "fan_in", random()), 0.5);
});

Deno.test("initialValues() begins with biases of 0 and norms of 1", () => {
  const bias = initialValues(
    { name: "vision_encoder.layer_norm.bias", shape: [5] },
    "fan_in",
    random(),
  );
  assertEquals(bias, new Float32Array(5));
  const norm = initialValues({ name: "decoder.norm.weight", shape: [5] }, "fan_in", random());
  assertEquals(norm, new Float32Array(5).fill(1));
});

Deno.test("the same seed gives the same numbers, another gives others", () => {
  const draw = (seed: number) => Float64Array.from({ length: 9 }, normalGenerator(seed));
  assertEquals(draw(3), draw(3));
  assertGreater(draw(3).filter((value, i) => value !== draw(4)[i]).length, 7);
});
