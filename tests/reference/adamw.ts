// AdamW, the gradient norm and clipping, float64: what happens after the backward pass.
// Source: torch.optim.AdamW (Loshchilov and Hutter 2019, algorithm 2) and
// torch.nn.utils.clip_grad_norm_.

import { expectLength } from "./arrays.ts";

/** One parameter group: four arrays of one length. */
export interface AdamwState {
  parameter: Float64Array;
  firstMoment: Float64Array;
  secondMoment: Float64Array;
}

/** Torch's hyperparameters; step counts from 1. */
export interface AdamwOptions {
  learningRate: number;
  step: number;
  beta1?: number;
  beta2?: number;
  epsilon?: number;
  weightDecay?: number;
}

/**
 * One step of AdamW: decay parameter by 1 - learningRate · weightDecay, update the moments, subtract
 * learningRate · m̂ / (sqrt(v̂) + epsilon). Returns a new state; defaults are torch's.
 *
 * @throws {TypeError} when the lengths differ.
 * @throws {RangeError} when step is no integer of at least 1.
 */
export function adamw(
  state: AdamwState,
  gradient: Float64Array,
  options: AdamwOptions,
): AdamwState {
  const {
    learningRate,
    step,
    beta1 = 0.9,
    beta2 = 0.999,
    epsilon = 1e-8,
    weightDecay = 0.01,
  } = options;
  const length = state.parameter.length;
  if (!Number.isInteger(step) || step < 1) {
    throw new RangeError(
      `Cannot take step ${step} of AdamW: found ${step}, expected an integer of at least 1. ` +
        `Count steps from 1.`,
    );
  }
  expectLength("gradient", gradient, length);
  expectLength("firstMoment", state.firstMoment, length);
  expectLength("secondMoment", state.secondMoment, length);
  const firstMoment = state.firstMoment.map((m, i) => beta1 * m + (1 - beta1) * gradient[i]!);
  const secondMoment = state.secondMoment.map((v, i) =>
    beta2 * v + (1 - beta2) * gradient[i]! ** 2
  );
  const parameter = state.parameter.map((p, i) => {
    const mean = firstMoment[i]! / (1 - beta1 ** step);
    const deviation = Math.sqrt(secondMoment[i]! / (1 - beta2 ** step));
    return p * (1 - learningRate * weightDecay) -
      learningRate * mean / (deviation + epsilon);
  });
  return { parameter, firstMoment, secondMoment };
}

/** L2 norm over all the gradients together. */
export function gradientNorm(gradients: Float64Array[]): number {
  let sum = 0;
  for (const gradient of gradients) for (const g of gradient) sum += g * g;
  return Math.sqrt(sum);
}

/**
 * The norm before clipping, and the gradients times min(1, maxNorm / (norm + 1e-6)), as torch clips.
 */
export function clipGradients(
  gradients: Float64Array[],
  maxNorm: number,
): { norm: number; gradients: Float64Array[] } {
  const norm = gradientNorm(gradients);
  const factor = Math.min(1, maxNorm / (norm + 1e-6));
  return {
    norm,
    gradients: gradients.map((gradient) => gradient.map((g) => g * factor)),
  };
}
