// The learning rate of a training step: linear warm-up, then a cosine down to a tenth.
// Called by train.ts before each step. Source: get_lr() of nanoVLM v0.1, train.py, after Karpathy's build-nanogpt.
import type { TrainConfig } from "./config.ts";
import type { LearningRates } from "./optimizer.ts";

/**
 * Learning rate of optimizer step `step`, counted from 0, of a run of `maxSteps` steps whose highest rate is `maxLr`.
 *
 * The warm-up takes 3 % of the steps, which is not rounded: its last step may overshoot `maxLr`, as in nanoVLM.
 *
 * @throws {RangeError} if `step` is below 0 or `maxSteps` below 1
 */
export function getLr(step: number, maxLr: number, maxSteps: number): number {
  if (!(step >= 0) || !(maxSteps >= 1)) {
    throw new RangeError(
      `Cannot compute a learning rate: step ${step} of ${maxSteps}, expected a step of at least 0 of at least 1. Count steps from 0.`,
    );
  }
  const minLr = maxLr * 0.1;
  const warmupSteps = maxSteps * 0.03;
  if (step < warmupSteps) return maxLr * (step + 1) / warmupSteps;
  if (step > maxSteps) return minLr;
  const progress = (step - warmupSteps) / (maxSteps - warmupSteps);
  return minLr + 0.5 * (1 + Math.cos(Math.PI * progress)) * (maxLr - minLr);
}

/**
 * The learning rates of both parameter groups after `step` steps, at most the highest ones unless nanoVLM's own are asked for:
 * a warm-up of less than a step is none.
 */
export function ratesAt(
  step: number,
  steps: number,
  { lr_mp, lr_backbones, lr_overshoot }: Pick<
    TrainConfig,
    "lr_mp" | "lr_backbones" | "lr_overshoot"
  >,
): LearningRates {
  const rate = (highest: number) =>
    Math.min(getLr(step, highest, steps), lr_overshoot ? Infinity : highest);
  return { projector: rate(lr_mp), backbones: rate(lr_backbones) };
}

/** How many times the highest learning rate the warm-up's last step takes; 1 where it does not overshoot. */
export function overshoot(steps: number, train: Pick<TrainConfig, "lr_overshoot">): number {
  const last = Math.max(0, Math.ceil(0.03 * steps) - 1);
  return Math.max(1, ratesAt(last, steps, { ...train, lr_mp: 1, lr_backbones: 1 }).projector);
}
