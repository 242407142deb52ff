/**
 * What a model that sees nothing could reach: always each kind of question's most frequent answer.
 *
 * The yardstick for the accuracy that train.ts reports. Ours; a usual baseline of visual question answering.
 */
import type { Dataset, Row } from "../data/datasets.ts";

/** A question's kind and its answer. */
export interface KnownAnswer {
  readonly category: string;
  readonly expected: string;
}

/** Rows to count answers in, from the beginnings of all sources: enough to find the most frequent ones. */
const MOST_ROWS = 2000;

/**
 * The share of `heldOut` that the most frequent answers of a dataset get right.
 *
 * @param dataset what was trained on; answers are counted in 2,000 of its rows
 */
export async function baselineAccuracy(
  dataset: Dataset,
  heldOut: readonly KnownAnswer[],
): Promise<number> {
  const counts = new Map<string, Map<string, number>>();
  for await (const { turns } of someRows(dataset)) {
    for (const { category, answer } of turns) {
      const answers = counts.get(category) ?? new Map<string, number>();
      counts.set(category, answers.set(answer, (answers.get(answer) ?? 0) + 1));
    }
  }
  const best = new Map([...counts].map(([category, answers]) => {
    const [first] = [...answers].sort(([, a], [, b]) => b - a);
    return [category, first?.[0]];
  }));
  const right = heldOut.filter(({ category, expected }) => best.get(category) === expected);
  return right.length / heldOut.length;
}

/** The first rows of every source, but for those that cannot be read. */
async function* someRows(dataset: Dataset): AsyncGenerator<Row> {
  const { rows, parts = [{ start: 0, rows }] } = dataset;
  const most = Math.ceil(MOST_ROWS / parts.length);
  for (const { start, rows } of parts) {
    for (let row = start; row < start + Math.min(rows, most); row++) {
      try {
        yield await dataset.row(row);
      } catch {
        continue; // The loader counted it, and has stopped if there were many.
      }
    }
  }
}
