// crossEntropy() and meanLoss() against the float64 reference.
import { assert, assertEquals } from "@std/assert";
import { crossEntropy, meanLoss, NO_LABEL } from "../../shaders/cross_entropy.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { assertClose, seededRandom } from "../gradcheck.ts";
import { crossEntropy as reference, crossEntropyBackward } from "../reference/cross_entropy.ts";
import { runOp, testOnDevices } from "./harness.ts";

const U = 2 ** -24;
/** Smaller numbers may become 0. */
const UNDERFLOW = 2 ** -126;

/**
 * Error bounds of one row. exp(d), d = logit - max, is off by 2 U (3 + 2|d|) relatively by WGSL and U |d| by d's
 * rounding; their sum by the mean of that, and 16 √V U for the additions; log by 3 ulp, or 2⁻²¹ near 1; and the
 * subtractions round once each.
 */
function bounds(row: Float64Array, label: number, scale: number) {
  const largest = Math.max(...row);
  const exponentials = row.map((x) => Math.exp(x - largest));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  const exponentError = row.map((x) => U * (6 + 5 * (largest - x)));
  const sumError = 16 * U * Math.sqrt(row.length) +
    exponentials.reduce((total, e, i) => total + e / sum * exponentError[i]!, 0);
  const margin = largest - row[label]!;
  const loss = sumError + 6 * U * Math.log(sum) + 2 ** -21 + 2 * U * (margin + Math.log(sum));
  const gradient = exponentials.map((e, i) =>
    scale * (e / sum * (exponentError[i]! + sumError + 8 * U) + 4 * U * (i === label ? 1 : 0)) +
    UNDERFLOW
  );
  return { loss, gradient };
}

/** A power of two, which multiplies without rounding. */
const LOSS_SCALE = 8;

async function check(
  device: Device,
  { rows, V, deviation, offset = 0 }: {
    rows: number;
    V: number;
    deviation: number;
    offset?: number;
  },
): Promise<void> {
  const random = seededRandom(rows * V);
  const logits = random.normal(rows * V, deviation).map((x) => Math.fround(x + offset));
  const labels = random.integers(rows, V).map((label, r) => r % 3 === 1 ? -100 : label);
  const count = labels.filter((label) => label >= 0).length;
  const inputs = {
    logits: { shape: [rows, V], data: logits },
    labels: {
      shape: [rows],
      data: Array.from(labels, (l) => l < 0 ? NO_LABEL : l),
      dtype: "u32",
    },
    count: { shape: [1], data: [count], dtype: "u32" },
    tokenLoss: { shape: [rows], data: new Array<number>(rows).fill(NaN) },
    lossScale: { shape: [1], data: [LOSS_SCALE] },
  } as const;
  const exact = reference({ logits }, { labels, V });
  const { dlogits } = crossEntropyBackward({ logits }, LOSS_SCALE, { labels, V });
  const lossBounds = new Float64Array(rows);
  const gradientBounds = new Float64Array(rows * V);
  labels.forEach((label, r) => {
    if (label < 0) return;
    const bound = bounds(logits.subarray(r * V, (r + 1) * V), label, 1 / count);
    lossBounds[r] = bound.loss;
    gradientBounds.set(bound.gradient.map((value) => LOSS_SCALE * value), r * V);
  });
  for (const gradient of [true, false]) {
    const run = await runOp(device, inputs, (rec, tensors) => {
      crossEntropy(rec, { ...tensors, gradient });
      return tensors.tokenLoss;
    });
    assertClose(run.y, exact.tokenLosses, { tolerance: lossBounds, name: "token losses" });
    if (gradient) {
      assertClose(run.inputs.logits, dlogits, { tolerance: gradientBounds, name: "dlogits" });
    } else {
      assertEquals(run.inputs.logits, Float32Array.from(logits));
    }
  }
}

testOnDevices("crossEntropy() matches float64 for odd vocabularies", async (device) => {
  await check(device, { rows: 7, V: 37, deviation: 2 });
  await check(device, { rows: 1, V: 1, deviation: 1 });
  await check(device, { rows: 4, V: 131, deviation: 1, offset: 50 });
});
testOnDevices(
  "crossEntropy() is stable for logits of ±10,000",
  (device) => check(device, { rows: 5, V: 90, deviation: 4000 }),
);
testOnDevices(
  "crossEntropy() matches float64 at SmolLM2's vocabulary",
  (device) => check(device, { rows: 3, V: 49152, deviation: 3 }),
);
testOnDevices(
  "crossEntropy() gives NaN for a label beyond the vocabulary and for NaN logits",
  async (device) => {
    const { y } = await runOp(
      device,
      {
        logits: { shape: [3, 3], data: [1, 2, 3, 1, 2, NaN, 0, 0, 0] },
        labels: { shape: [3], data: [3, 0, 2], dtype: "u32" },
        count: { shape: [1], data: [3], dtype: "u32" },
        tokenLoss: { shape: [3], data: [0, 0, 0] },
        lossScale: { shape: [1], data: [1] },
      },
      (rec, tensors) => {
        crossEntropy(rec, { ...tensors, gradient: false });
        return tensors.tokenLoss;
      },
    );
    assert(Number.isNaN(y[0]) && Number.isNaN(y[1]));
    assertClose(y.subarray(2), Float64Array.of(Math.log(3)), { tolerance: 2 ** -20 });
  },
);

async function mean(
  device: Device,
  { rows, count, accumulate }: { rows: number; count: number; accumulate: boolean },
): Promise<void> {
  const losses = count === 0 ? new Float64Array(rows) : seededRandom(rows).uniform(rows, 0, 12);
  const run = await runOp(
    device,
    {
      tokenLoss: { shape: [rows], data: losses },
      count: { shape: [1], data: [count], dtype: "u32" },
      loss: { shape: [1], data: [accumulate ? 2 : NaN] },
    },
    (rec, tensors) => {
      meanLoss(rec, { ...tensors, accumulate });
      return tensors.loss;
    },
  );
  const value = count === 0 ? 0 : losses.reduce((a, b) => a + b, 0) / count;
  const expected = value + (accumulate ? 2 : 0);
  assertClose(run.y, Float64Array.of(expected), { tolerance: 16 * U * Math.sqrt(rows) * expected });
}

testOnDevices(
  "meanLoss() divides by the labelled rows, adds if asked, and is 0 for none",
  async (device) => {
    await mean(device, { rows: 1, count: 1, accumulate: false });
    await mean(device, { rows: 777, count: 300, accumulate: true });
    await mean(device, { rows: 65_000, count: 20_000, accumulate: false });
    await mean(device, { rows: 9, count: 0, accumulate: false });
  },
);
