/**
 * Time on the GPU: ops recorded by the product's own functions, with a timestamp around every launch.
 *
 * Under all benches of single kernels. Medians, after a warm-up in which drivers compile.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import { type Activation, slice, type Tensor } from "../../shaders/runtime/tensor.ts";

/** How long to measure. */
export interface Budget {
  /** Enough GPU time for a median, in milliseconds. */
  readonly milliseconds: number;
  /** Runs at most, however short they are. */
  readonly runs: number;
}

/** The time of one part of an op. */
export interface Timing {
  /** Median over the samples, in milliseconds. */
  readonly milliseconds: number;
  /** The shortest sample, which other work on the machine disturbed least: for peaks. */
  readonly least: number;
  readonly samples: number;
}

/**
 * Records an op once and returns the tensors that check() wants to see. Launches after `mark(part)` count for that part;
 * those before the first mark, and after `mark(undefined)`, count for none.
 */
export type Build = (
  rec: Recorder,
  mark: (part: string | undefined) => void,
) => readonly Tensor[];

/** What to measure. */
export interface Subject {
  readonly build: Build;
  /** "f16": recorded in mixed precision; "f32" when absent. */
  readonly activation?: Activation;
  /** Throws where the values of build()'s tensors after one run are wrong. */
  readonly check?: (outputs: readonly Float32Array[]) => void | Promise<void>;
  /** Splits a part by kernel; by default all launches of a part are one. */
  readonly partOf?: (part: string, kernel: string) => string;
}

/** Runs are made this long, in milliseconds, by recording an op several times, so that a GPU is busy while it is timed. */
const RUN_MILLISECONDS = 20;
const MOST_COPIES = 64;
const LEAST_SAMPLES = 3;

/**
 * Runs the subject once and checks it, then measures the time of each of its parts.
 *
 * @throws {Error} what check() throws.
 * @throws {DeviceError} {ShaderError}
 */
export async function timeParts(
  device: Device,
  subject: Subject,
  budget: Budget,
): Promise<Map<string, Timing>> {
  const single = await Copies.record(device, subject, 1);
  single.plan.run();
  await subject.check?.(await single.plan.read(...single.plan.result));
  await single.sample();
  const once = total(await single.sample());
  const copies = Math.max(1, Math.min(MOST_COPIES, Math.floor(RUN_MILLISECONDS / once)));
  const repeated = copies > 1 ? await Copies.record(device, subject, copies) : single;
  if (copies > 1) await repeated.sample();
  const samples: Map<string, number>[] = [];
  let spent = 0;
  for (let run = 0; run < budget.runs; run++) {
    const times = await repeated.sample();
    samples.push(...times);
    spent += total(times);
    if (spent >= budget.milliseconds && samples.length >= LEAST_SAMPLES) break;
  }
  for (const { plan } of new Set([single, repeated])) plan.destroy();
  return medians(samples);
}

/** The median of numbers. */
export function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const upper = sorted[middle] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? NaN) + upper) / 2;
}

/** The same memory as a tensor of its own, so that each copy of an op has a gradient of its own. */
export function alias(tensor: Tensor, { gradient = false } = {}): Tensor {
  const copy = slice(tensor, 0, tensor.shape);
  copy.needsGradient = gradient;
  return copy;
}

/** A plan of one or several copies of an op. */
class Copies {
  private constructor(
    readonly plan: Plan<readonly Tensor[]>,
    readonly subject: Subject,
    /** Of each launch: its copy and part. */
    readonly places: readonly { copy: number; part: string | undefined }[],
    readonly count: number,
  ) {}

  static async record(device: Device, subject: Subject, count: number): Promise<Copies> {
    const places: { copy: number; part: string | undefined }[] = [];
    const { build, activation = "f32" } = subject;
    const plan = await Plan.record(device, (rec) => {
      let kept: readonly Tensor[] = [];
      for (let copy = 0; copy < count; copy++) {
        let part: string | undefined;
        const mark = (next: string | undefined) => {
          const launches = rec.commands.filter((command) => "kernel" in command).length;
          while (places.length < launches) places.push({ copy, part });
          part = next;
        };
        const outputs = build(rec, mark);
        mark(undefined);
        if (copy === 0) kept = outputs;
      }
      for (const tensor of kept) rec.keep(tensor);
      return kept;
    }, { training: true, activation });
    return new Copies(plan, subject, places, count);
  }

  /** Runs once: of each copy, the time of each part. */
  async sample(): Promise<Map<string, number>[]> {
    const times = Array.from({ length: this.count }, () => new Map<string, number>());
    const { partOf } = this.subject;
    (await this.plan.launchTimes()).forEach(({ name, milliseconds }, i) => {
      const { copy, part } = this.places[i] ?? {};
      if (copy === undefined || part === undefined) return;
      const key = partOf?.(part, name) ?? part;
      const its = times[copy];
      its?.set(key, (its.get(key) ?? 0) + milliseconds);
    });
    return times;
  }
}

function total(samples: readonly Map<string, number>[]): number {
  return samples.reduce(
    (sum, parts) => sum + [...parts.values()].reduce((a, b) => a + b, 0),
    0,
  );
}

function medians(samples: readonly Map<string, number>[]): Map<string, Timing> {
  const parts = new Map<string, number[]>();
  for (const sample of samples) {
    for (const [part, milliseconds] of sample) {
      parts.set(part, [...parts.get(part) ?? [], milliseconds]);
    }
  }
  return new Map(
    [...parts].map(([part, times]) => [part, {
      milliseconds: median(times),
      least: Math.min(...times),
      samples: times.length,
    }]),
  );
}
