// adamw() against the float64 reference, and adamwHyper().
import { assertThrows } from "@std/assert";
import { adamw, adamwHyper } from "../../shaders/adamw.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { assertClose, seededRandom } from "../gradcheck.ts";
import { adamw as reference } from "../reference/adamw.ts";
import { runOp, testOnGpu } from "./harness.ts";

const U = 2 ** -24;
const HYPER = { learningRate: 2e-3, beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

async function check(
  device: Device,
  { length, step, scale }: { length: number; step: number; scale?: number },
): Promise<void> {
  const random = seededRandom(length + step);
  const first = step === 1;
  const state = {
    parameter: random.normal(length),
    firstMoment: first ? new Float64Array(length) : random.normal(length, 0.01),
    secondMoment: first ? new Float64Array(length) : random.uniform(length, 1e-6, 1e-3),
  };
  const gradient = random.normal(length, 0.01);
  const shape = [length];
  const run = await runOp(
    device,
    {
      value: { shape, data: state.parameter },
      gradient: { shape, data: gradient },
      m: { shape, data: state.firstMoment },
      v: { shape, data: state.secondMoment },
      hyper: { shape: [8], data: adamwHyper({ ...HYPER, step }) },
      factor: { shape: [1], data: [scale ?? NaN] },
    },
    (rec, { factor, ...tensors }) => {
      adamw(rec, scale === undefined ? tensors : { ...tensors, scale: factor });
      return tensors.value;
    },
  );
  const scaled = gradient.map((g) => g * (scale ?? 1));
  const exact = reference(state, scaled, { ...HYPER, step });
  // Fewer than 16 roundings in each moment's terms (1 - 0.9 from a rounded 0.9 counts for 5), and as many again,
  // division and square roots (2.5 ulp) included, in the update.
  const meanTerms = state.firstMoment.map((m, i) => 0.9 * Math.abs(m) + 0.1 * Math.abs(scaled[i]!));
  assertClose(run.inputs.m, exact.firstMoment, { tolerance: meanTerms.map((t) => 16 * U * t) });
  assertClose(run.inputs.v, exact.secondMoment, {
    tolerance: exact.secondMoment.map((v) => 16 * U * v),
  });
  const tolerance = exact.secondMoment.map((v, i) => {
    const deviation = Math.sqrt(v / (1 - HYPER.beta2 ** step)) + HYPER.epsilon;
    const update = HYPER.learningRate / (1 - HYPER.beta1 ** step) * meanTerms[i]! / deviation;
    return U * (4 * Math.abs(state.parameter[i]!) + 32 * update);
  });
  assertClose(run.y, exact.parameter, { tolerance, name: "parameters" });
}

testOnGpu("adamw() matches float64 at the first and at later steps", async (device) => {
  await check(device, { length: 1003, step: 1 });
  await check(device, { length: 1, step: 2 });
  await check(device, { length: 70_001, step: 1000 });
  await check(device, { length: 1004, step: 1 });
  await check(device, { length: 69_888, step: 20 });
});
testOnGpu(
  "adamw() multiplies the gradient by the clipping scale",
  async (device) => {
    await check(device, { length: 130, step: 3, scale: 0.25 });
    await check(device, { length: 132, step: 3, scale: 0.25 });
  },
);
Deno.test("adamwHyper() refuses steps that do not count from 1", () => {
  assertThrows(() => adamwHyper({ ...HYPER, step: 0 }), RangeError, "step 0");
});
