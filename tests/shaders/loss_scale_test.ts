// Loss scaling and the AdamW step that it decides: applied, skipped, grown, and counted right.

import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { adamwHyper, adamwMixed } from "../../shaders/adamw.ts";
import { firstLossScale, lossScale } from "../../shaders/loss_scale.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { Recorder } from "../../shaders/runtime/recorder.ts";
import { persistent } from "../../shaders/runtime/tensor.ts";
import { assertClose, seededRandom } from "../gradcheck.ts";
import { adamw as reference } from "../reference/adamw.ts";
import { runOp, testOnGpu } from "./harness.ts";

const BETAS = { beta1: 0.9, beta2: 0.999 };
const HYPER = { ...BETAS, learningRate: 2e-3, epsilon: 1e-8, weightDecay: 0.01 };

/** State, norm and decision after a step whose scaled gradients have this norm. */
async function decide(device: Device, state: ArrayLike<number>, scaledNorm: number) {
  const inputs = {
    scaledNorm: { shape: [1], data: [scaledNorm] },
    state: { shape: [4], data: state },
  } as const;
  const norm = await runOp(
    device,
    inputs,
    (rec, given) => lossScale(rec, { ...given, ...BETAS }).norm,
  );
  const { y, inputs: { state: next } } = await runOp(
    device,
    inputs,
    (rec, given) => lossScale(rec, { ...given, ...BETAS }).decision,
  );
  return { norm: norm.y[0]!, state: [...next], decision: [...y] };
}

testOnGpu("lossScale() begins at 65,536 and takes the scale off the norm", async (device) => {
  assertEquals([...firstLossScale()], [65536, 0, 0, 0]);
  const { norm, state, decision } = await decide(device, firstLossScale(), 3 * 65536);
  assertEquals([norm, state, decision[0]], [3, [65536, 0, 1, 1], 1 / 65536]);
});

testOnGpu("lossScale() skips a step that is not finite, halves and counts", async (device) => {
  for (const bad of [Infinity, NaN]) {
    const { state, decision } = await decide(device, [1024, 3, 1999, 4000], bad);
    assertEquals(state, [512, 4, 0, 4000], String(bad));
    assertEquals(decision[0], 0);
  }
  const { state } = await decide(device, [1024, 3, 5, 7], 3.4e38);
  assertEquals(state, [1024, 3, 6, 8], "the largest numbers are finite");
});

testOnGpu("lossScale() doubles after 2,000 good steps in a row", async (device) => {
  assertEquals((await decide(device, [1024, 3, 1998, 4000], 1)).state, [1024, 3, 1999, 4001]);
  const grown = await decide(device, [1024, 3, 1999, 4000], 1);
  assertEquals(grown.state, [2048, 3, 0, 4001]);
  assertEquals(grown.decision[0], 1 / 1024, "this step's gradients still carry the old scale");
});

testOnGpu("lossScale() keeps the scale and its reciprocal numbers", async (device) => {
  assertEquals((await decide(device, [2 ** 64, 0, 1999, 0], 0)).state[0], 2 ** 64);
  assertEquals((await decide(device, [2 ** -64, 0, 0, 0], NaN)).state[0], 2 ** -64);
});

testOnGpu(
  "lossScale() gives bias corrections to 1e-6 for every number of steps",
  async (device) => {
    for (const t of [1, 2, 7, 9, 10, 11, 50, 999, 1000, 1001, 20_000, 1_000_000]) {
      const { decision } = await decide(device, [65536, 0, 0, t - 1], 1);
      [BETAS.beta1, BETAS.beta2].forEach((beta, i) => {
        const exact = 1 - beta ** t;
        assertAlmostEquals(decision[1 + i]! / exact, 1, 1e-6, `1 - ${beta}^${t}`);
      });
    }
  },
);

/** One mixed step over `length` values, which `applied` steps went before and `skipped` ones. */
async function step(device: Device, state: ArrayLike<number>, overflow: boolean) {
  const [length, scale] = [1024, state[0]!];
  const random = seededRandom(1);
  const before = {
    parameter: random.normal(length),
    firstMoment: random.normal(length, 0.01),
    secondMoment: random.uniform(length, 1e-6, 1e-3),
  };
  const gradient = random.normal(length, 0.01);
  const scaled = gradient.map((g) => g * scale);
  const shape = [length];
  const { inputs } = await runOp(device, {
    value: { shape, data: before.parameter },
    gradient: { shape, data: overflow ? scaled.with(77, Infinity) : scaled },
    m: { shape, data: before.firstMoment },
    v: { shape, data: before.secondMoment },
    half: { shape, data: new Float64Array(length).fill(7), dtype: "f16" },
    // The step here is not the one that counts.
    hyper: { shape: [8], data: adamwHyper({ ...HYPER, step: 1 }) },
    scaledNorm: { shape: [1], data: [overflow ? Infinity : 1] },
    state: { shape: [4], data: state },
  }, (rec, { scaledNorm, state, ...tensors }) => {
    const { decision } = lossScale(rec, { scaledNorm, state, ...BETAS });
    adamwMixed(rec, { ...tensors, decision });
    return tensors.value;
  });
  return { before, gradient, after: inputs };
}

testOnGpu("adamwMixed() leaves everything as it is in a skipped step", async (device) => {
  if (!device.f16) return console.log("skipped: no shader-f16");
  const { before, after } = await step(device, [65536, 0, 5, 10], true);
  assertEquals(after.value, Float32Array.from(before.parameter));
  assertEquals(after.m, Float32Array.from(before.firstMoment));
  assertEquals(after.v, Float32Array.from(before.secondMoment));
  assertEquals(after.half, new Float16Array(1024).fill(7));
  assertEquals([...after.state], [32768, 1, 0, 10]);
});

testOnGpu("adamwMixed() is AdamW at the number of steps applied", async (device) => {
  if (!device.f16) return console.log("skipped: no shader-f16");
  for (const [skipped, applied] of [[0, 0], [3, 11], [1, 900]] as const) {
    const { before, gradient, after } = await step(device, [1024, skipped, 5, applied], false);
    const options = { ...HYPER, step: applied + 1 };
    const exact = reference(before, gradient, options);
    // As for adamw(): 16 roundings in the moments, 32 in the update; the corrections add 1e-6 of it.
    const tolerance = exact.secondMoment.map((v, i) => {
      const deviation = Math.sqrt(v / (1 - HYPER.beta2 ** options.step)) + HYPER.epsilon;
      const terms = 0.9 * Math.abs(before.firstMoment[i]!) + 0.1 * Math.abs(gradient[i]!);
      const update = HYPER.learningRate / (1 - HYPER.beta1 ** options.step) * terms / deviation;
      return 2 ** -24 * (4 * Math.abs(before.parameter[i]!) + 32 * update) + 1.5e-6 * update;
    });
    assertClose(after.value, exact.parameter, {
      tolerance,
      name: `parameters, ${applied} applied`,
    });
    assertEquals(after.half, new Float16Array(after.value), "the copy is the value, rounded");
  }
});

testOnGpu("adamwMixed() refuses lengths that differ", (device) => {
  const tensors = (length: number, halfLength: number) => {
    const f32 = persistent(device, "x", [length]);
    const half = persistent(device, "half", [halfLength], "f16");
    return { value: f32, gradient: f32, m: f32, v: f32, hyper: f32, decision: f32, half };
  };
  const rec = new Recorder(device);
  assertThrows(() => adamwMixed(rec, tensors(8, 4)), TypeError, "expected 8 elements each");
  return Promise.resolve();
});
