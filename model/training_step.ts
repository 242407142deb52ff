/**
 * One training step as a recorded plan: forward, loss, backward, norm, update.
 *
 * A plan a batch shape; losses and norms collect on the GPU and are read late, several steps at once, because a wait for
 * the GPU costs 12 ms in Deno.
 */
import { BufferPool } from "../shaders/runtime/memory.ts";
import { type KernelTime, Plan } from "../shaders/runtime/plan.ts";
import { bufferOf, persistent, readAll, type Tensor } from "../shaders/runtime/tensor.ts";
import { BatchInputs, type HostBatch, labelCapacity } from "./inputs.ts";
import type { AdamW, LearningRates } from "./optimizer.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** What a step reports. */
export interface StepResult {
  /** Mean loss over the batch's labels. */
  readonly loss: number;
  /** L2 norm of all gradients. */
  readonly gradientNorm: number;
}

interface Recorded {
  readonly inputs: BatchInputs;
  readonly plan: Plan<{ loss: Tensor; norm: Tensor }>;
}

/** Steps whose results may wait on the GPU. */
const LOG_STEPS = 256;

/** Runs training steps. */
export class Trainer {
  readonly #plans: Map<string, Promise<Recorded>> = new Map();
  readonly #pool: BufferPool = new BufferPool();
  readonly #log: Tensor;
  #pending = 0;
  #step = 0;

  constructor(readonly model: VisionLanguageModel, readonly optimizer: AdamW) {
    this.#log = persistent(model.device, "training log", [LOG_STEPS, 2]);
  }

  /** Kernel launches of a step for batches like this one. @throws {DeviceError} {ShaderError} */
  async dispatches(batch: HostBatch): Promise<number> {
    return (await this.#planFor(batch)).plan.dispatches;
  }

  /** Times the kernels of one step, which is taken. @throws {DeviceError} */
  async profile(batch: HostBatch): Promise<KernelTime[]> {
    const { inputs, plan } = await this.#planFor(batch);
    inputs.upload(batch);
    return plan.profile();
  }

  /**
   * Takes a step; does not wait for it.
   *
   * @throws {DeviceError} {ShaderError} {RangeError} where the batch does not fit the model.
   */
  async step(batch: HostBatch, rates: LearningRates): Promise<void> {
    const { inputs, plan } = await this.#planFor(batch);
    if (this.#pending === LOG_STEPS) {
      throw new RangeError("Cannot take a step: read the results of the last ones");
    }
    inputs.upload(batch);
    this.optimizer.setStep(++this.#step, rates);
    plan.run();
    const { gpu } = this.model.device;
    const encoder = gpu.createCommandEncoder({ label: "training log" });
    [plan.result.loss, plan.result.norm].forEach((value, i) => {
      const offset = (this.#pending * 2 + i) * Float32Array.BYTES_PER_ELEMENT;
      encoder.copyBufferToBuffer(bufferOf(value), 0, bufferOf(this.#log), offset, 4);
    });
    gpu.queue.submit([encoder.finish()]);
    this.#pending++;
  }

  /** Waits for the steps taken since the last call and gives their results. @throws {DeviceError} */
  async results(): Promise<StepResult[]> {
    const [data] = await readAll(this.model.device, [this.#log]);
    const results = Array.from({ length: this.#pending }, (_, i) => ({
      loss: data?.[2 * i] ?? NaN,
      gradientNorm: data?.[2 * i + 1] ?? NaN,
    }));
    this.#pending = 0;
    return results;
  }

  /** Steps since the last `results()`. */
  get pending(): number {
    return this.#pending;
  }

  #planFor(batch: HostBatch): Promise<Recorded> {
    const shape = { size: batch.size, length: batch.length, labels: labelCapacity(batch) };
    const key = JSON.stringify(shape);
    let recorded = this.#plans.get(key);
    if (!recorded) {
      recorded = this.#record(shape);
      this.#plans.set(key, recorded);
    }
    return recorded;
  }

  async #record(shape: BatchInputs["shape"]): Promise<Recorded> {
    const { model, optimizer } = this;
    const { device } = model;
    const inputs = await device.scoped(
      "make a batch's inputs",
      () => new BatchInputs(device, model.config, shape),
    );
    const plan = await Plan.record(device, (rec) => {
      optimizer.zeroGradients(rec);
      const { loss } = model.loss(rec, inputs);
      rec.backprop(loss, rec.constant("dloss", [1], "f32", Float32Array.of(1)));
      const norm = optimizer.gradientNorm(rec);
      optimizer.record(rec);
      return { loss: rec.keep(loss), norm: rec.keep(norm) };
    }, { training: true, pool: this.#pool });
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
    bufferOf(this.#log).destroy();
  }
}
