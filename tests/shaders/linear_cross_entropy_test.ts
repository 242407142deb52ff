// The fused head and loss against the float64 reference: dropped rows, several chunks, no labels at all.

import { assertEquals } from "@std/assert";
import { NO_ROW } from "../../shaders/embedding.ts";
import { linearCrossEntropy } from "../../shaders/linear_cross_entropy.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import {
  IGNORED_LABEL,
  linearCrossEntropy as reference,
  linearCrossEntropyAbs,
  linearCrossEntropyBackward,
  linearCrossEntropyBackwardAbs,
} from "../reference/cross_entropy.ts";
import { type OpInput, runOp, testOnDevices } from "./harness.ts";

/** Labels of `rows` rows, every third one ignored, and the list of the others in room for `capacity`. */
function labelled(rows: number, V: number, capacity: number) {
  const random = seededRandom(5).integers(rows, V);
  const labels = random.map((label, i) => i % 3 === 1 ? IGNORED_LABEL : label);
  const list = [...labels.keys()].filter((i) => labels[i] !== IGNORED_LABEL);
  const fill = (values: number[]) =>
    Uint32Array.from({ length: capacity }, (_, i) => values[i] ?? NO_ROW);
  return { labels, list, rows: fill(list), values: fill(list.map((i) => labels[i]!)) };
}

interface Case {
  name: string;
  rows: number;
  C: number;
  V: number;
  capacity: number;
}

const CASES: Case[] = [
  { name: "size 1", rows: 1, C: 1, V: 2, capacity: 1 },
  { name: "odd sizes", rows: 23, C: 13, V: 131, capacity: 17 },
  { name: "room to spare", rows: 12, C: 16, V: 257, capacity: 64 },
  // 128 rows of logits fit in a chunk.
  { name: "nanoVLM's vocabulary in two chunks", rows: 210, C: 8, V: 49152, capacity: 140 },
];

for (const { name, rows, C, V, capacity } of CASES) {
  testOnDevices(`linearCrossEntropy() matches float64 for ${name}`, async (device) => {
    const random = seededRandom(1);
    const [hidden, weight] = [random.normal(rows * C), random.normal(V * C)];
    const chosen = labelled(rows, V, capacity);
    const inputs = {
      hidden: { shape: [rows, C], data: hidden },
      weight: { shape: [V, C], data: weight, parameter: true },
      rows: { shape: [capacity], data: chosen.rows, dtype: "u32" },
      labels: { shape: [capacity], data: chosen.values, dtype: "u32" },
      count: { shape: [1], data: [chosen.list.length], dtype: "u32" },
    } as const satisfies Record<string, OpInput>;
    const run = await runOp(
      device,
      inputs,
      (rec, given) => linearCrossEntropy(rec, given.hidden, given.weight, given).loss,
      { dy: [1] },
    );
    const options = { labels: chosen.labels, C };
    const given = { hidden, weight };
    const widest = Math.max(C, V, rows);
    assertClose(run.y, Float64Array.of(reference(given, options).loss), {
      tolerance: matmulBound(widest, Float64Array.of(linearCrossEntropyAbs(given, options).loss)),
      name: "loss",
    });
    const expected = linearCrossEntropyBackward(given, 1, options);
    const sums = linearCrossEntropyBackwardAbs(given, 1, options);
    assertClose(run.gradients.hidden!, expected.dhidden, {
      tolerance: matmulBound(widest, sums.dhidden),
      name: "dhidden",
    });
    assertClose(run.gradients.weight!, expected.dweight, {
      tolerance: matmulBound(widest, sums.dweight),
      name: "dweight",
    });
    const tokens = await runOp(device, inputs, (rec, given) => {
      const { tokenLosses } = linearCrossEntropy(rec, given.hidden, given.weight, given);
      return tokenLosses[0]!;
    });
    const all = reference(given, options).tokenLosses;
    const bounds = linearCrossEntropyAbs(given, options).tokenLosses;
    const first = chosen.list.slice(0, tokens.y.length);
    assertClose(tokens.y.subarray(0, first.length), Float64Array.from(first, (i) => all[i]!), {
      tolerance: matmulBound(widest, Float64Array.from(first, (i) => bounds[i]!)),
      name: "token losses",
    });
  });
}

testOnDevices(
  "linearCrossEntropy() is 0, without gradients, where nothing has a label",
  async (device) => {
    const run = await runOp(
      device,
      {
        hidden: { shape: [3, 4], data: seededRandom(1).normal(12) },
        weight: { shape: [5, 4], data: seededRandom(2).normal(20), parameter: true },
        rows: { shape: [2], data: [NO_ROW, NO_ROW], dtype: "u32" },
        labels: { shape: [2], data: [NO_ROW, NO_ROW], dtype: "u32" },
        count: { shape: [1], data: [0], dtype: "u32" },
      },
      (rec, given) => linearCrossEntropy(rec, given.hidden, given.weight, given).loss,
      { dy: [1] },
    );
    assertEquals(run.y, Float32Array.of(0));
    assertEquals(run.gradients.hidden, new Float32Array(12));
    assertEquals(run.gradients.weight, new Float32Array(20));
  },
);
