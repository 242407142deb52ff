/**
 * The training loss over rows of logits, with its gradient written over them (torch's cross_entropy with
 * ignore_index, as in nanoVLM v0.1 models/vision_language_model.py).
 */
import CROSS_ENTROPY_WGSL from "./cross_entropy.wgsl" with { type: "text" };
import MEAN_LOSS_WGSL from "./mean_loss.wgsl" with { type: "text" };
import { dispatchRows, rowKernel } from "./row_reduction.ts";
import { kernel } from "./runtime/kernel.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const FORWARD = rowKernel({
  name: "cross_entropy.forward",
  code: [CROSS_ENTROPY_WGSL],
  entry: "forward",
  params: { rows: "u32", V: "u32" },
  bindings: ["labels", "count", "loss_scale", "logits", "token_loss"],
});
const MEAN = kernel({
  name: "cross_entropy.mean",
  code: [MEAN_LOSS_WGSL],
  entry: "forward",
  params: { rows: "u32" },
  bindings: ["token_loss", "count", "loss"],
});

/** The label of a row that does not count. */
export const NO_LABEL = 0xffffffff;

/** What crossEntropy() reads and writes. */
export interface CrossEntropyTensors {
  /** (R, V); overwritten with the gradient of the mean loss where `gradient` is true. */
  readonly logits: Tensor;
  /** u32 (R), NO_LABEL where the row does not count. */
  readonly labels: Tensor;
  /** u32 [1]: labelled rows in the whole batch. */
  readonly count: Tensor;
  /** (R), written; 0 where the row does not count. */
  readonly tokenLoss: Tensor;
  /** f32, whose first number multiplies the gradient: 1, or the loss scale of mixed precision. */
  readonly lossScale: Tensor;
  readonly gradient: boolean;
}

/**
 * Records token losses, and where `gradient` is true (softmax - onehot) / count · lossScale over the logits.
 *
 * @throws {TypeError} where shapes do not fit.
 */
export function crossEntropy(rec: Recorder, options: CrossEntropyTensors): void {
  const { logits, labels, count, tokenLoss: token_loss, lossScale: loss_scale, gradient } = options;
  const V = logits.dim(-1);
  const rows = logits.length / V;
  if (labels.length !== rows || token_loss.length !== rows || labels.dtype !== "u32") {
    throw new TypeError(
      `Cannot score ${logits}: labels ${labels.dtype} ${labels}, losses ${token_loss}, expected ${rows} each, labels u32`,
    );
  }
  dispatchRows(rec, FORWARD, {
    params: { rows, V },
    tensors: { labels, count, loss_scale, logits, token_loss },
    rows,
    constants: { GRADIENT: gradient },
  });
}

/** What meanLoss() reads and writes. */
export interface MeanLossTensors {
  /** (R). */
  readonly tokenLoss: Tensor;
  /** u32 [1]. */
  readonly count: Tensor;
  /** [1], written, or added to where `accumulate` is true. */
  readonly loss: Tensor;
  readonly accumulate?: boolean;
}

/** Records loss = sum of tokenLoss / count, in a fixed order; 0 where count is 0. */
export function meanLoss(rec: Recorder, options: MeanLossTensors): void {
  const { tokenLoss: token_loss, count, loss, accumulate = false } = options;
  rec.dispatch(MEAN, {
    params: { rows: token_loss.length },
    tensors: { token_loss, count, loss },
    workgroups: [1],
    constants: { ACCUMULATE: accumulate },
  });
}
