/**
 * One training step as recorded plans: gradients to zero; forward, loss and backward of each micro-batch; norm, update.
 *
 * A plan a shape of micro-batches, most often the whole batch; losses and norms collect on the GPU and are read late,
 * several steps at once, because a wait for the GPU costs 12 ms in Deno.
 */
import { addInto } from "../shaders/add.ts";
import { Plan } from "../shaders/runtime/plan.ts";
import type { PlanSize } from "../shaders/runtime/plan_size.ts";
import { type KernelTime, sumTimes } from "../shaders/runtime/profile.ts";
import type { Recompute, Recorder } from "../shaders/runtime/recorder.ts";
import { bufferOf, persistent, readAll, type Tensor } from "../shaders/runtime/tensor.ts";
import { type BatchPlan, BatchPlans } from "./batch_plans.ts";
import {
  type BatchInputs,
  type HostBatch,
  labelCapacity,
  labelCount,
  partSizes,
  roomFor,
  splitBatch,
} from "./inputs.ts";
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

/** How to take steps. */
export interface TrainerOptions {
  /** What the backward pass computes again to save memory; "off" when absent. */
  readonly recompute?: Recompute;
  /** Rows of a batch that go through the model at once, the whole batch when absent; gradients of the parts add up. */
  readonly microBatchSize?: number;
}

/** What a step takes; see PlanSize. */
export type StepSize = Pick<PlanSize, "dispatches" | "flops" | "activationBytes" | "largest">;

/** The plans around those of micro-batches. */
interface Ends {
  /** Sets gradients and loss to zero. */
  readonly begin: Plan;
  /** Norm and update. */
  readonly end: Plan<{ norm: Tensor }>;
}

/** Steps whose results may wait on the GPU. */
const LOG_STEPS = 256;
/** Numbers that a step leaves in the log: loss, norm, loss scale, skipped steps. */
const LOG_WIDTH = 4;

/** Runs training steps. */
export class Trainer implements AsyncDisposable {
  readonly #plans: BatchPlans<void>;
  readonly #log: Tensor;
  /** [1]: of the step under way, summed over its micro-batches. */
  readonly #loss: Tensor;
  #ends: Promise<Ends> | undefined;
  #pending = 0;
  #step = 0;

  constructor(
    readonly model: VisionLanguageModel,
    readonly optimizer: AdamW,
    readonly options: TrainerOptions = {},
  ) {
    const { recompute = "off" } = options;
    this.#plans = new BatchPlans(
      model,
      (rec, inputs, labels) => this.#record(rec, inputs, labels),
      { training: true, recompute },
    );
    this.#log = persistent(model.device, "training log", [LOG_STEPS, LOG_WIDTH]);
    this.#loss = persistent(model.device, "step loss", [1]);
  }

  /** Kernel launches of a step for batches like this one. @throws {DeviceError} {ShaderError} */
  async dispatches(batch: HostBatch): Promise<number> {
    const { begin, end } = await this.#recordEnds();
    const plans = [begin, end];
    for (const part of this.#split(batch)) plans.push((await this.#planFor(part)).plan);
    return plans.reduce((sum, { dispatches }) => sum + dispatches, 0);
  }

  /**
   * Records steps for batches of `size` rows of `length` text tokens, every one of them with a label, and says what
   * such a step takes. Buffers are made on the way, where the device makes any.
   *
   * @throws {DeviceError} {ShaderError}
   */
  async measure(size: number, length: number): Promise<StepSize> {
    const { begin, end } = await this.#recordEnds();
    const sizes = [begin.size, end.size];
    for (const rows of partSizes(size, this.options.microBatchSize)) {
      const shape = { size: rows, length, labels: roomFor(rows * length) };
      sizes.push((await this.#plans.of(shape)).plan.size);
    }
    const sum = (key: "dispatches" | "flops") => sizes.reduce((total, s) => total + s[key], 0);
    return {
      dispatches: sum("dispatches"),
      flops: sum("flops"),
      activationBytes: Math.max(...sizes.map(({ activationBytes }) => activationBytes)),
      largest: sizes.map(({ largest }) => largest).reduce((a, b) => b.bytes > a.bytes ? b : a),
    };
  }

  /** Times the kernels of one step, which is taken. @throws {DeviceError} */
  async profile(batch: HostBatch): Promise<KernelTime[]> {
    const { begin, end } = await this.#recordEnds();
    begin.run();
    const times: KernelTime[] = [];
    for (const part of this.#split(batch)) {
      const { inputs, plan } = await this.#planFor(part);
      inputs.upload(part, labelCount(batch));
      times.push(...await plan.profile());
    }
    return sumTimes([...times, ...await end.profile()]);
  }

  /**
   * Takes a step; does not wait for it.
   *
   * @throws {DeviceError} {ShaderError} {RangeError} where the batch does not fit the model.
   */
  async step(batch: HostBatch, rates: LearningRates): Promise<void> {
    const { begin, end } = await this.#recordEnds();
    const parts = this.#split(batch);
    for (const part of parts) await this.#planFor(part);
    if (this.#pending === LOG_STEPS) {
      throw new RangeError("Cannot take a step: read the results of the last ones");
    }
    const { device } = this.model;
    device.check();
    const count = labelCount(batch);
    for (const [i, part] of parts.entries()) {
      const { inputs, plan } = await this.#planFor(part);
      inputs.upload(part, count);
      const encoder = device.gpu.createCommandEncoder({ label: "training step" });
      if (i === 0) begin.encode(encoder);
      plan.encode(encoder);
      if (i === parts.length - 1) {
        this.optimizer.setStep(++this.#step, rates);
        end.encode(encoder);
        this.#note(encoder, end.result.norm);
      }
      device.gpu.queue.submit([encoder.finish()]);
    }
  }

  /** Copies what a step leaves to its row of the log. */
  #note(encoder: GPUCommandEncoder, norm: Tensor): void {
    let offset = this.#pending * LOG_WIDTH * Float32Array.BYTES_PER_ELEMENT;
    const note = (value: Tensor, bytes: number) => {
      encoder.copyBufferToBuffer(bufferOf(value), 0, bufferOf(this.#log), offset, bytes);
      offset += bytes;
    };
    note(this.#loss, 4);
    note(norm, 4);
    if (this.optimizer.scaler) note(this.optimizer.scaler.state, 8);
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

  /** Counts on as after `step` steps; see training_state.ts. */
  goTo(step: number): void {
    this.#step = step;
    this.optimizer.scaler?.goTo(step, this.model.device);
  }

  /** Steps since the last `results()`. */
  get pending(): number {
    return this.#pending;
  }

  #split(batch: HostBatch): HostBatch[] {
    return splitBatch(batch, this.options.microBatchSize ?? batch.size);
  }

  #planFor(batch: HostBatch): Promise<BatchPlan<void>> {
    const { size, length } = batch;
    return this.#plans.of({ size, length, labels: labelCapacity(batch) });
  }

  #recordEnds(): Promise<Ends> {
    this.#ends ??= (async () => {
      const { model: { device }, optimizer } = this;
      const begin = await Plan.record(device, (rec) => {
        optimizer.zeroGradients(rec);
        rec.clear(this.#loss);
      });
      const end = await Plan.record(device, (rec) => ({ norm: rec.keep(optimizer.record(rec)) }));
      return { begin, end };
    })();
    return this.#ends;
  }

  /** Adds a micro-batch's share of loss and gradients. */
  #record(rec: Recorder, inputs: BatchInputs, capacity: number): void {
    const lossScale = this.optimizer.scaler?.state;
    const { loss } = this.model.loss(rec, inputs, { capacity, lossScale });
    rec.backprop(loss, rec.constant("dloss", [1], "f32", Float32Array.of(1)));
    addInto(rec, this.#loss, loss);
  }

  /** Frees the plans. */
  async destroy(): Promise<void> {
    await this.#plans.destroy();
    const ends = await this.#ends;
    for (const plan of [ends?.begin, ends?.end]) plan?.destroy();
    for (const tensor of [this.#log, this.#loss]) bufferOf(tensor).destroy();
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.destroy();
  }
}
