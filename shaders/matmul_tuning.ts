/**
 * The fastest kernels for matrix products on a device, found by running them.
 *
 * Sets what matmul.ts reads (matmul_choice.ts). A candidate that took twice the best one's time at one size is not tried
 * at the next, so that a slow device is not measured for long.
 */
import { matmul } from "./matmul.ts";
import {
  fixedChoices,
  type MatmulChoice,
  type MatmulChoices,
  type MatmulSize,
  possibleChoices,
} from "./matmul_choice.ts";
import type { Device } from "./runtime/device.ts";
import { Plan } from "./runtime/plan.ts";
import { bufferOf, persistent } from "./runtime/tensor.ts";

/** A product of each size, like those of nanoVLM's blocks: rows, columns, depth. */
const SHAPES: Readonly<Record<MatmulSize, readonly [number, number, number]>> = {
  many: [1024, 1024, 192],
  some: [256, 768, 768],
  few: [128, 576, 1536],
};
const RUNS = 3;
/** A candidate slower than the best by this factor is left out of the sizes that follow. */
const HOPELESS = 2;
/** Another choice than the fixed one must be this much faster: what else the machine does must not decide. */
const LEAST_GAIN = 1.1;

/** Measures and sets `device.matmulChoices`; a few seconds at most. @throws {DeviceError} {ShaderError} */
export async function tuneMatmul(device: Device): Promise<MatmulChoices> {
  const choices: Record<MatmulSize, MatmulChoice> = { ...fixedChoices(device) };
  let candidates = possibleChoices(device);
  for (const size of ["many", "some", "few"] as const) {
    const fixed = choices[size];
    const times = new Map<MatmulChoice, number>();
    for (const choice of candidates) {
      if (choice.slices > 1 && size === "many") continue;
      device.matmulChoices = { ...choices, [size]: choice };
      times.set(choice, await milliseconds(device, SHAPES[size]));
    }
    const best = [...times].reduce((a, b) => b[1] < a[1] ? b : a);
    const fixedTime = [...times].find(([choice]) =>
      choice.kernel === fixed.kernel && choice.slices === fixed.slices
    )?.[1] ?? Infinity;
    if (best[1] * LEAST_GAIN < fixedTime) {
      choices[size] = best[0];
    }
    const hopeless = new Set(
      [...times].filter(([, time]) =>
        time > HOPELESS * best[1]
      ).map(([{ kernel }]) => kernel),
    );
    candidates = candidates.filter(({ kernel }) => !hopeless.has(kernel));
  }
  device.matmulChoices = choices;
  return choices;
}

/** The shortest of a few runs of x · Wᵀ; the first, in which the driver compiles, does not count. */
async function milliseconds(
  device: Device,
  [rows, columns, depth]: readonly [number, number, number],
): Promise<number> {
  const tensors = await device.scoped("make the memory to measure products", () => ({
    lhs: persistent(device, "lhs", [rows, depth]),
    rhs: persistent(device, "rhs", [columns, depth]),
    y: persistent(device, "y", [rows, columns]),
  }));
  const plan = await Plan.record(
    device,
    (rec) => matmul(rec, { ...tensors, rows, columns, depth, transposeRhs: true }),
  );
  let best = Infinity;
  for (let run = 0; run <= RUNS; run++) {
    const time = await plan.milliseconds();
    if (run > 0) best = Math.min(best, time);
  }
  plan.destroy();
  for (const tensor of Object.values(tensors)) bufferOf(tensor).destroy();
  return best;
}
