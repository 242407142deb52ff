/**
 * metrics.jsonl: what happened in a run, a JSON object a line, written as it happens and read back.
 *
 * Under run_log.ts and run_history.ts. Ours.
 */
import type { Example } from "./examples.ts";
import type { KnownScore, Score } from "./score.ts";

/** One line. */
export type Metric = Readonly<Record<string, unknown>>;

/** A score in a file, where JSON has null for a loss that is no number. */
export interface ScoreAndLoss extends KnownScore {
  /** Mean over the labels of the questions that fit `lm_max_length`; null where none does. */
  readonly loss: number | null;
  /** Of answers that were drawn, where some were. */
  readonly sampled_accuracy?: number;
}

/** What metrics.jsonl says of an evaluation, beside `time`. Older files lack the interval, the baseline and both counts. */
export interface EvaluationMetric extends KnownScore {
  /** Steps that the model has taken. */
  readonly step: number;
  /** Mean over the labels of the questions that fit `lm_max_length`; null where none does. */
  readonly validation_loss: number | null;
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, KnownScore>>;
  /** A few of the questions, the same each time. */
  readonly examples: readonly (Example & { readonly correct: boolean })[];
  /** Questions that are too long for the model, with their answers: they count as wrong. */
  readonly too_long: number;
  /** Rows that cannot be read: their questions are left out. */
  readonly left_out: number;
  /** On the test, by drawing answers; absent where there is none. */
  readonly test_accuracy?: number;
  /** The same with the likeliest answers. */
  readonly test_accuracy_greedy?: number;
  /** On the test and further datasets, by name; absent where there are none. */
  readonly datasets?: Readonly<Record<string, ScoreAndLoss>>;
  /** Whether no model before was better; absent where one was. */
  readonly best?: true;
  /** Whether it is of the saved model, on all held-out questions; absent while training. */
  readonly final?: true;
}

/** The file's name in a run's folder. */
export const METRICS_FILE = "metrics.jsonl";

/** An open metrics.jsonl. Close it, or declare it with `using`. */
export class Metrics implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(readonly folder: string, file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Makes the folder, if needed, and starts the file in it anew, or behind its first `keptBytes`: a resumed run writes again
   * what came after its checkpoint.
   *
   * @throws {Error} where that cannot be written
   */
  static open(folder: string, keptBytes = 0): Metrics {
    try {
      Deno.mkdirSync(folder, { recursive: true });
      const file = Deno.openSync(`${folder}/${METRICS_FILE}`, { write: true, create: true });
      file.truncateSync(Math.min(keptBytes, file.statSync().size));
      file.seekSync(0, Deno.SeekMode.End);
      return new Metrics(folder, file);
    } catch (cause) {
      throw unwritable(folder, cause);
    }
  }

  /** Appends a line. @throws {Error} where that cannot be written, as on a full disk */
  write(metric: Metric): void {
    let bytes = new TextEncoder().encode(`${JSON.stringify(metric)}\n`);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(this.#file.writeSync(bytes));
    } catch (cause) {
      throw unwritable(this.folder, cause);
    }
  }

  /** Puts what was written on the disk, and says how many bytes that is. */
  async sync(): Promise<number> {
    await this.#file.sync();
    return (await this.#file.stat()).size;
  }

  /** Ends the file. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The error for an output folder that refuses. */
export function unwritable(folder: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(
    `Cannot write to the output folder "${folder}": ${reason}, expected a folder to write in and room there; choose another ` +
      `with --out DIR, or make room`,
    { cause },
  );
}

/**
 * Reads the lines of a file; a last one that was cut short, as when a run is killed, is left out.
 *
 * @throws {Deno.errors.NotFound} where there is none
 * @throws {SyntaxError} where a line is no JSON object
 */
export function readMetrics(folder: string): Metric[] {
  const path = `${folder}/${METRICS_FILE}`;
  const lines = Deno.readTextFileSync(path).split("\n");
  lines.pop(); // what stands behind the last line's end: nothing, or a line that was cut short
  return lines.map((line, i) => {
    try {
      const value: unknown = JSON.parse(line);
      if (isRecord(value)) return value;
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
    }
    throw new SyntaxError(
      `Cannot read line ${i + 1} of "${path}": found "${
        line.slice(0, 40)
      }", expected a JSON object; remove the line`,
    );
  });
}

/** Whether a value is an object with keys. */
export function isRecord(value: unknown): value is Metric {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A number of a record, NaN where there is none. */
export function numberOf(record: Metric, key: string): number {
  const value = record[key];
  return typeof value === "number" ? value : NaN;
}

/** A record of a record, empty where there is none. */
export function recordOf(record: Metric, key: string): Metric {
  const value = record[key];
  return isRecord(value) ? value : {};
}

/** The score that a record holds, NaN where it holds none. */
export function scoreOf(record: Metric): Score {
  const baseline = numberOf(record, "baseline_accuracy");
  return {
    accuracy: numberOf(record, "accuracy"),
    correct: numberOf(record, "correct"),
    total: numberOf(record, "total"),
    ...(Number.isNaN(baseline) ? {} : { baseline_accuracy: baseline }),
  };
}

/** Seconds since 1970 by the clock as it was when the process began; they pass evenly though it is set meanwhile. */
export function secondsNow(): number {
  return (performance.timeOrigin + performance.now()) / 1000;
}
