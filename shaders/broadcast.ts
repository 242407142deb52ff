/**
 * The gradient of rows that were added to every sample of a batch, such as the position embedding.
 */
import { addColumnSums } from "./column_sum.ts";
import type { GradientTarget, Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/**
 * Records gradient (+)= sum over b of dy[b]: dy (B, N, C) in any shape, the target (N, C).
 *
 * @throws {TypeError} where dy is no batch of such rows.
 */
export function addBroadcast(rec: Recorder, target: GradientTarget, dy: Tensor): void {
  addColumnSums(rec, dy, target);
}
