/**
 * How to train with the memory that there is: which micro-batch, and what to compute twice.
 *
 * Between train.ts and training_plan.ts. Ours; the two ways to save memory are gradient accumulation and gradient
 * checkpointing (Chen et al. 2016, "Training Deep Nets with Sublinear Memory Cost").
 */
import type { Device } from "../shaders/runtime/device.ts";
import type { Recompute } from "../shaders/runtime/recorder.ts";
import type { Activation } from "../shaders/runtime/tensor.ts";
import type { Part, VLMConfig } from "./config.ts";
import { planTraining, type TrainingPlan } from "./training_plan.ts";

/** What a user asks for. */
export interface MemoryRequest {
  /** Rows at once: the whole batch when undefined, the most that fit with "auto". */
  readonly microBatchSize: number | "auto" | undefined;
  /** "auto" is "off" where that fits. */
  readonly recompute: Recompute | "auto";
  /** Bytes to stay within; what can be had when undefined. */
  readonly limitBytes: number | undefined;
}

/** Memory that training may take. */
export interface MemoryLimit {
  readonly bytes: number;
  /** Who says so. */
  readonly source: "as asked" | "free on this machine";
}

/** A plan, and whether it fits. */
export interface Choice {
  readonly plan: TrainingPlan;
  /** Whether limits and memory suffice; memory that is unknown does. */
  readonly fits: boolean;
  /** Absent where it is unknown. */
  readonly limit: MemoryLimit | undefined;
  /** Where it does not fit: what does, if anything. */
  readonly remedy?: TrainingPlan;
}

/** What to choose for. */
export interface ChoiceOptions {
  readonly batchSize: number;
  readonly memory: MemoryRequest;
  /** "f32" when absent. */
  readonly dtype?: Activation;
  /** Parts that do not train; none when absent. */
  readonly frozen?: readonly Part[];
  /** Whether a GPU's unknown memory may be found out by taking it for a moment. */
  readonly probes: boolean;
}

/** Ways to save memory, the fastest first. */
const LEVELS: readonly Recompute[] = ["off", "on"];

/**
 * Chooses what was left open. With a given micro-batch, as little is computed twice as memory allows; otherwise the
 * micro-batch is the largest that fits, and smaller ones are preferred to computing anything twice. Where nothing fits,
 * the choice is what comes nearest.
 *
 * @throws {RangeError} where a given micro-batch has more rows than the device's kernels can be launched for.
 */
export async function choosePlan(
  device: Device,
  config: VLMConfig,
  options: ChoiceOptions,
): Promise<Choice> {
  const limit = limitOf(device, options.memory);
  const holds = async ({ totalBytes }: TrainingPlan) =>
    limit ? totalBytes <= limit.bytes : !options.probes || await device.canHold(totalBytes);
  const choice = await search(device, config, { ...options, holds });
  if (choice.fits) return { ...choice, limit };
  const memory = { ...options.memory, microBatchSize: "auto", recompute: "auto" } as const;
  const { plan: remedy, fits } = await search(device, config, { ...options, memory, holds });
  return { ...choice, limit, ...(fits ? { remedy } : {}) };
}

type Holds = (plan: TrainingPlan) => Promise<boolean>;

async function search(
  device: Device,
  config: VLMConfig,
  { batchSize, memory, dtype = "f32", frozen = [], holds }: ChoiceOptions & { holds: Holds },
): Promise<Pick<Choice, "plan" | "fits">> {
  const { microBatchSize: asked = batchSize, recompute } = memory;
  let nearest: TrainingPlan | undefined;
  for (const level of recompute === "auto" ? LEVELS : [recompute]) {
    const plan = (microBatchSize: number) =>
      planTraining(device, config, { batchSize, microBatchSize, recompute: level, dtype, frozen });
    if (asked === "auto") {
      const rows = await largest(batchSize, async (rows) => {
        const part = await orTooLarge(plan(rows));
        return part !== undefined && !part.obstacle && await holds(part);
      });
      nearest = await plan(Math.max(1, rows));
      if (rows > 0) return { plan: nearest, fits: true };
    } else {
      nearest = await plan(Math.min(batchSize, asked));
      if (await holds(nearest)) return { plan: nearest, fits: nearest.obstacle === undefined };
    }
  }
  if (!nearest) throw new RangeError("Cannot plan a step: there is no way left to take it");
  return { plan: nearest, fits: false };
}

/** A plan, or undefined where it takes more workgroups than a launch can have. */
async function orTooLarge(plan: Promise<TrainingPlan>): Promise<TrainingPlan | undefined> {
  try {
    return await plan;
  } catch (error) {
    if (error instanceof RangeError) return undefined;
    throw error;
  }
}

/** Memory by what is asked, or by what the system has. */
function limitOf(device: Device, { limitBytes }: MemoryRequest): MemoryLimit | undefined {
  if (limitBytes !== undefined) return { bytes: limitBytes, source: "as asked" };
  const { freeBytes } = device;
  return freeBytes === undefined ? undefined : { bytes: freeBytes, source: "free on this machine" };
}

/** The largest whole number up to `most` that passes, 0 where none does; all below one that passes do. */
async function largest(
  most: number,
  passes: (value: number) => Promise<boolean>,
): Promise<number> {
  let [low, high] = [0, most];
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if (await passes(middle)) low = middle;
    else high = middle - 1;
  }
  return low;
}
