/**
 * What ends a run whose numbers are none any more, and the search for the tensor that went bad first.
 *
 * Between train.ts, step_log.ts and model/anomaly.ts. Ours.
 */
import { firstNotFinite } from "../model/anomaly.ts";
import type { HostBatch } from "../model/inputs.ts";
import type { Run } from "./run.ts";

/** Training goes nowhere any more: the loss or the gradients are no numbers. */
export class NotFinite extends RangeError {
  override name = "NotFinite";

  /** `step` is the one it was seen at. */
  constructor(message: string, readonly step: number) {
    super(message);
  }
}

/**
 * Looks at all tensors of a step before it is taken.
 *
 * @throws {NotFinite} where one is not finite, naming the first
 */
export async function requireFinite(
  model: Run["model"],
  batch: HostBatch,
  step: number,
): Promise<void> {
  const found = await firstNotFinite(model, batch);
  if (found === undefined) return;
  throw new NotFinite(
    `Cannot go on training: at step ${step}, ${found} is the first tensor that is not finite, expected finite numbers; lower ` +
      `the learning rates with --lr-mp and --lr-backbones`,
    step,
  );
}
