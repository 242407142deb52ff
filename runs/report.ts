/**
 * Numbers for people: scores as a table, durations and rates in few characters, text for a shell.
 *
 * Used by train.ts and eval.ts for what they print. Ours.
 */

import { printable } from "../data/terminal.ts";

/** Of the name of a kind of question. */
const MOST_CHARACTERS = 40;

/** How many questions were answered rightly. */
export interface Score {
  /** `correct` / `total`. */
  readonly accuracy: number;
  /** Right answers. */
  readonly correct: number;
  /** Questions. */
  readonly total: number;
}

/** "62.5 %". */
export function percent(share: number): string {
  return `${(100 * share).toFixed(1)} %`;
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

/** One line a category, sorted by name, and one for all. */
export function scoreTable(all: Score, categories: Readonly<Record<string, Score>>): string {
  const rows = [
    ["", "accuracy", "correct", "of"],
    ...Object.entries(categories).sort(([a], [b]) => a < b ? -1 : 1)
      .map(([name, score]) => scoreRow(name, score)),
    scoreRow("all", all),
  ];
  const widths = [0, 1, 2, 3].map((i) => Math.max(...rows.map((row) => row[i]?.length ?? 0)));
  return rows.map((row) =>
    row.map((cell, i) => i === 0 ? cell.padEnd(widths[i] ?? 0) : cell.padStart(widths[i] ?? 0))
      .join("  ").trimEnd()
  ).join("\n");
}

function scoreRow(name: string, { accuracy, correct, total }: Score): string[] {
  return [printable(name, MOST_CHARACTERS), percent(accuracy), String(correct), String(total)];
}

/** `text` as one word of a POSIX shell's command line. */
export function shellWord(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** "1.2345", or why there is none. */
export function lossText(loss: number): string {
  return Number.isNaN(loss) ? "unknown (no question fits lm_max_length)" : loss.toFixed(4);
}
