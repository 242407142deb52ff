/**
 * What happened in a run, read back from its folder: the page is made from this, while training and later.
 *
 * Between metrics.jsonl, as run_log.ts writes it, and page/. Ours.
 */
import { denoCommand } from "../data/terminal.ts";
import type { Example } from "./examples.ts";
import {
  isRecord,
  type Metric,
  METRICS_FILE,
  numberOf,
  readMetrics,
  recordOf,
  scoreOf,
} from "./metrics.ts";
import type { Score } from "./report.ts";

/** Part of a run's folder with pictures of held-out questions. */
export const EXAMPLES_FOLDER = "examples";

/** The picture of the held-out question `index`. */
export function picturePath(folder: string, index: number): string {
  return `${folder}/${EXAMPLES_FOLDER}/${index}.png`;
}

/** A question, and what the model said at one evaluation. */
export interface JudgedExample extends Example {
  readonly correct: boolean;
}

/** An evaluation. */
export interface EvaluationRecord extends Score {
  readonly step: number;
  /** NaN where it is unknown. */
  readonly loss: number;
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, Score>>;
  readonly examples: readonly JudgedExample[];
  /** Accuracies on further datasets by their names, or "name, drawn" where answers were drawn. */
  readonly datasets: Readonly<Record<string, number>>;
}

/** A run. */
export interface RunHistory {
  readonly folder: string;
  /** The folder's own name. */
  readonly name: string;
  /** As RunLog.begin() notes it; empty where an older version trained. */
  readonly description: Metric;
  /** One a step, in their order. */
  readonly steps: readonly Metric[];
  /** While training, in their order. */
  readonly evaluations: readonly EvaluationRecord[];
  /** Of the saved model on all held-out questions, once training is over. */
  readonly final: EvaluationRecord | undefined;
  /** Time that it took, without breaks before it was resumed; 0 where it is unknown. */
  readonly seconds: number;
}

/**
 * Reads a run's folder. A last line that was cut short, as when a run is killed, is left out.
 *
 * @throws {Error} where there is no metrics.jsonl in it
 * @throws {SyntaxError} where a line of it is no JSON object
 */
export function readHistory(folder: string): RunHistory {
  const lines = linesOf(folder);
  const runs = lines.flatMap(({ run }) => isRecord(run) ? [run] : []);
  const evaluations = lines.filter(({ accuracy }) => accuracy !== undefined);
  return {
    folder,
    name: nameOf(folder),
    description: runs.at(-1) ?? {},
    steps: lines.filter(({ step, loss }) => step !== undefined && loss !== undefined),
    evaluations: evaluations.filter(({ final }) => final !== true).map(evaluationOf),
    final: evaluations.filter(({ final }) => final === true).map(evaluationOf).at(-1),
    seconds: secondsOf(lines),
  };
}

function nameOf(folder: string): string {
  const path = Deno.realPathSync(folder).replaceAll("\\", "/");
  return path.slice(path.lastIndexOf("/") + 1) || folder;
}

function linesOf(folder: string): Metric[] {
  try {
    return readMetrics(folder);
  } catch (cause) {
    const isAbsent = cause instanceof Deno.errors.NotFound ||
      cause instanceof Deno.errors.NotADirectory;
    if (!isAbsent) throw cause;
    throw new Error(
      `Cannot read the run "${folder}": there is no ${METRICS_FILE} in it, expected a folder that training wrote; ` +
        `train with: ${denoCommand("task train --out DIR")}`,
      { cause },
    );
  }
}

function evaluationOf(record: Metric): EvaluationRecord {
  const { examples } = record;
  const kinds = Object.entries(recordOf(record, "by_category"));
  return {
    ...scoreOf(record),
    step: numberOf(record, "step"),
    loss: numberOf(record, "validation_loss"),
    by_category: Object.fromEntries(
      kinds.flatMap(([name, score]) => isRecord(score) ? [[name, scoreOf(score)]] : []),
    ),
    examples: Array.isArray(examples) ? examples.filter(isRecord).map(exampleOf) : [],
    datasets: datasetsOf(recordOf(record, "datasets")),
  };
}

function datasetsOf(sets: Metric): Record<string, number> {
  const pairs = Object.keys(sets).flatMap((name): [string, number][] => {
    const set = recordOf(sets, name);
    return [
      [name, numberOf(set, "accuracy")],
      [`${name}, drawn`, numberOf(set, "sampled_accuracy")],
    ];
  });
  return Object.fromEntries(pairs.filter(([, accuracy]) => Number.isFinite(accuracy)));
}

function exampleOf(record: Metric): JudgedExample {
  const { question, expected, given, correct } = record;
  return {
    index: numberOf(record, "index"),
    question: String(question ?? ""),
    expected: String(expected ?? ""),
    given: String(given ?? ""),
    correct: correct === true,
  };
}

/** The sum of what passed from line to line, but for those where the run began or went on. */
function secondsOf(lines: readonly Metric[]): number {
  let sum = 0;
  lines.forEach((line, i) => {
    const passed = numberOf(line, "time") - numberOf(lines[i - 1] ?? {}, "time");
    if (!isRecord(line["run"]) && passed > 0) sum += passed;
  });
  return sum;
}
