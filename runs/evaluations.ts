/**
 * The questions that a run is judged by: held-out ones, the multiple-choice test, and further datasets, each asked at every
 * evaluation and at the end.
 *
 * Between train.ts, which says how to ask, and the log. Source: test_mmstar() and the validation loop of nanoVLM v0.1, train.py.
 */
import type { SkippedRow } from "../data/bad_rows.ts";
import { type DatasetOptions, openDataset, Samples } from "../data/datasets.ts";
import { permutation, Random } from "../data/random.ts";
import type { TrainConfig } from "../model/config.ts";
import type { Quality } from "./best_model.ts";
import { printable } from "../data/terminal.ts";
import type { ScoreAndLoss } from "./metrics.ts";
import { lossText, percent, scoreText } from "./report.ts";
import type { EvaluationResult } from "./run_log.ts";
import { plainScore, type Score, withInterval } from "./score.ts";

/** Held-out questions of a dataset that are asked while training, at most; in the end all are. */
export const MOST_WHILE_TRAINING = 512;

/** Of the reason why a row was left out. */
const MOST_CHARACTERS = 200;
/** Evaluations in a run whose interval was not set. */
const EVALUATIONS = 10;

/**
 * Steps between evaluations in a run of `steps` steps where none are set: about ten evaluations, at most as rare as the
 * preset's, and so that no more questions are asked than trained on.
 */
export function evaluationInterval(
  { eval_interval: most, batch_size: batch }: TrainConfig,
  steps: number,
  heldOut: number,
): number {
  const asked = Math.min(heldOut, MOST_WHILE_TRAINING);
  return Math.min(most, steps, Math.max(Math.ceil(steps / EVALUATIONS), Math.ceil(asked / batch)));
}

/** A dataset to ask beside the held-out questions. */
export interface EvaluationSet {
  /** As the user wrote it. */
  readonly name: string;
  readonly samples: Samples;
  /** Numbers of the samples to ask: at most `eval_limit`. */
  readonly indices: readonly number[];
  /** Whether it is `test_dataset_path`: all of it is asked each time, by drawing too, and it says which model is best. */
  readonly isTest: boolean;
}

/** How train.ts asks. */
export interface AskOptions {
  readonly batchSize: number;
  readonly indices: readonly number[];
  readonly sampleSeed?: number;
}

/** What came of an EvaluationSet. */
export interface SetResult extends EvaluationResult {
  /** By drawing. */
  readonly sampled?: Score;
}

/** What came of one evaluation. */
export interface Results<T extends SetResult = SetResult> {
  /** On held-out questions. */
  readonly validation: T;
  /** On the multiple-choice test, where there is one. */
  readonly test: T | undefined;
  /** By name, the test's among them. */
  readonly sets: ReadonlyMap<string, T>;
}

/** Opens the test and the datasets to evaluate on. */
export async function openEvaluationSets(
  { test_dataset_path: test, eval_datasets: others, eval_limit: limit }: TrainConfig,
  options: DatasetOptions,
): Promise<EvaluationSet[]> {
  const open = async (name: string, options: DatasetOptions): Promise<EvaluationSet> => {
    const samples = await Samples.open(await openDataset(name, "validation", options), "all");
    const all = Array.from({ length: samples.length }, (_, i) => i);
    const indices = sampleOf(all, limit ?? Infinity);
    return { name, samples, indices, isTest: name === test };
  };
  const { columns: _, ...plain } = options; // which are those of the user's data
  const sets = test === null ? [] : [await open(test, plain)];
  for (const name of new Set(others)) if (name !== test) sets.push(await open(name, options));
  return sets;
}

/**
 * Asks everything.
 *
 * @param ask asks questions of one dataset
 * @param isFinal whether to ask all, not only some
 */
export async function askAll<T extends SetResult>(
  { heldOut, indices, evaluationSets }: {
    readonly heldOut: Samples;
    readonly indices: readonly number[];
    readonly evaluationSets: readonly EvaluationSet[];
  },
  ask: (samples: Samples, options: AskOptions) => Promise<T>,
  { train, isFinal }: { train: TrainConfig; isFinal: boolean },
): Promise<Results<T>> {
  const batchSize = train.mmstar_batch_size;
  const some = (all: readonly number[]) => isFinal ? all : sampleOf(all, MOST_WHILE_TRAINING);
  const validation = await ask(heldOut, { batchSize, indices: some(indices) });
  const sets = new Map<string, T>();
  let test: T | undefined;
  for (const { name, samples, indices, isTest } of evaluationSets) {
    const result = isTest
      ? await ask(samples, { batchSize, indices, sampleSeed: train.seed })
      : await ask(samples, { batchSize, indices: some(indices) });
    sets.set(name, result);
    if (isTest) test = result;
  }
  return { validation, test, sets };
}

/**
 * What says which model is best: as in nanoVLM, the test's accuracy by drawing where there is a test, otherwise that on
 * held-out questions; of equal ones the loss on held-out questions.
 */
export function qualityOf({ validation, test }: Results): Quality {
  const accuracy = testAccuracy(test) ?? validation.accuracy;
  return { accuracy: Number.isNaN(accuracy) ? 0 : accuracy, loss: validation.loss };
}

/** By drawing, as published. */
export function testAccuracy(test: SetResult | undefined): number | undefined {
  return test && (test.sampled ?? test).accuracy;
}

/** What metrics.jsonl says of the test and the further datasets; nothing where there is none. */
export function setsMetric({ test, sets }: Pick<Results, "test" | "sets">) {
  return {
    ...(test
      ? { test_accuracy: testAccuracy(test) ?? NaN, test_accuracy_greedy: test.accuracy }
      : {}),
    ...(sets.size > 0 ? { datasets: Object.fromEntries([...sets].map(setMetric)) } : {}),
  };
}

function setMetric([name, result]: [string, SetResult]): [string, ScoreAndLoss] {
  const drawn = result.sampled ? { sampled_accuracy: result.sampled.accuracy } : {};
  return [name, { ...withInterval(plainScore(result)), loss: result.loss, ...drawn }];
}

/** What the report says of the test and the further datasets. */
export function setScores(sets: Results["sets"]): Record<string, Score> {
  return Object.fromEntries([...sets].map(([name, result]) => [name, plainScore(result)]));
}

/** One evaluation for people. */
export function evaluationLine(
  step: number,
  { validation, sets }: Results,
  isBest: boolean = false,
): string {
  const others = [...sets].map(([name, result]) =>
    `; ${name} ${scoreText(result)}${
      result.sampled ? `, by drawing ${percent(result.sampled.accuracy)}` : ""
    }`
  );
  return `Step ${step}: accuracy ${scoreText(validation)}, validation loss ${lossText(validation)}${
    others.join("")
  }${notAsked([validation, ...sets.values()])}${isBest ? ", saved" : ""}`;
}

/** What was left out or counts as wrong without being asked, and the first of it by name. */
function notAsked(results: readonly SetResult[]): string {
  const note = (rows: readonly SkippedRow[], what: string) => {
    const [first] = rows;
    return first
      ? `; ${what}: ${rows.length}, such as ${printable(first.imageName)}: ${
        printable(first.reason.replace(/\.$/, ""), MOST_CHARACTERS)
      }`
      : "";
  };
  return note(results.flatMap(({ skipped }) => skipped), "rows left out") +
    note(
      results.flatMap((result) => result.too_long),
      "questions too long to ask, counted as wrong",
    );
}

/** `most` of `indices`, chosen at random but always the same, in their order. */
export function sampleOf(indices: readonly number[], most: number): readonly number[] {
  if (indices.length <= most) return indices;
  const order = permutation(indices.length, new Random(0));
  return [...order.subarray(0, most)].sort((a, b) => a - b).flatMap((i) => indices[i] ?? []);
}
