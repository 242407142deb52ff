/**
 * The loss of batches that are not trained on, as recorded plans: forward and loss, no gradients.
 *
 * Between eval.ts and vision_language_model.ts, as training_step.ts is between train.ts and it.
 */
import { BufferPool } from "../shaders/runtime/memory.ts";
import { Plan } from "../shaders/runtime/plan.ts";
import type { Tensor } from "../shaders/runtime/tensor.ts";
import { BatchInputs, type HostBatch, IGNORED_LABEL, labelCapacity } from "./inputs.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** The loss of a batch. */
export interface BatchLoss {
  /** Sum over the batch's labels. */
  readonly sum: number;
  /** Labels that count. */
  readonly count: number;
}

interface Recorded {
  readonly inputs: BatchInputs;
  readonly plan: Plan<{ loss: Tensor }>;
}

/** Measures losses. */
export class LossMeter {
  readonly #pool: BufferPool = new BufferPool();
  readonly #plans: Map<string, Promise<Recorded>> = new Map();

  /** Records nothing yet. */
  constructor(readonly model: VisionLanguageModel) {}

  /**
   * Measures one batch.
   *
   * @throws {DeviceError} {ShaderError} {RangeError} where the batch does not fit the model.
   */
  async measure(batch: HostBatch): Promise<BatchLoss> {
    const count = batch.labels?.filter((label) => label !== IGNORED_LABEL).length ?? 0;
    if (count === 0) return { sum: 0, count };
    const { inputs, plan } = await this.#planFor(batch);
    inputs.upload(batch);
    plan.run();
    const [loss] = await plan.read(plan.result.loss);
    return { sum: (loss?.[0] ?? NaN) * count, count };
  }

  #planFor(batch: HostBatch): Promise<Recorded> {
    // Powers of two, so that few plans serve all batches.
    const labels = 2 ** Math.ceil(Math.log2(labelCapacity(batch)));
    const shape = { size: batch.size, length: batch.length, labels };
    const key = JSON.stringify(shape);
    let recorded = this.#plans.get(key);
    if (!recorded) {
      recorded = this.#record(shape);
      this.#plans.set(key, recorded);
    }
    return recorded;
  }

  async #record(shape: BatchInputs["shape"]): Promise<Recorded> {
    const { model } = this;
    const { device, config } = model;
    const inputs = await device.scoped(
      "make a batch's inputs",
      () => new BatchInputs(device, config, shape),
    );
    const plan = await Plan.record(
      device,
      (rec) => ({ loss: rec.keep(model.loss(rec, inputs).loss) }),
      { pool: this.#pool },
    );
    return { inputs, plan };
  }

  /** Frees the plans. */
  async destroy(): Promise<void> {
    for (const recorded of this.#plans.values()) {
      const { inputs, plan } = await recorded;
      plan.destroy();
      inputs.destroy();
    }
    this.#pool.destroy();
  }
}
