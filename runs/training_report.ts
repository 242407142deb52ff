/**
 * What came of a training run, as plain data and for people.
 *
 * Behind train.ts, which fills it in. Ours.
 */
import type { SkippedRow } from "../data/bad_rows.ts";
import { denoCommand, folded, printable } from "../data/terminal.ts";
import { type Results, setScores, testAccuracy } from "./evaluations.ts";
import { BAD_ROWS_FILE } from "./bad_rows_file.ts";
import { chooseExamples, type Example, generateCommand, savePicture } from "./examples.ts";
import { megabytes } from "./plan_report.ts";
import { baselineNote, lossText, percent, scoreTable, scoreText } from "./report.ts";
import type { Run } from "./run.ts";
import {
  isAboveBaseline,
  type KnownScore,
  plainScore,
  type Score,
  uncertaintyNote,
  withInterval,
} from "./score.ts";

/** What came of a run. Scores and loss are the saved model's, on all held-out questions. */
export interface TrainingReport extends KnownScore {
  /** The folder with the model, metrics.jsonl and report.html. */
  readonly out: string;
  /** Steps taken. */
  readonly steps: number;
  /** The step after which the saved model was the best one. */
  readonly best_step: number;
  /** Mean over the labels of the held-out questions. */
  readonly loss: number;
  /** How many labels that is. */
  readonly labels: number;
  /** Pictures that the held-out questions are about. */
  readonly pictures: number;
  /** Held-out rows that cannot be read: their questions are left out. */
  readonly skipped: readonly SkippedRow[];
  /** Held-out questions that are too long for the model: they count as wrong. */
  readonly too_long: readonly SkippedRow[];
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, Score>>;
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

/** Characters of a question or an answer that are shown. */
const MOST_CHARACTERS = 200;

/** The report of a run whose best model was asked all held-out questions; writes the picture that its command names. */
export async function trainingReport(
  { steps, data: { heldOut, indices }, log: { seconds }, plan, best, peakBytes = 0 }: Run,
  { validation, test, sets }: Results,
): Promise<Omit<TrainingReport, "pushed" | "push_error">> {
  const { loss, labels, by_category, skipped, too_long } = validation;
  const examples = chooseExamples(validation.answers);
  // One that fits into a line, if there is any.
  const first = examples.find(({ question }) => question.length <= MOST_CHARACTERS) ?? examples[0];
  const picture = first ? await savePicture(heldOut, first.index, best.folder) : "PICTURE";
  return {
    out: best.folder,
    steps,
    best_step: best.step,
    ...withInterval(plainScore(validation)),
    ...{ loss, labels, by_category, skipped, too_long },
    pictures: heldOut.picturesOf(indices).size,
    test_accuracy: testAccuracy(test) ?? null,
    test_accuracy_greedy: test?.accuracy ?? null,
    datasets: setScores(sets),
    planned_bytes: plan.totalBytes,
    peak_bytes: peakBytes,
    seconds,
    examples,
    command: generateCommand(picture, first?.question ?? "QUESTION", best.folder),
  };
}

/** The report for people; sentences are broken behind at most `columns` characters. */
export function reportText(report: TrainingReport, columns: number = Infinity): string {
  const { test_accuracy: test, pushed } = report;
  const shown = (text: string) => printable(text.replaceAll(/\s+/g, " "), MOST_CHARACTERS);
  const lines = report.examples.map(({ question, expected, given }) =>
    `  ${shown(question)}  model: ${JSON.stringify(shown(given))}  true: ${
      JSON.stringify(shown(expected))
    }`
  );
  const count = (rows: readonly SkippedRow[], what: string) =>
    rows.length === 0
      ? []
      : [fold(`${what}, ${rows.length.toLocaleString("en")} (${BAD_ROWS_FILE})`)];
  const isKnown = report.baseline_accuracy !== undefined;
  const fold = (text: string) => folded(text, columns, 2);
  const note = uncertaintyNote(report.total, report.pictures);
  return [
    `\nThe best model, after step ${report.best_step}, on all held-out questions:\n`,
    scoreTable(report, report.by_category),
    fold(`\nAccuracy ${scoreText(report)}, loss ${lossText(report)}`),
    ...(isKnown && isAboveBaseline(report) ? [fold(baselineNote(report))] : []),
    ...(note === "" ? [] : [fold(note)]),
    ...count(report.skipped, "Left out, since they cannot be read: held-out rows"),
    ...count(report.too_long, "Counted as wrong, since too long for the model: held-out questions"),
    `Training took ${megabytes(report.peak_bytes)} of GPU memory, of ${
      megabytes(report.planned_bytes)
    } planned`,
    ...Object.entries(report.datasets).map(([name, score]) => fold(`${name}: ${scoreText(score)}`)),
    ...(test === null ? [] : [`Multiple-choice test by drawing: ${percent(test)}`]),
    ...(lines.length === 0 ? [] : ["\nSome questions that it was not trained on:", ...lines]),
    `\nSaved in ${report.out}, with curves and answers in report.html. Try it:\n  ${report.command}`,
    ...(pushed === null ? [] : [`Pushed to ${pushed}`]),
    ...(report.total === 0
      ? [fold(`\n${untestedText(report)}`)]
      : isAboveBaseline(report)
      ? []
      : [fold(`\n${baselineNote(report, ADVICE)}`)]),
  ].join("\n");
}

/** Why nothing is known of the model. */
function untestedText({ skipped }: TrainingReport): string {
  const [first] = skipped;
  return `Nothing could be tested: none of the ${
    skipped.length.toLocaleString("en")
  } held-out rows can be read` +
    (first
      ? `, the first of them ${printable(first.imageName)}: ${
        printable(first.reason, MOST_CHARACTERS)
      }`
      : "");
}

/** What to look at where a run stayed at the baseline. */
const ADVICE =
  ` Look at: the number of steps (--max-steps), the learning rate (--lr), whether a person could answer from a \
picture so small (--set vit_img_size=N), and whether the answers are right and have a pattern: ${
    denoCommand("task data DATASET")
  } shows both.`;
