// gradientNorm() against the float64 reference.
import { assert, assertEquals } from "@std/assert";
import { addInto } from "../../shaders/add.ts";
import { gradientNorm } from "../../shaders/gradient_norm.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { assertClose, seededRandom } from "../gradcheck.ts";
import { gradientNorm as reference } from "../reference/adamw.ts";
import { runOp, testOnGpu } from "./harness.ts";

async function norms(
  device: Device,
  gradients: readonly Float64Array[],
  maxNorm?: number,
): Promise<{ norm: number; scale: number }> {
  const [a, b] = gradients;
  const run = await runOp(
    device,
    {
      a: { shape: [a!.length], data: a! },
      b: { shape: [b!.length], data: b! },
      norm: { shape: [1], data: [0] },
      scale: { shape: [1], data: [0] },
    },
    (rec, { a, b, norm, scale }) => {
      const made = gradientNorm(rec, [a, b], maxNorm);
      addInto(rec, norm, made.norm);
      addInto(rec, scale, made.scale);
      return norm;
    },
  );
  return { norm: run.inputs.norm[0]!, scale: run.inputs.scale[0]! };
}

async function check(device: Device, lengths: [number, number], maxNorm?: number): Promise<void> {
  const random = seededRandom(lengths[0]);
  const gradients = lengths.map((length) => random.normal(length));
  const exact = reference(gradients);
  const { norm, scale } = await norms(device, gradients, maxNorm);
  // The sum of squares has the bound of any sum of K terms, all positive; the root halves it.
  const relative = 16 * 2 ** -24 * Math.sqrt(lengths[0] + lengths[1]);
  assertClose([norm], Float64Array.of(exact), { tolerance: relative * exact });
  const factor = maxNorm === undefined ? 1 : Math.min(1, maxNorm / (exact + 1e-6));
  assertClose([scale], Float64Array.of(factor), {
    tolerance: factor === 1 ? 0 : relative * factor,
  });
}

testOnGpu("gradientNorm() matches float64 over several gradients", async (device) => {
  await check(device, [1, 1]);
  await check(device, [1003, 257], 1);
  await check(device, [300_001, 513], 20);
  await check(device, [33, 7], 1000);
});
testOnGpu("gradientNorm() shows gradients that are not finite", async (device) => {
  const fine = seededRandom(1).normal(600);
  const nan = await norms(device, [fine, fine.with(599, NaN)], 1);
  assert(Number.isNaN(nan.norm) && Number.isNaN(nan.scale), `found ${JSON.stringify(nan)}`);
  const infinite = await norms(device, [fine.with(0, -Infinity), fine], 1);
  assertEquals(infinite, { norm: Infinity, scale: 0 });
});
