/**
 * What a model answered, judged and counted.
 *
 * Under eval.ts. Source: check_multiple_choice_with_regex() of nanoVLM v0.1, models/utils.py, by data/multiple_choice.ts; for
 * free questions ours.
 */
import type { ReadySample } from "../data/collator.ts";
import { matchesMultipleChoice } from "../data/multiple_choice.ts";
import type { Score } from "./report.ts";

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

/** How many of the answers are right. */
export function scoreOf(answers: readonly Answer[]): Score {
  const correct = answers.filter(({ isCorrect }) => isCorrect).length;
  return { accuracy: correct / answers.length, correct, total: answers.length };
}

/** The same by kind of question. */
export function byCategory(answers: readonly Answer[]): Record<string, Score> {
  const categories = Map.groupBy(answers, ({ category }) => category);
  return Object.fromEntries([...categories].map(([name, its]) => [name, scoreOf(its)]));
}
