/**
 * Recorded plans by batch shape, over one pool of memory: a shape is recorded when it first comes, then replayed.
 *
 * Under training_step.ts and evaluation_step.ts.
 */
import { BufferPool } from "../shaders/runtime/memory.ts";
import { Plan } from "../shaders/runtime/plan.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import { BatchInputs } from "./inputs.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** A plan and the tensors that its batches are uploaded to. */
export interface BatchPlan<T> {
  readonly inputs: BatchInputs;
  readonly plan: Plan<T>;
}

/** The plans of one kind of step. What a run keeps, the next run of any of them overwrites. */
export class BatchPlans<T> {
  readonly #pool: BufferPool = new BufferPool();
  readonly #plans: Map<string, Promise<BatchPlan<T>>> = new Map();

  /** Records nothing yet; `build` records one step. */
  constructor(
    readonly model: VisionLanguageModel,
    readonly build: (rec: Recorder, inputs: BatchInputs) => T,
    readonly options: { training: boolean },
  ) {}

  /** The plan for a shape. @throws {DeviceError} {ShaderError} */
  of(shape: BatchInputs["shape"]): Promise<BatchPlan<T>> {
    const key = JSON.stringify(shape);
    let plan = this.#plans.get(key);
    if (!plan) {
      plan = this.#record(shape);
      this.#plans.set(key, plan);
    }
    return plan;
  }

  async #record(shape: BatchInputs["shape"]): Promise<BatchPlan<T>> {
    const { device, config } = this.model;
    const make = () => new BatchInputs(device, config, shape);
    const inputs = await device.scoped("make a batch's inputs", make);
    const options = { ...this.options, activation: this.model.dtype, pool: this.#pool };
    const plan = await Plan.record(device, (rec) => this.build(rec, inputs), options);
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
