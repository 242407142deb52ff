/**
 * Dynamic loss scaling for mixed precision: whether a step is applied, and what the scale is from then on.
 *
 * Between gradient_norm.ts and adamw.ts. Source: torch.amp.GradScaler; Micikevicius et al. 2018, "Mixed Precision
 * Training", section 3.2.
 */
import LOSS_SCALE_WGSL from "./loss_scale.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const FORWARD = kernel({
  name: "loss_scale.forward",
  code: [LOSS_SCALE_WGSL],
  entry: "forward",
  params: { ln_beta1: "f32", ln_beta2: "f32", interval: "f32" },
  bindings: ["scaled_norm", "state", "norm", "decision"],
});

/** GradScaler's first scale, and the good steps after which it doubles. */
const FIRST_SCALE = 65536;
const GROWTH_INTERVAL = 2000;

/** The first state, [4]: scale, skipped steps, good steps in a row, applied steps. */
export function firstLossScale(): Float32Array<ArrayBuffer> {
  return Float32Array.of(FIRST_SCALE, 0, 0, 0);
}

/** What lossScale() reads and writes. */
export interface LossScaleTensors {
  /** [1]: norm of all gradients of the scaled loss, from gradientNorm(). */
  readonly scaledNorm: Tensor;
  /** [4], from firstLossScale(), updated. */
  readonly state: Tensor;
  /** AdamW's, for the bias corrections. */
  readonly beta1: number;
  readonly beta2: number;
}

/**
 * Records the decision about a step: `norm` [1], the gradients' without the scale, and `decision` [3] for adamwMixed().
 */
export function lossScale(
  rec: Recorder,
  { scaledNorm: scaled_norm, state, beta1, beta2 }: LossScaleTensors,
): { norm: Tensor; decision: Tensor } {
  const [norm, decision] = [rec.tensor("gradient norm", [1]), rec.tensor("step decision", [3])];
  rec.dispatch(FORWARD, {
    params: { ln_beta1: Math.log(beta1), ln_beta2: Math.log(beta2), interval: GROWTH_INTERVAL },
    tensors: { scaled_norm, state, norm, decision },
    workgroups: [1],
  });
  return { norm, decision };
}
