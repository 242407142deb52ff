/**
 * The loss of batches that are not trained on, as recorded plans: forward and loss, no gradients.
 *
 * Between eval.ts and vision_language_model.ts, as training_step.ts is between train.ts and it.
 */
import type { Tensor } from "../shaders/runtime/tensor.ts";
import { BatchPlans } from "./batch_plans.ts";
import { type HostBatch, labelCount, roomFor } from "./inputs.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** The loss of a batch. */
export interface BatchLoss {
  /** Sum over the batch's labels. */
  readonly sum: number;
  /** Labels that count. */
  readonly count: number;
}

/** Measures losses. */
export class LossMeter implements AsyncDisposable {
  readonly #plans: BatchPlans<{ loss: Tensor }>;

  /** Records nothing yet. */
  constructor(readonly model: VisionLanguageModel) {
    this.#plans = new BatchPlans(
      model,
      (rec, inputs, labels) => ({
        loss: rec.keep(model.loss(rec, inputs, { capacity: labels }).loss),
      }),
      { training: false },
    );
  }

  /**
   * Measures one batch.
   *
   * @throws {DeviceError} {ShaderError} {RangeError} where the batch does not fit the model.
   */
  async measure(batch: HostBatch): Promise<BatchLoss> {
    const count = labelCount(batch);
    if (count === 0) return { sum: 0, count };
    // Powers of two, so that few plans serve all batches.
    const labels = 2 ** Math.ceil(Math.log2(roomFor(count)));
    const { size, length } = batch;
    const { inputs, plan } = await this.#plans.of({ size, length, labels });
    inputs.upload(batch);
    plan.run();
    const [loss] = await plan.read(plan.result.loss);
    return { sum: (loss?.[0] ?? NaN) * count, count };
  }

  /** Frees the plans. */
  destroy(): Promise<void> {
    return this.#plans.destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}
