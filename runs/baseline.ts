/**
 * What a model that sees nothing could reach: always each kind of question's most frequent answer.
 *
 * The yardstick beside every accuracy. While training the answers are those of the training data, as a model could know them;
 * for other data, as in eval.ts, those of the questions that were asked, which no blind guess by kind can do better than.
 * Ours; a usual baseline of visual question answering.
 */
import type { Dataset } from "../data/datasets.ts";

/** A question's kind and its answer. */
export interface KnownAnswer {
  readonly category: string;
  readonly expected: string;
}

/** The most frequent answer of each kind of question. */
export type FrequentAnswers = ReadonlyMap<string, string>;

/** Rows to count answers in, from the beginnings of all sources: enough to find the most frequent ones. */
const MOST_ROWS = 2000;

/** The most frequent answer of each kind, of equally frequent ones the first. */
export function frequentAnswers(answers: readonly KnownAnswer[]): FrequentAnswers {
  const kinds = Map.groupBy(answers, ({ category }) => category);
  return new Map([...kinds].map(([kind, its]) => {
    const counts = [...Map.groupBy(its, ({ expected }) => expected.trim())];
    const [answer = ""] = counts.reduce((a, b) => b[1].length > a[1].length ? b : a);
    return [kind, answer];
  }));
}

/**
 * The same for a dataset, which is what was trained on: counted in about 2,000 of its rows, but for those that cannot be read.
 * What ends the reading is not said here: whoever trains on the data meets it too.
 */
export async function frequentIn(dataset: Dataset): Promise<FrequentAnswers> {
  const answers: KnownAnswer[] = [];
  try {
    for await (const turns of dataset.allTurns(MOST_ROWS)) {
      for (const { question, category, answer: expected } of turns) {
        if (question !== "") answers.push({ category, expected });
      }
    }
  } catch (error) {
    if (!(error instanceof Error)) throw error;
  }
  return frequentAnswers(answers);
}
