/**
 * Language model head and loss in one: rows without a label are dropped before the head, and logits exist only
 * for a chunk of rows at a time.
 *
 * The loss is the root of the backward pass, so while training each chunk's gradient is computed right after its
 * logits, over which it is written: one product forward and two backward a chunk, none of them twice.
 * Source: Hsu et al. 2024, "Liger Kernel", section 3.2 (fused linear cross-entropy).
 */
import { crossEntropy, meanLoss } from "./cross_entropy.ts";
import { gatherRows, gatherRowsBackward } from "./gather_rows.ts";
import { weightGradient } from "./linear.ts";
import { matmul } from "./matmul.ts";
import type { Recorder } from "./runtime/recorder.ts";
import { type Parameter, slice, type Tensor } from "./runtime/tensor.ts";

/** Bytes of logits in memory at a time. */
const CHUNK_BYTES = 32 * 2 ** 20;
/** Chunks begin at multiples of this many rows, which keeps their offsets aligned on every device. */
const CHUNK_STEP = 64;

/** The labelled rows of a batch. */
export interface LabelledRows {
  /** u32 (R): rows of `hidden`, distinct; NO_ROW fills up. */
  readonly rows: Tensor;
  /** u32 (R): their labels; NO_ROW fills up. */
  readonly labels: Tensor;
  /** u32 [1]: how many there are. */
  readonly count: Tensor;
}

/** What linearCrossEntropy() needs besides the rows and the head. */
export interface LinearCrossEntropyOptions extends LabelledRows {
  /** f32, whose first number multiplies the gradients, for mixed precision. */
  readonly lossScale?: Tensor | undefined;
}

/** The loss and its parts. */
export interface Loss {
  /** Mean over the labelled rows, [1]; 0 if there are none. */
  readonly loss: Tensor;
  /** Losses of the R rows, a tensor a chunk. */
  readonly tokenLosses: readonly Tensor[];
}

/**
 * Records the mean cross-entropy of softmax(hidden[rows] · Wᵀ): hidden (…, C), weight (V, C).
 *
 * Its gradient takes dloss = 1, or `lossScale`, and not what `backprop(loss, seed)` gives.
 */
export function linearCrossEntropy(
  rec: Recorder,
  hidden: Tensor,
  head: Parameter,
  { rows, labels, count, ...options }: LinearCrossEntropyOptions,
): Loss {
  const { lossScale = rec.constant("loss scale", [1], "f32", Float32Array.of(1)) } = options;
  const weight = rec.weight(head);
  const [vocabulary, width] = [weight.dim(0), weight.dim(1)];
  const loss = rec.tensor("loss", [1]);
  const gradient = rec.training && (hidden.needsGradient || weight.needsGradient);
  const steps = Math.max(1, Math.floor(CHUNK_BYTES / (4 * vocabulary * CHUNK_STEP)));
  const chunkRows = steps * CHUNK_STEP;
  const tokenLosses: Tensor[] = [];
  for (let first = 0; first < rows.length; first += chunkRows) {
    const length = Math.min(chunkRows, rows.length - first);
    const chunk = slice(rows, first, [length]);
    const x = gatherRows(rec, hidden, chunk);
    const logits = rec.tensor("logits", [length, vocabulary]);
    const product = { rows: length, columns: vocabulary, depth: width };
    matmul(rec, { lhs: x, rhs: weight, y: logits, ...product, transposeRhs: true });
    const tokenLoss = rec.tensor("token loss", [length]);
    const chunkLabels = slice(labels, first, [length]);
    crossEntropy(rec, { logits, labels: chunkLabels, count, tokenLoss, lossScale, gradient });
    meanLoss(rec, { tokenLoss, count, loss, accumulate: first > 0 });
    tokenLosses.push(tokenLoss);
    if (!gradient) continue;
    const dx = rec.tensor("d logits rows", x.shape, x.dtype);
    matmul(rec, {
      lhs: logits,
      rhs: weight,
      y: dx,
      rows: length,
      columns: width,
      depth: vocabulary,
    });
    weightGradient(rec, weight, undefined, x, logits);
    gatherRowsBackward(rec, hidden, chunk, dx);
  }
  rec.backward(loss, [hidden, weight], () => {}); // all done above
  return { loss, tokenLosses };
}
