/**
 * Benches of single kernels: what a case is, and its measurement into rows of the report.
 *
 * linear_cases.ts, attention_cases.ts and memory_cases.ts list the cases.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import { type Activation, bufferOf, type Tensor } from "../../shaders/runtime/tensor.ts";
import type { Peaks } from "./peaks.ts";
import { type Budget, type Subject, timeParts } from "./timing.ts";

/** What a part of an op has to do, at least. */
export interface Work {
  /** For people: "392 x 3072 x 768". */
  readonly shape: string;
  /** Multiplications and additions; 0 where only memory counts. */
  readonly flops: number;
  /** Bytes read and written if every operand passes the memory once. */
  readonly bytes: number;
}

/** The naive kernels' time for one part. */
export interface NaiveTime {
  /** For the whole part; scaled up where only some of it was computed. */
  readonly milliseconds: number;
  /** "16 of 392 rows", where not all was computed. */
  readonly sample?: string;
}

/** A case on a device, ready to run. */
export interface PreparedCase {
  readonly subject: Subject;
  readonly parts: Readonly<Record<string, Work>>;
  readonly naive?: ReadonlyMap<string, NaiveTime>;
  /** What to free afterwards. */
  readonly tensors: readonly Tensor[];
}

/** One op at one shape. */
export interface KernelCase {
  /** "222m vision fc1, batch 1". */
  readonly name: string;
  readonly section: "linear" | "attention" | "memory";
  /** "f16": mixed precision. */
  readonly dtype: Activation;
  /** Makes inputs and, where there is a naive kernel, its answers. */
  readonly prepare: (device: Device) => Promise<PreparedCase>;
}

/** One line of the report. */
export interface KernelRow {
  readonly section: KernelCase["section"];
  readonly dtype: Activation;
  readonly name: string;
  readonly part: string;
  readonly shape: string;
  readonly flops: number;
  readonly bytes: number;
  readonly milliseconds: number;
  readonly samples: number;
  /** Absent where only memory counts. */
  readonly gflops?: number;
  readonly gigabytes_per_second: number;
  /** What takes longer at the device's peaks, and so should decide. */
  readonly bound: "arithmetic" | "memory";
  /** The time that the bound needs at the device's peak, over the time that was needed. */
  readonly share_of_peak: number;
  readonly naive_milliseconds?: number;
  readonly naive_sample?: string;
  /** The naive kernel's time over ours. */
  readonly times_naive?: number;
}

/**
 * Checks one case and measures its parts.
 *
 * @throws {Error} where an answer is wrong.
 * @throws {DeviceError} {ShaderError}
 */
export async function measureCase(
  device: Device,
  { name, section, dtype, prepare }: KernelCase,
  { peaks, budget }: { peaks: Peaks; budget: Budget },
): Promise<KernelRow[]> {
  const { subject, parts, naive, tensors } = await prepare(device);
  const timings = await timeParts(device, { ...subject, activation: dtype }, budget);
  for (const tensor of tensors) bufferOf(tensor).destroy();
  return [...timings].map(([part, { milliseconds, samples }]) => {
    const work = parts[part];
    if (!work) {
      throw new RangeError(
        `Cannot rate ${name}: found the part "${part}", expected one of ${
          Object.keys(parts).join(", ")
        }; say in tests/bench what it has to do`,
      );
    }
    const baseline = naive?.get(part);
    return {
      section,
      dtype,
      name,
      part,
      ...work,
      milliseconds,
      samples,
      ...rates(work, milliseconds, peaks),
      ...(baseline
        ? {
          naive_milliseconds: baseline.milliseconds,
          ...(baseline.sample ? { naive_sample: baseline.sample } : {}),
          times_naive: baseline.milliseconds / milliseconds,
        }
        : {}),
    };
  });
}

/** Rates, and the share of what the device's peaks allow. */
function rates(work: Pick<Work, "flops" | "bytes">, milliseconds: number, peaks: Peaks) {
  const { flops, bytes } = work;
  const seconds = milliseconds / 1e3;
  const arithmetic = flops / peaks.f32.rate / 1e9;
  const memory = bytes / peaks.copy.rate / 1e9;
  return {
    ...(flops > 0 ? { gflops: flops / seconds / 1e9 } : {}),
    gigabytes_per_second: bytes / seconds / 1e9,
    bound: arithmetic > memory ? "arithmetic" as const : "memory" as const,
    share_of_peak: Math.max(arithmetic, memory) / seconds,
  };
}

/** The same row by other peaks. */
export function rerated(row: KernelRow, peaks: Peaks): KernelRow {
  return { ...row, ...rates(row, row.milliseconds, peaks) };
}
