/**
 * Numbers for people: scores as a table, durations and rates in few characters, text for a shell.
 *
 * Used by train.ts and eval.ts for what they print. Ours.
 */
import { printable } from "../data/terminal.ts";
import { intervalOf, isAboveBaseline, type Score } from "./score.ts";

/** Of the name of a kind of question. */
const MOST_CHARACTERS = 30;

/** "62.5 %"; a dash where it is unknown. */
export function percent(share: number): string {
  return Number.isNaN(share) ? "–" : `${(100 * share).toFixed(1)} %`;
}

/** "55.1–69.3 %": where the accuracy is, at 95 %. */
export function intervalText(score: Score): string {
  const [low, high] = intervalOf(score);
  return `${(100 * low).toFixed(1)}–${percent(high)}`;
}

/** "62.5 % (125 of 200, 95 % interval 55.6–68.9 %), baseline 40.0 %"; "unknown" where nothing was asked. */
export function scoreText(score: Score): string {
  const { accuracy, correct, total, baseline_accuracy: baseline } = score;
  if (total === 0) return "unknown";
  const of = `${correct.toLocaleString("en")} of ${total.toLocaleString("en")}`;
  return `${percent(accuracy)} (${of}, 95 % interval ${intervalText(score)})` +
    (baseline === undefined ? "" : `, baseline ${percent(baseline)}`);
}

/** What the baseline is, and where a model is not above it, what to look at; `advice` says more of the latter. */
export function baselineNote(score: Score, advice = ""): string {
  if (score.baseline_accuracy === undefined) return "";
  const what = "always giving each kind of question its most frequent answer";
  return isAboveBaseline(score)
    ? `The baseline, ${percent(score.baseline_accuracy)}, is ${what}.`
    : `The model is not clearly better than ${what} (the baseline, ${
      percent(score.baseline_accuracy)
    }).${advice}`;
}

/** Three or four digits: "412", "33.1k", "2.5M". */
export function short(value: number): string {
  if (value >= 999_950) return `${(value / 1e6).toFixed(1)}M`;
  if (value >= 9_950) return `${(value / 1e3).toFixed(1)}k`;
  return value >= 99.5 ? value.toFixed(0) : value.toPrecision(2);
}

/** "1:05" or "2:03:09". */
export function clock(seconds: number): string {
  const whole = Math.max(0, Math.round(seconds));
  const two = (value: number) => String(value).padStart(2, "0");
  const [hours, minutes] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60];
  return hours > 0
    ? `${hours}:${two(minutes)}:${two(whole % 60)}`
    : `${minutes}:${two(whole % 60)}`;
}

/** Cells of a table: a head, a row a category, sorted by name, and one for all. */
export function scoreRows(
  all: Score,
  categories: Readonly<Record<string, Score>>,
): [name: string, ...string[]][] {
  return [
    ["", "accuracy", "95 % interval", "baseline", "correct", "of"],
    ...Object.entries(categories).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([name, score]) => scoreRow(name, score)),
    scoreRow("all", all),
  ];
}

/** One line a category, sorted by name, and one for all. */
export function scoreTable(all: Score, categories: Readonly<Record<string, Score>>): string {
  const rows = scoreRows(all, categories).map(([name, ...cells]) => [
    printable(name, MOST_CHARACTERS),
    ...cells,
  ]);
  const widths =
    rows[0]?.map((_, i) => rows.reduce((most, row) => Math.max(most, row[i]?.length ?? 0), 0)) ??
      [];
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))
      .join("  ").trimEnd()
  ).join("\n");
}

function scoreRow(name: string, score: Score): [string, ...string[]] {
  const { accuracy, correct, total, baseline_accuracy: baseline = NaN } = score;
  const counts = [correct, total].map((count) => count.toLocaleString("en"));
  return [name, percent(accuracy), intervalText(score), percent(baseline), ...counts];
}

/** `text` as one word of a POSIX shell's command line. */
export function shellWord(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** "1.2345", or why there is none; `labels` is the number of labels that it is the mean of, `total` that of questions. */
export function lossText(
  { loss, labels, total }: {
    readonly loss: number;
    readonly labels: number;
    readonly total: number;
  },
): string {
  if (total === 0) return "unknown (nothing was asked)";
  if (labels === 0) return "unknown (no question with its answer fits lm_max_length)";
  return Number.isFinite(loss) ? loss.toFixed(4) : "not finite (the model's numbers are none)";
}
