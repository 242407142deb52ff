/**
 * What came of a training run, as plain data and for people.
 *
 * Behind train.ts, which fills it in. Ours.
 */
import type { Example } from "./examples.ts";
import { megabytes } from "./plan_report.ts";
import { percent, type Score, scoreTable } from "./report.ts";

/** What came of a run. Scores and loss are the saved model's, on all held-out questions. */
export interface TrainingReport extends Score {
  /** The folder with the model, metrics.jsonl and report.html. */
  readonly out: string;
  /** Steps taken. */
  readonly steps: number;
  /** The step after which the saved model was the best one. */
  readonly best_step: number;
  /** Mean over the labels of the held-out questions. */
  readonly loss: number;
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, Score>>;
  /** Accuracy of always giving each kind of question's most frequent answer; null for multiple choice. */
  readonly baseline_accuracy: number | null;
  /** On `test_dataset_path`, where there is one, by drawing answers as nanoVLM does. */
  readonly test_accuracy: number | null;
  /** The same with the likeliest answers. */
  readonly test_accuracy_greedy: number | null;
  /** With the likeliest answers, on the test and the further datasets, by name. */
  readonly datasets: Readonly<Record<string, Score>>;
  /** The page of the repository that it was pushed to; null where that was not asked for, or failed. */
  readonly pushed: string | null;
  /** Why the push failed, and how to push by hand; null where it did not. */
  readonly push_error: string | null;
  /** What the plan said that training takes on the GPU. */
  readonly planned_bytes: number;
  /** The most that it took there before the first evaluation. */
  readonly peak_bytes: number;
  /** From the first step to the last evaluation while training. */
  readonly seconds: number;
  /** Questions about five held-out pictures. */
  readonly examples: readonly Example[];
  /** A command to try next. */
  readonly command: string;
}

/** The report for people. */
export function reportText(report: TrainingReport): string {
  const { baseline_accuracy: baseline, test_accuracy: test, pushed } = report;
  const lines = report.examples.map(({ question, expected, given }) =>
    `  ${question.replaceAll(/\s+/g, " ")}  model: ${JSON.stringify(given)}  true: ${
      JSON.stringify(expected)
    }`
  );
  return [
    `\nThe best model, after step ${report.best_step}, on all held-out questions:\n`,
    scoreTable(report, report.by_category),
    `\nAccuracy ${percent(report.accuracy)}, loss ${report.loss.toFixed(4)}`,
    `Training took ${megabytes(report.peak_bytes)} of GPU memory, of ${
      megabytes(report.planned_bytes)
    } planned`,
    ...(baseline === null
      ? []
      : [`Always each kind of question's most frequent answer: ${percent(baseline)}`]),
    ...Object.entries(report.datasets).map(([name, { accuracy, correct, total }]) =>
      `${name}: ${percent(accuracy)} (${correct} of ${total})`
    ),
    ...(test === null ? [] : [`Multiple-choice test by drawing: ${percent(test)}`]),
    `\nSome questions about pictures that it was not trained on:`,
    ...lines,
    `\nSaved in ${report.out}, with curves and answers in report.html. Try it:\n  ${report.command}`,
    ...(pushed === null ? [] : [`Pushed to ${pushed}`]),
  ].join("\n");
}
