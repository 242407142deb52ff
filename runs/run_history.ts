/**
 * What happened in a run, read back from its folder: the page is made from this, while training and later, and the model
 * card.
 *
 * Between metrics.jsonl, as run_log.ts writes it, and page/, curves.ts and model_card.ts. Ours.
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
import type { Score } from "./score.ts";

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
  /** On further datasets by name; `sampled_accuracy` is NaN where no answers were drawn. */
  readonly datasets: Readonly<Record<string, Score & { readonly sampled_accuracy: number }>>;
  /** Whether no model before was better. */
  readonly isBest: boolean;
}

/** A run. */
export interface RunHistory {
  readonly folder: string;
  /** The folder's own name. */
  readonly name: string;
  /** As RunLog.begin() notes it; empty where an older version trained. */
  readonly description: Metric;
  /** Keys of TrainConfig; empty likewise. */
  readonly train: Metric;
  /** One a step, in their order. */
  readonly steps: readonly Metric[];
  /** While training, in their order. */
  readonly evaluations: readonly EvaluationRecord[];
  /** Of the saved model on all held-out questions, once training is over. */
  readonly final: EvaluationRecord | undefined;
  /** What counts as the run's result: `final`, or until then the best evaluation. */
  readonly result: EvaluationRecord | undefined;
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
  return historyOf(folder, linesOf(folder));
}

/** What the lines of metrics.jsonl say of the run in `folder`; without lines nothing is known. */
export function historyOf(folder: string, lines: readonly Metric[]): RunHistory {
  const description = lines.flatMap(({ run }) => isRecord(run) ? [run] : []).at(-1) ?? {};
  const all = lines.filter(({ accuracy }) => accuracy !== undefined);
  const evaluations = all.filter(({ final }) => final !== true).map(evaluationOf);
  const final = all.filter(({ final }) => final === true).map(evaluationOf).at(-1);
  return {
    folder,
    name: nameOf(folder),
    description,
    train: recordOf(recordOf(description, "config"), "train"),
    steps: lines.filter(({ step, loss }) => step !== undefined && loss !== undefined),
    evaluations,
    final,
    result: final ?? evaluations.findLast(({ isBest }) => isBest) ??
      evaluations.toSorted((a, b) => b.accuracy - a.accuracy || a.loss - b.loss)[0],
    seconds: secondsOf(lines),
  };
}

/** Steps taken so far; NaN where none is noted. */
export function stepsTaken({ steps }: Pick<RunHistory, "steps">): number {
  return numberOf(steps.at(-1) ?? {}, "step");
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
  return {
    ...scoreOf(record),
    step: numberOf(record, "step"),
    loss: numberOf(record, "validation_loss"),
    by_category: eachOf(record, "by_category", scoreOf),
    examples: Array.isArray(examples) ? examples.filter(isRecord).map(exampleOf) : [],
    datasets: eachOf(record, "datasets", (set) => ({
      ...scoreOf(set),
      sampled_accuracy: numberOf(set, "sampled_accuracy"),
    })),
    isBest: record["best"] === true,
  };
}

/** The records in a record of a record, read by `read`. */
function eachOf<T>(record: Metric, key: string, read: (item: Metric) => T): Record<string, T> {
  const items = Object.entries(recordOf(record, key));
  return Object.fromEntries(
    items.flatMap(([name, item]) => isRecord(item) ? [[name, read(item)]] : []),
  );
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
