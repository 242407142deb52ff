/**
 * The optimizer's benches: AdamW and the gradients' norm, as long as one binding, a model or reason allows.
 */
import { adamw, adamwHyper, adamwMixed } from "../../shaders/adamw.ts";
import { gradientNorm } from "../../shaders/gradient_norm.ts";
import { type Activation, slice } from "../../shaders/runtime/tensor.ts";
import type { KernelCase } from "./kernels.ts";
import { type Definition, FORWARD, memoryCase, passes } from "./memory_case.ts";
import { checkAdamw, checkGradientNorm } from "./memory_checks.ts";

/** Parameters that are enough for the optimizer's speed: 256 MiB a buffer, larger than caches. */
const MOST_PARAMETERS = 2 ** 26;

/** AdamW and the gradients' norm over the model's parameters, or as many as `limit` bytes hold or are enough. */
export function optimizerCases(
  preset: string,
  parameters: number,
  { limit, dtype }: { limit: number; dtype: Activation },
): KernelCase[] {
  const most = Math.min(MOST_PARAMETERS, Math.floor(limit / 4 / 64) * 64);
  const n = Math.min(Math.ceil(parameters / 64) * 64, most);
  return [
    memoryCase(`${preset} AdamW`, dtype, update(n, dtype)),
    memoryCase(`${preset} gradient norm`, dtype, {
      shape: [n],
      work: { [FORWARD]: { bytes: passes(1, [n]) } },
      make: (inputs) => {
        const gradient = inputs.f32([n]);
        return (rec, mark) => {
          mark(FORWARD);
          return [gradientNorm(rec, [gradient]).norm];
        };
      },
      check: ([norm]) => checkGradientNorm(norm, n),
    }),
  ];
}

/** AdamW; in mixed precision it also writes the f16 copies. */
function update(n: number, dtype: Activation): Definition {
  const isMixed = dtype === "f16";
  const few = [Math.min(4096, n)];
  return {
    shape: [n],
    work: { [FORWARD]: { bytes: passes(7, [n]) + (isMixed ? passes(1, [n], "f16") : 0) } },
    make: (inputs) => {
      const [value, gradient] = [inputs.f32([n]), inputs.f32([n], 0.01)];
      const [m, v, half] = [inputs.zeros([n]), inputs.zeros([n]), inputs.zeros([n], "f16")];
      const hyper = inputs.given([8], adamwHyper(HYPER));
      const decision = inputs.given([3], Float32Array.of(1, 1 - HYPER.beta1, 1 - HYPER.beta2));
      return (rec, mark) => {
        mark(FORWARD);
        if (isMixed) adamwMixed(rec, { value, gradient, m, v, hyper, half, decision });
        else adamw(rec, { value, gradient, m, v, hyper });
        return [slice(value, 0, few)];
      };
    },
    check: ([value]) => checkAdamw(value, n, HYPER),
  };
}

const HYPER = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0.01,
  step: 1,
};
