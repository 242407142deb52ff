/**
 * What metrics.jsonl says of a finished or interrupted run, as far as a model card needs it.
 *
 * Between metrics.jsonl and model_card.ts. Ours.
 */
import { isRecord, type Metric, numberOf, readMetrics, recordOf, scoreOf } from "./metrics.ts";
import type { Score } from "./report.ts";

/** An evaluation of the model. */
export interface ScoredModel extends Score {
  /** The steps that it had taken. */
  readonly step: number;
  /** NaN where it is unknown. */
  readonly loss: number;
  /** By kind of question; empty where it is unknown. */
  readonly by_category: Readonly<Record<string, Score>>;
  /** On further datasets by name; NaN where no answers were drawn. */
  readonly datasets: Readonly<Record<string, Score & { readonly sampled_accuracy: number }>>;
}

/** What is known of a run. */
export interface RunFacts {
  /** All lines. */
  readonly metrics: readonly Metric[];
  /** Keys of TrainConfig; none where it is unknown. */
  readonly train: Metric;
  /** What the run noted of itself before its first step: `device`, `dtype`, …; none where it is unknown. */
  readonly description: Metric;
  /** Steps that were taken; 0 where none is noted. */
  readonly steps: number;
  /** The saved model on all held-out questions, or else the best evaluation while training. */
  readonly best: ScoredModel | undefined;
  /** Whether `best` asked all held-out questions. */
  readonly isFinal: boolean;
}

/**
 * Reads a run's metrics.jsonl; nothing is known where there is none. A last line that was cut short is left out.
 *
 * @throws {SyntaxError} where another line is no JSON object
 */
export function readRunFacts(folder: string): RunFacts {
  const metrics = linesOf(folder);
  const description = metrics.flatMap(({ run }) => isRecord(run) ? [run] : []).at(-1) ?? {};
  const evaluations = metrics.filter(({ accuracy }) => typeof accuracy === "number");
  const final = evaluations.filter(({ final }) => final === true).map(scoredModel).at(-1);
  const best = evaluations.filter(({ best }) => best === true).map(scoredModel).at(-1) ??
    evaluations.map(scoredModel)
      .sort((a, b) => b.accuracy - a.accuracy || a.loss - b.loss)[0];
  return {
    metrics,
    train: recordOf(recordOf(description, "config"), "train"),
    description,
    steps: metrics.reduce((most, line) => Math.max(most, numberOf(line, "step") || 0), 0),
    best: final ?? best,
    isFinal: final !== undefined,
  };
}

function linesOf(folder: string): Metric[] {
  try {
    return readMetrics(folder);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

function scoredModel(record: Metric): ScoredModel {
  const sets = Object.entries(recordOf(record, "datasets"));
  const kinds = Object.entries(recordOf(record, "by_category"));
  return {
    ...scoreOf(record),
    step: numberOf(record, "step"),
    loss: numberOf(record, "validation_loss"),
    by_category: Object.fromEntries(
      kinds.flatMap(([name, score]) => isRecord(score) ? [[name, scoreOf(score)]] : []),
    ),
    datasets: Object.fromEntries(sets.flatMap(([name, set]) => {
      if (!isRecord(set)) return [];
      return [[name, { ...scoreOf(set), sampled_accuracy: numberOf(set, "sampled_accuracy") }]];
    })),
  };
}
