/**
 * Benches of whole steps with random weights: forward and loss, training, prefill and decoding, by the product's own
 * Trainer and Generator; and where a training step's time goes.
 */
import type { VLMConfig } from "../../model/config.ts";
import { Generator } from "../../model/generator.ts";
import { BatchInputs, type HostBatch, imageTokens, labelCapacity } from "../../model/inputs.ts";
import { AdamW } from "../../model/optimizer.ts";
import { Trainer } from "../../model/training_step.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import { flopsOf } from "./flops.ts";
import { hostTimeOf } from "./host_clock.ts";
import type { Peaks } from "./peaks.ts";
import { type Budget, median, randomArray } from "./timing.ts";

/** One line of the report. */
export interface StepRow {
  readonly preset: string;
  readonly step: "forward" | "training" | "prefill" | "decoding";
  readonly batch: number;
  /** Of a step; decoding: of a token in every row. */
  readonly milliseconds: number;
  readonly samples: number;
  /** Rows of the batch, or tokens, in a second. */
  readonly per_second: number;
  readonly unit: "samples" | "tokens";
  readonly dispatches: number;
  /** Time of the calling thread for uploads, encoding and submitting. */
  readonly host_milliseconds: number;
  /** Its share of the step. */
  readonly host_share: number;
  /** Matrix products and attention, in the step's whole time; training and forward only. */
  readonly gflops?: number;
  readonly share_of_peak?: number;
}

/** A model with everything that its steps need. */
export interface StepSubject {
  readonly preset: string;
  readonly model: VisionLanguageModel;
  readonly optimizer: AdamW;
  readonly peaks: Peaks;
  readonly budget: Budget;
}

const RATES = { projector: 1e-4, backbones: 1e-5 };
/** New tokens of the shortest and the longest answer. */
const FEW_TOKENS = 16;
const MOST_TOKENS = 256;

/** A model with random weights, ready to train. @throws {DeviceError} */
export async function makeModel(device: Device, config: VLMConfig) {
  const options = { seed: 1, initialization: "fan_in", training: true } as const;
  const model = await VisionLanguageModel.fromScratch(device, config, options);
  await device.idle();
  return { model, optimizer: new AdamW(model.store) };
}

/** A batch of random pictures and tokens; the second half of each row has labels. */
export function randomBatch(config: VLMConfig, size: number): HostBatch {
  const { lm_max_length: length, lm_vocab_size: V, vit_img_size: side } = config;
  const inputIds = Int32Array.from({ length: size * length }, (_, i) => (i * 7919 + 13) % V);
  return {
    size,
    length,
    inputIds,
    attentionMask: new Int32Array(size * length).fill(1),
    labels: inputIds.map((id, i) => i % length < length / 2 ? -100 : id),
    images: randomArray(size * 3 * side * side, 0.25),
  };
}

/** Time and host time of a step. */
interface Measured {
  readonly milliseconds: number;
  readonly samples: number;
  readonly host: number;
  readonly dispatches: number;
}

/**
 * Repeats a step until the budget is spent. The calling thread's time is measured with the GPU idle before each step, as
 * on lavapipe the GPU computes on the same cores; the step's own time from there until the GPU is idle again, less the
 * time of waiting for an idle GPU.
 */
async function measure(
  device: Device,
  step: () => Promise<void>,
  { milliseconds: enough, runs }: Budget,
): Promise<Measured> {
  await step(); // warm-up: records, and drivers compile
  await device.idle();
  const [times, hosts]: number[][] = [[], []];
  let dispatches = 0;
  for (let spent = 0, run = 0; run < runs && (spent < enough || run < 2); run++) {
    const wait = await idleTime(device);
    const start = performance.now();
    const host = await hostTimeOf(step);
    await device.idle();
    const time = performance.now() - start - wait;
    spent += time;
    times?.push(time);
    hosts?.push(host.milliseconds);
    dispatches = host.dispatches;
  }
  return {
    milliseconds: median(times ?? []),
    samples: times?.length ?? 0,
    host: median(hosts ?? []),
    dispatches,
  };
}

/** What it costs to wait for a GPU that has nothing to do: 12 ms in Deno. */
async function idleTime(device: Device): Promise<number> {
  const start = performance.now();
  await device.idle();
  return performance.now() - start;
}
