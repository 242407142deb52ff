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
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import type { Activation } from "../../shaders/runtime/tensor.ts";
import { launchesOf, threadMilliseconds } from "./host_clock.ts";
import type { Peaks } from "./peaks.ts";
import { type Budget, median } from "./timing.ts";
import { randomArray } from "./values.ts";

/** One line of the report. */
export interface StepRow {
  readonly preset: string;
  /** "f16": mixed precision. */
  readonly dtype: Activation;
  readonly step: "forward" | "training" | "prefill" | "decoding";
  readonly batch: number;
  /** Of a step; decoding: of a token in every row. */
  readonly milliseconds: number;
  readonly samples: number;
  /** Rows of the batch, or tokens, in a second. */
  readonly per_second: number;
  readonly unit: "samples" | "tokens";
  readonly dispatches: number;
  /** What the calling thread computes in a step: uploads, encoding, submitting, reading. */
  readonly host_milliseconds: number;
  /** Its share of the step. */
  readonly host_share: number;
  /** Matrix products and attention, in the step's whole time. */
  readonly gflops: number;
  readonly share_of_peak: number;
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
export async function makeModel(device: Device, config: VLMConfig, dtype: Activation) {
  const options = { seed: 1, initialization: "fan_in", training: true, dtype } as const;
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

/** Every kind of step at one batch size, as `kinds` says. @throws {DeviceError} {ShaderError} */
export async function measureSteps(
  subject: StepSubject,
  batch: number,
  kinds: readonly StepRow["step"][],
): Promise<StepRow[]> {
  const rows: StepRow[] = [];
  if (kinds.includes("forward")) rows.push(await forwardRow(subject, batch));
  if (kinds.includes("training")) rows.push(await trainingRow(subject, batch));
  if (kinds.includes("prefill") || kinds.includes("decoding")) {
    rows.push(...(await answerRows(subject, batch)).filter(({ step }) => kinds.includes(step)));
  }
  return rows;
}

/** Forward and loss, nothing kept for a backward pass. */
async function forwardRow(subject: StepSubject, size: number): Promise<StepRow> {
  const { model, budget } = subject;
  const { device, config } = model;
  const batch = randomBatch(config, size);
  const shape = { size, length: batch.length, labels: labelCapacity(batch) };
  const inputs = new BatchInputs(device, config, shape);
  const record = (rec: Recorder) => rec.keep(model.loss(rec, inputs).loss);
  const plan = await Plan.record(device, record, { activation: model.dtype });
  const measured = await measure(device, {
    step: () => {
      inputs.upload(batch);
      plan.run();
      return Promise.resolve();
    },
    settle: async () => checkLosses([(await plan.read(plan.result))[0]?.[0]]),
  }, budget);
  plan.destroy();
  inputs.destroy();
  return stepRow(subject, { step: "forward", batch: size, measured });
}

/** Forward, loss, backward, gradient norm and update. */
async function trainingRow(subject: StepSubject, size: number): Promise<StepRow> {
  const { model, optimizer, budget } = subject;
  const batch = randomBatch(model.config, size);
  const trainer = new Trainer(model, optimizer);
  const measured = await measure(model.device, {
    step: () => trainer.step(batch, RATES),
    settle: async () => checkLosses((await trainer.results()).map(({ loss }) => loss)),
  }, budget);
  await trainer.destroy();
  return stepRow(subject, { step: "training", batch: size, measured });
}

/** Greedy answers: the first token, and each one after it. */
async function answerRows(subject: StepSubject, size: number): Promise<StepRow[]> {
  const { model, budget } = subject;
  const { device, config } = model;
  const batch = randomBatch(config, size);
  const generator = new Generator(model);
  const answer = (maxNewTokens: number): Work => ({
    step: async () => {
      await generator.generate(batch, { maxNewTokens, mode: "greedy" });
    },
    settle: () => Promise.resolve(),
    most: 1,
  });
  const prefill = await measure(device, answer(1), budget);
  const few = await measure(device, answer(1 + FEW_TOKENS), { ...budget, runs: 1 });
  const token = Math.max(0.1, (few.milliseconds - prefill.milliseconds) / FEW_TOKENS);
  const length = imageTokens(config) + batch.length;
  const room = config.lm_max_position_embeddings - length - 1;
  const wanted = Math.max(FEW_TOKENS, Math.ceil(1000 / token));
  const tokens = Math.min(wanted, MOST_TOKENS, room);
  const all = tokens > FEW_TOKENS ? await measure(device, answer(1 + tokens), budget) : few;
  generator.destroy();
  const each = (a: number, b: number) => (a - b) / tokens;
  const decoding = {
    milliseconds: each(all.milliseconds, prefill.milliseconds),
    samples: all.samples * tokens,
    host: each(all.host, prefill.host),
    dispatches: Math.round(each(all.dispatches, prefill.dispatches)),
    flops: each(all.flops, prefill.flops),
  };
  return [
    stepRow(subject, { step: "prefill", batch: size, measured: prefill, tokens: length }),
    stepRow(subject, { step: "decoding", batch: size, measured: decoding, tokens: 1 }),
  ];
}

/** Where the time of a training step goes, by kernel, slowest first. @throws {DeviceError} {ShaderError} */
export async function profileStep(
  { preset, model, optimizer }: StepSubject,
  size: number,
): Promise<ProfileRow[]> {
  const batch = randomBatch(model.config, size);
  const trainer = new Trainer(model, optimizer);
  await trainer.profile(batch); // warm-up
  const times = await trainer.profile(batch);
  await trainer.destroy();
  const total = times.reduce((sum, { milliseconds }) => sum + milliseconds, 0);
  return times.map(({ name, count, milliseconds, flops }) => {
    const gflops = flops > 0 ? { gflops: flops / milliseconds / 1e6 } : {};
    return {
      preset,
      dtype: model.dtype,
      batch: size,
      name,
      count,
      milliseconds,
      share: milliseconds / total,
      ...gflops,
    };
  });
}

/** A kernel in a step's profile. */
export interface ProfileRow {
  readonly preset: string;
  readonly dtype: Activation;
  readonly batch: number;
  readonly name: string;
  readonly count: number;
  readonly milliseconds: number;
  readonly share: number;
  /** Where its flops are known. */
  readonly gflops?: number;
}

function checkLosses(losses: readonly (number | undefined)[]): void {
  const wrong = losses.find((loss) => loss === undefined || !(loss > 0 && loss < Infinity));
  if (losses.length > 0 && wrong === undefined) return;
  throw new Error(`Cannot accept the step: found a loss of ${wrong}, expected a number above 0`);
}

function stepRow(
  { preset, model, peaks }: StepSubject,
  { step, batch, measured, tokens }: {
    step: StepRow["step"];
    batch: number;
    measured: Measured;
    /** Of each row, where tokens count; otherwise rows do. */
    tokens?: number;
  },
): StepRow {
  const { milliseconds, samples, host, dispatches, flops } = measured;
  const gflops = flops / milliseconds / 1e6;
  return {
    preset,
    dtype: model.dtype,
    step,
    batch,
    milliseconds,
    samples,
    per_second: batch * (tokens ?? 1) / milliseconds * 1e3,
    unit: tokens === undefined ? "samples" : "tokens",
    dispatches,
    host_milliseconds: host,
    host_share: host / milliseconds,
    gflops,
    share_of_peak: gflops / peaks.f32.rate,
  };
}

/** A step to repeat. */
interface Work {
  /** Starts a step; need not wait for it. */
  readonly step: () => Promise<void>;
  /** Waits for the steps. */
  readonly settle: () => Promise<void>;
  /** Steps between two waits, at most. */
  readonly most?: number;
}

/** Time and host time of a step. */
interface Measured {
  readonly milliseconds: number;
  readonly samples: number;
  readonly host: number;
  readonly dispatches: number;
  readonly flops: number;
}

/**
 * Repeats a step until the budget is spent. Deno takes 12 ms to see that a GPU is idle, so short steps are timed several
 * at a time, and what waiting for an idle GPU takes is subtracted.
 */
async function measure(device: Device, work: Work, budget: Budget): Promise<Measured> {
  const { step, settle, most = 64 } = work;
  await step(); // warm-up: plans are recorded, and drivers compile
  await settle();
  const launches = await launchesOf(step);
  await settle();
  const [times, hosts]: [number[], number[]] = [[], []];
  let [steps, spent] = [1, 0];
  for (let run = 0; run < budget.runs && spent < budget.milliseconds; run++) {
    const wait = await idleTime(device);
    const [start, hostStart] = [performance.now(), threadMilliseconds()];
    for (let i = 0; i < steps; i++) await step();
    await settle();
    const time = performance.now() - start - wait;
    const wanted = Math.min(most, Math.ceil(budget.milliseconds / 2 / Math.max(time, 1)));
    if (run === 0 && wanted > 1) {
      steps = wanted; // the first run only told how long a step is
      continue;
    }
    hosts.push((threadMilliseconds() - hostStart) / steps);
    times.push(time / steps);
    spent += time;
  }
  return { milliseconds: median(times), samples: times.length, host: median(hosts), ...launches };
}

/** What it costs to wait for a GPU that has nothing to do. */
async function idleTime(device: Device): Promise<number> {
  const start = performance.now();
  await device.idle();
  return performance.now() - start;
}
