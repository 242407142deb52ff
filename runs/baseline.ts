/**
 * What a model that sees nothing could reach: always each kind of question's most frequent answer.
 *
 * The yardstick for the accuracy that train.ts reports. Ours; a usual baseline of visual question answering.
 */
import type { Dataset } from "../data/datasets.ts";

/** A question's kind and its answer. */
export interface KnownAnswer {
  readonly category: string;
  readonly expected: string;
}

/** Rows to count answers in: enough to find the most frequent ones. */
const MOST_ROWS = 2000;

/**
 * The share of `heldOut` that the most frequent answers of a dataset get right.
 *
 * @param dataset what was trained on
 * @param rows how many of its rows were; of the first 2,000 the answers are counted
 */
export async function baselineAccuracy(
  dataset: Dataset,
  rows: number,
  heldOut: readonly KnownAnswer[],
): Promise<number> {
  const counts = new Map<string, Map<string, number>>();
  for (let row = 0; row < Math.min(rows, MOST_ROWS); row++) {
    for (const { category, answer } of (await dataset.row(row)).turns) {
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
