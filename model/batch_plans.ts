/**
 * Recorded plans by batch shape, over one pool of memory: a shape is recorded when it first comes, then replayed.
 *
 * Under training_step.ts and evaluation_step.ts.
 */
import { BufferPool } from "../shaders/runtime/memory.ts";
import { Plan, type PlanOptions } from "../shaders/runtime/plan.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import { BatchInputs, roomFor } from "./inputs.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** A plan and the tensors that its batches are uploaded to. */
export interface BatchPlan<T> {
  readonly inputs: BatchInputs;
  readonly plan: Plan<T>;
}

/** The plans of one kind of step. What a run keeps, the next run of any of them overwrites. */
export class BatchPlans<T> {
  readonly #pool: BufferPool = new BufferPool();
  readonly #inputs: Map<string, Promise<BatchInputs>> = new Map();
  readonly #plans: Map<string, Promise<BatchPlan<T>>> = new Map();

  /** Records nothing yet; `build` records one step for batches of up to `labels` labels. */
  constructor(
    readonly model: VisionLanguageModel,
    readonly build: (rec: Recorder, inputs: BatchInputs, labels: number) => T,
    readonly options: Pick<PlanOptions, "training" | "recompute">,
  ) {}

  /** The plan for a shape; `labels` is cut to what the batch can have. @throws {DeviceError} {ShaderError} */
  of({ size, length, labels: asked }: BatchInputs["shape"]): Promise<BatchPlan<T>> {
    const most = roomFor(size * length);
    const shape = { size, length, labels: Math.min(asked, most) };
    const key = JSON.stringify(shape);
    let plan = this.#plans.get(key);
    if (!plan) {
      plan = this.#record(shape, most);
      this.#plans.set(key, plan);
    }
    return plan;
  }

  async #record({ labels, ...shape }: BatchInputs["shape"], most: number): Promise<BatchPlan<T>> {
    const { device, dtype: activation } = this.model;
    const inputs = await this.#inputsFor({ ...shape, labels: most });
    const options = { ...this.options, activation, pool: this.#pool };
    const plan = await Plan.record(device, (rec) => this.build(rec, inputs, labels), options);
    return { inputs, plan };
  }

  /** Input tensors, shared by plans that differ in the number of labels. */
  #inputsFor(shape: BatchInputs["shape"]): Promise<BatchInputs> {
    const { device, config } = this.model;
    const key = JSON.stringify(shape);
    let inputs = this.#inputs.get(key);
    if (!inputs) {
      const make = () => new BatchInputs(device, config, shape);
      inputs = device.scoped("make a batch's inputs", make);
      this.#inputs.set(key, inputs);
    }
    return inputs;
  }

  /** Frees the plans. */
  async destroy(): Promise<void> {
    for (const recorded of this.#plans.values()) (await recorded).plan.destroy();
    for (const inputs of this.#inputs.values()) (await inputs).destroy();
    this.#pool.destroy();
  }
}
