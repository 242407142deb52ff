/**
 * What a model answered, judged and counted.
 *
 * Under eval.ts. Source: check_multiple_choice_with_regex() of nanoVLM v0.1, models/utils.py, by data/multiple_choice.ts; for
 * free questions ours.
 */
import type { SkippedRow } from "../data/bad_rows.ts";
import type { ReadySample } from "../data/collator.ts";
import { matchesMultipleChoice } from "../data/multiple_choice.ts";
import { type FrequentAnswers, frequentAnswers } from "./baseline.ts";
import type { Score } from "./score.ts";

/** Free questions, whose answers must be the expected text, or multiple choice. */
export type Task = "vqa" | "mmstar";

/** One question and what the model said. */
export interface Answer {
  /** The sample's number. */
  readonly index: number;
  /** The kind of question. */
  readonly category: string;
  /** As asked, without a prompt. */
  readonly question: string;
  /** The dataset's answer. */
  readonly expected: string;
  /** The model's answer. */
  readonly given: string;
  /** Whether it counts as right. */
  readonly isCorrect: boolean;
}

/** An answer, judged. */
export function judged(sample: ReadySample, given: string, task: Task): Answer {
  const { index, category, question, answer: expected } = sample;
  const isCorrect = task === "mmstar"
    ? matchesMultipleChoice(given, expected)
    : given.trim() === expected.trim();
  return { index, category, question, expected, given, isCorrect };
}

/** How many of the answers are right, beside how many of them always `frequent` would be. */
export function scoreOf(answers: readonly Answer[], frequent: FrequentAnswers): Score {
  const correct = answers.filter(({ isCorrect }) => isCorrect).length;
  const known = answers.filter(({ category, expected }) =>
    frequent.get(category) === expected.trim()
  );
  const total = answers.length;
  return {
    ...{ accuracy: correct / total, correct, total },
    ...(total === 0 || frequent.size === 0 ? {} : { baseline_accuracy: known.length / total }),
  };
}

/** The same by kind of question. */
export function byCategory(
  answers: readonly Answer[],
  frequent: FrequentAnswers,
): Record<string, Score> {
  const categories = Map.groupBy(answers, ({ category }) => category);
  return Object.fromEntries([...categories].map(([name, its]) => [name, scoreOf(its, frequent)]));
}

/** The result of an evaluation. */
export interface Evaluation extends Score {
  /** What the answers were judged by. */
  readonly task: Task;
  /** Mean over the labels of all questions that fit `lm_max_length`; NaN where none does. */
  readonly loss: number;
  /** How many labels that is. */
  readonly labels: number;
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, Score>>;
  /** Answers that were drawn, with a `sampleSeed`. */
  readonly sampled?: Score;
  /** Rows that could not be read, each once: their questions are left out. */
  readonly skipped: readonly SkippedRow[];
  /** Questions that are too long for the model, with their answers: they were not asked, and count as wrong. */
  readonly too_long: readonly SkippedRow[];
  /** Questions whose turn has not come: above 0 only while asking, or where something ended it. */
  readonly unasked: number;
  /** Pictures and all. */
  readonly samples_per_second: number;
  /** To what was asked, in the order of `indices`. */
  readonly answers: readonly Answer[];
}

/** Counts what comes of the questions of an evaluation. */
export class Tally {
  readonly #start = performance.now();
  readonly #answers = new Map<number, Answer>();
  readonly #drawn: Answer[] = [];
  /** Of questions that are too long. */
  readonly #wrong: Answer[] = [];
  /** By row. */
  readonly #skipped = new Map<number, SkippedRow>();
  readonly #tooLong: SkippedRow[] = [];
  #skippedQuestions = 0;
  #loss = { sum: 0, count: 0 };

  /**
   * Nothing is counted yet.
   *
   * @param indices the samples that are to be asked
   * @param options `baseline`: the answers that are most frequent, by default those of the questions; `isDrawn`: whether
   * answers are drawn too
   */
  constructor(
    readonly indices: readonly number[],
    readonly options: { task: Task; baseline?: FrequentAnswers | undefined; isDrawn: boolean },
  ) {}

  /** Questions whose turn has come. */
  get asked(): number {
    return this.#answers.size + this.#wrong.length + this.#skippedQuestions;
  }

  /** Counts answers of a batch, and its loss. */
  add({ greedy, drawn, sum, count }: {
    readonly greedy: readonly Answer[];
    readonly drawn: readonly Answer[];
    readonly sum: number;
    readonly count: number;
  }): void {
    for (const answer of greedy) this.#answers.set(answer.index, answer);
    this.#drawn.push(...drawn);
    this.#loss = { sum: this.#loss.sum + sum, count: this.#loss.count + count };
  }

  /** Counts a question whose row cannot be read. */
  skip(row: SkippedRow): void {
    this.#skipped.set(row.row, row);
    this.#skippedQuestions++;
  }

  /** Counts a question that the model's context does not hold. */
  tooLong(sample: ReadySample, reason: string): void {
    this.#wrong.push({ ...judged(sample, "", this.options.task), isCorrect: false });
    this.#tooLong.push({ row: sample.row, imageName: sample.imageName, reason });
  }

  /** What has come of them so far. */
  result(): Evaluation {
    const { task, isDrawn, baseline } = this.options;
    const answers = this.indices.flatMap((index) => this.#answers.get(index) ?? []);
    const all = [...answers, ...this.#wrong];
    const frequent = baseline ?? frequentAnswers(all);
    const { sum, count } = this.#loss;
    return {
      ...{ task, ...scoreOf(all, frequent), loss: sum / count, labels: count },
      by_category: byCategory(all, frequent),
      ...(isDrawn ? { sampled: scoreOf([...this.#drawn, ...this.#wrong], frequent) } : {}),
      skipped: [...this.#skipped.values()],
      too_long: this.#tooLong,
      unasked: this.indices.length - this.asked,
      samples_per_second: answers.length / ((performance.now() - this.#start) / 1000),
      answers,
    };
  }
}
