/**
 * What a library's script printed: its times, and whether its numbers are right.
 *
 * Between the processes that main.ts starts and its report. The lines are those of the peers' harness: the adapter, then
 * for each measurement a line of JSON and a line "check …" or "losses …".
 */
import { type Expected, expectedAttention, expectedProduct, TRAINING_LOSSES } from "./workloads.ts";

/** What is compared. */
export type Workload = "matmul" | "attention" | "attention_causal" | "train";

/** One measurement, its numbers checked. */
export interface Measurement {
  readonly workload: Workload;
  /** Median wall clock, milliseconds. */
  readonly ms: number;
  /** Median CPU time of the process, milliseconds. */
  readonly cpu_ms: number;
}

/** What a process measured, and on what. */
export interface Outcome {
  readonly adapter: string;
  readonly measurements: readonly Measurement[];
}

/** Names of the measurements in the lines of JSON; others are not compared. */
const NAMES: readonly (readonly [pattern: RegExp, workload: Workload])[] = [
  [/^matmul_f32_1024x768x3072$/, "matmul"],
  [/^attention_9h_T128_d64( \(.*\))?$/, "attention"],
  [/^attention_9h_T128_d64_causal$/, "attention_causal"],
  [/^train_step_llama_d192_L4_T128_B8$/, "train"],
];

/** Losses are printed to four digits behind the point, and must agree in them. */
const LOSS_TOLERANCE = 0.5e-4;

const EXPECTED: Readonly<Record<Workload, () => Expected[]>> = {
  matmul: () => [expectedProduct(0), expectedProduct(12345)],
  attention: () => [expectedAttention(0, false), expectedAttention(4321, false)],
  attention_causal: () => [expectedAttention(0, true), expectedAttention(4321, true)],
  train: () => TRAINING_LOSSES.map((value) => ({ value, tolerance: LOSS_TOLERANCE })),
};
/** Numbers that a check must have; onnxruntime's transposed attention prints the first one only. */
const LEAST_NUMBERS: Readonly<Record<Workload, number>> = {
  matmul: 2,
  attention: 1,
  attention_causal: 2,
  train: TRAINING_LOSSES.length,
};

/**
 * Reads and checks what a process printed. Where it measured a workload in several ways, the one of least CPU time counts.
 *
 * @throws {Error} where a measurement or its check is missing, or a number is wrong
 */
export function readOutcome(output: string, wanted: readonly Workload[]): Outcome {
  let adapter: string | undefined;
  let open: Measurement | undefined;
  const best = new Map<Workload, Measurement>();
  for (const line of output.split("\n")) {
    if (line.startsWith("{")) {
      const record: unknown = JSON.parse(line);
      adapter ??= adapterOf(record);
      open = measurementOf(record) ?? open;
    } else if (open && /^(check|losses) /.test(line)) {
      check(open.workload, line);
      const known = best.get(open.workload);
      if (!known || open.cpu_ms < known.cpu_ms) best.set(open.workload, open);
      open = undefined;
    }
  }
  const missing = wanted.find((workload) => !best.has(workload));
  if (adapter === undefined || missing !== undefined) {
    throw new Error(
      `Cannot read the output: found no ${
        adapter === undefined ? "adapter" : `checked measurement of ${missing}`
      }, expected one`,
    );
  }
  return { adapter, measurements: [...best.values()] };
}

function adapterOf(record: unknown): string | undefined {
  const isNamed = typeof record === "object" && record !== null && "adapter" in record;
  return isNamed ? String(record.adapter) : undefined;
}

function measurementOf(record: unknown): Measurement | undefined {
  if (typeof record !== "object" || record === null) return undefined;
  const { name, ms, cpu_ms } = record as Record<string, unknown>;
  const workload = NAMES.find(([pattern]) => pattern.test(String(name)))?.[1];
  if (!workload) return undefined;
  if (typeof ms !== "number" || typeof cpu_ms !== "number" || !(ms > 0)) {
    throw new Error(`Cannot read the time of ${name}: ${ms} and ${cpu_ms}, expected milliseconds`);
  }
  return { workload, ms, cpu_ms };
}

function check(workload: Workload, line: string): void {
  const found = [...line.matchAll(/(?<= )-?\d+(\.\d+)?(e[+-]?\d+)?(?= |$)/g)].map(([text]) =>
    Number(text)
  );
  const numbers = workload === "train" ? found.slice(0, TRAINING_LOSSES.length) : found;
  if (numbers.length < LEAST_NUMBERS[workload]) {
    throw new Error(
      `Cannot check ${workload}: "${line}", expected ${LEAST_NUMBERS[workload]} numbers`,
    );
  }
  const expected = EXPECTED[workload]();
  numbers.forEach((number, i) => {
    const { value, tolerance } = expected[i] ?? { value: NaN, tolerance: 0 };
    if (Math.abs(number - value) <= tolerance) return;
    throw new Error(
      `Cannot trust ${workload}: number ${i + 1} of "${line}" is ${number}, ` +
        `expected ${value} to ${tolerance.toExponential(1)}`,
    );
  });
}
