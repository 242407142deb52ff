/**
 * One training step as a recorded plan: forward, loss, backward, norm, update.
 *
 * A plan a batch shape; losses and norms collect on the GPU and are read late, several steps at once, because a wait for
 * the GPU costs 12 ms in Deno.
 */
import type { KernelTime } from "../shaders/runtime/plan.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import { bufferOf, persistent, readAll, type Tensor } from "../shaders/runtime/tensor.ts";
import { type BatchPlan, BatchPlans } from "./batch_plans.ts";
import { type BatchInputs, type HostBatch, labelCapacity } from "./inputs.ts";
import type { AdamW, LearningRates } from "./optimizer.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** What a step reports. */
export interface StepResult {
  /** Mean loss over the batch's labels. */
  readonly loss: number;
  /** L2 norm of all gradients. */
  readonly gradientNorm: number;
  /** The loss scale after the step, in mixed precision. */
  readonly lossScale?: number;
  /** Steps skipped so far, this one included, since their gradients overflowed in mixed precision. */
  readonly skipped?: number;
}

/** What a recorded step leaves on the GPU. */
interface StepTensors {
  readonly loss: Tensor;
  readonly norm: Tensor;
}

/** Steps whose results may wait on the GPU. */
const LOG_STEPS = 256;
/** Numbers that a step leaves in the log: loss, norm, loss scale, skipped steps. */
const LOG_WIDTH = 4;

/** Runs training steps. */
export class Trainer {
  readonly #plans: BatchPlans<StepTensors>;
  readonly #log: Tensor;
  #pending = 0;
  #step = 0;

  constructor(readonly model: VisionLanguageModel, readonly optimizer: AdamW) {
    this.#plans = new BatchPlans(model, (rec, inputs) => this.#record(rec, inputs), {
      training: true,
    });
    this.#log = persistent(model.device, "training log", [LOG_STEPS, LOG_WIDTH]);
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
    this.#note(plan.result);
  }

  /** Copies what the step leaves to its row of the log. */
  #note({ loss, norm }: StepTensors): void {
    const { gpu } = this.model.device;
    const encoder = gpu.createCommandEncoder({ label: "training log" });
    let offset = this.#pending * LOG_WIDTH * Float32Array.BYTES_PER_ELEMENT;
    const note = (value: Tensor, bytes: number) => {
      encoder.copyBufferToBuffer(bufferOf(value), 0, bufferOf(this.#log), offset, bytes);
      offset += bytes;
    };
    note(loss, 4);
    note(norm, 4);
    if (this.optimizer.scaler) note(this.optimizer.scaler.state, 8);
    gpu.queue.submit([encoder.finish()]);
    this.#pending++;
  }

  /** Waits for the steps taken since the last call and gives their results. @throws {DeviceError} */
  async results(): Promise<StepResult[]> {
    const [data] = await readAll(this.model.device, [this.#log]);
    const results = Array.from({ length: this.#pending }, (_, i) => {
      const row = data?.subarray(i * LOG_WIDTH, (i + 1) * LOG_WIDTH) ?? [];
      const [loss = NaN, gradientNorm = NaN, lossScale = NaN, skipped = NaN] = row;
      return { loss, gradientNorm, ...(this.optimizer.scaler ? { lossScale, skipped } : {}) };
    });
    this.#pending = 0;
    return results;
  }

  /** Steps since the last `results()`. */
  get pending(): number {
    return this.#pending;
  }

  #planFor(batch: HostBatch): Promise<BatchPlan<StepTensors>> {
    const { size, length } = batch;
    return this.#plans.of({ size, length, labels: labelCapacity(batch) });
  }

  #record(rec: Recorder, inputs: BatchInputs): StepTensors {
    const { model, optimizer } = this;
    optimizer.zeroGradients(rec);
    const { loss } = model.loss(rec, inputs, optimizer.scaler?.state);
    rec.backprop(loss, rec.constant("dloss", [1], "f32", Float32Array.of(1)));
    const norm = optimizer.record(rec);
    return { loss: rec.keep(loss), norm: rec.keep(norm) };
  }

  /** Frees the plans. */
  async destroy(): Promise<void> {
    await this.#plans.destroy();
    bufferOf(this.#log).destroy();
  }
}
