// The comparison with other libraries: what it reads, what it refuses, and that our side computes the right numbers.

import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { hasAdapter, runScript } from "../../run_helpers.ts";
import { readOutcome } from "./outcome.ts";
import { expectedAttention, expectedProduct, random, TRAINING_LOSSES } from "./workloads.ts";

const ADAPTER = `{"adapter":"1||0|some GPU","f16":true}`;
const LOSSES = TRAINING_LOSSES.map((loss) => loss.toFixed(4));

function timed(name: string, cpu_ms: number): string {
  return JSON.stringify({ name, ms: 10, min: 9, cpu_ms, iters: 7 });
}

Deno.test("readOutcome() takes the checked measurements and the fastest of two ways", () => {
  const output = [
    ADAPTER,
    `devices [ "cpu", "webgpu" ]`,
    timed("matmul_f32_1024x768x3072", 20),
    "check c[0],c[12345] -2.4819509983062744 -4.400406360626221",
    timed("matmul_f32 x4 pipelined", 80),
    timed("attention_9h_T128_d64 (MatMul+Softmax+MatMul graph)", 34),
    "check 0.03221473470330238",
    timed("attention_9h_T128_d64 (com.microsoft.MultiHeadAttention)", 24),
    "check 0.03221473842859268 0.09060336649417877",
    timed("attention_9h_T128_d64_causal", 3),
    "check -0.9993705153465271 0.20966312289237976",
    timed("train_step_llama_d192_L4_T128_B8", 900),
    `losses ${LOSSES.join(" ")} tensors 237`,
  ].join("\n");
  assertEquals(readOutcome(output, ["matmul", "attention", "attention_causal", "train"]), {
    adapter: "1||0|some GPU",
    measurements: [
      { workload: "matmul", ms: 10, cpu_ms: 20 },
      { workload: "attention", ms: 10, cpu_ms: 24 },
      { workload: "attention_causal", ms: 10, cpu_ms: 3 },
      { workload: "train", ms: 10, cpu_ms: 900 },
    ],
  });
});

Deno.test("readOutcome() refuses numbers that are wrong, missing or unchecked", () => {
  const wrong = LOSSES.with(8, "5.3238");
  const cases: [message: string, name: string, check: string][] = [
    ["number 2 of", "matmul_f32_1024x768x3072", "check c[0],c[12345] -2.48195 -4.402"],
    ["expected 2 numbers", "matmul_f32_1024x768x3072", "check c[0],c[12345] -2.48195 NaN"],
    ["number 1 of", "attention_9h_T128_d64", "check 0.03223 0.0906033"],
    ["number 1 of", "attention_9h_T128_d64_causal", "check 0.0322147 0.2096631"],
    ["number 9 of", "train_step_llama_d192_L4_T128_B8", `losses ${wrong.join(" ")}`],
    ["expected 9 numbers", "train_step_llama_d192_L4_T128_B8", `losses ${LOSSES[0]}`],
    ["no checked measurement", "train_step_llama_d192_L4_T128_B8", "nothing"],
  ];
  for (const [message, name, check] of cases) {
    const output = [ADAPTER, timed(name, 1), check].join("\n");
    assertThrows(() => readOutcome(output, ["train"]), Error, message);
  }
});

Deno.test("the expected numbers are those that the peers' harness states", () => {
  assertAlmostEquals(expectedProduct(0).value, -2.48195, 0.5e-5);
  assertAlmostEquals(expectedProduct(12345).value, -4.40041, 0.5e-5);
  assertAlmostEquals(expectedAttention(0, false).value, 0.0322147, 0.5e-7);
  assertAlmostEquals(expectedAttention(0, true).value, -0.99937, 0.5e-5);
  assertEquals(random(2, 1), Float32Array.of(270369 / 2 ** 31 - 1, 67634689 / 2 ** 31 - 1));
});

for (const workload of ["matmul", "attn", "train"] as const) {
  Deno.test({
    name: `our side of the workload "${workload}" computes the right numbers`,
    ignore: !hasAdapter,
    fn: async () => {
      const { code, stdout } = await runScript("tests/bench/peers/ours.ts", workload);
      assertEquals(code, 0);
      const wanted = {
        matmul: ["matmul"],
        attn: ["attention", "attention_causal"],
        train: ["train"],
      }[workload] as Parameters<typeof readOutcome>[1];
      const { measurements } = readOutcome(stdout, wanted);
      assertEquals(measurements.map((measured) => measured.workload), [...wanted]);
    },
  });
}
