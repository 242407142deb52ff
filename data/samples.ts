/**
 * Numbers the question-answer pairs of a dataset: what the loader shuffles and the evaluator walks
 * through. Between datasets.ts and collator.ts.
 */
import type { Dataset, Row } from "./dataset.ts";

/** One question about one picture. */
export interface Sample {
  /** Its number among the samples. */
  index: number;
  /** The row it is from. */
  row: number;
  /** A picture file's bytes, or a picture. */
  image: Row["image"];
  /** What to call the picture in messages. */
  imageName: string;
  /** As asked, without a prompt. */
  question: string;
  /** As expected, without an end token. */
  answer: string;
  /** The kind of question. */
  category: string;
}

/** A dataset as a list of single questions, in the order of rows and of questions within a row. */
export class Samples {
  /** Where the samples are from. */
  readonly dataset: Dataset;
  /** Number of samples. */
  readonly length: number;
  /** Number of the first sample of each row, and in the end the number of all. (rows + 1) */
  readonly starts: Uint32Array;
  /** The kind of each sample as a number from 0 on; absent where it was not asked for. (samples) */
  readonly kinds?: Uint32Array;

  private constructor(dataset: Dataset, counts: Uint32Array, kinds?: readonly number[]) {
    this.dataset = dataset;
    if (kinds) this.kinds = Uint32Array.from(kinds);
    this.starts = new Uint32Array(counts.length + 1);
    let sum = 0;
    counts.forEach((count, row) => this.starts[row + 1] = sum += count);
    this.length = sum;
  }

  /**
   * Counts the questions of every row.
   *
   * @param questionsPerRow "first" takes each row's first question, as nanoVLM v0.1 does; "all"
   * takes every one
   * @throws {RangeError} when there is no question at all
   */
  static async open(dataset: Dataset, questionsPerRow: "first" | "all"): Promise<Samples> {
    const isFirst = questionsPerRow === "first";
    const counts = isFirst && !dataset.mayLackTurns
      ? new Uint32Array(dataset.rows).fill(1)
      : await dataset.turnCounts();
    if (isFirst) counts.forEach((count, row) => counts[row] = Math.min(1, count));
    return Samples.#checked(new Samples(dataset, counts));
  }

  /** As `open()`, and finds each question's kind, for which it reads all of them. */
  static async openByKind(
    dataset: Dataset,
    questionsPerRow: "first" | "all",
  ): Promise<Samples> {
    const counts = new Uint32Array(dataset.rows);
    const numbers = new Map<string, number>();
    const kinds: number[] = []; // (samples)
    let row = 0;
    for await (const all of dataset.allTurns()) {
      const asked = questionsPerRow === "first" ? all.slice(0, 1) : all;
      counts[row++] = asked.length;
      for (const { category } of asked) {
        const number = numbers.get(category) ?? numbers.size;
        numbers.set(category, number);
        kinds.push(number);
      }
    }
    return Samples.#checked(new Samples(dataset, counts, kinds));
  }

  static #checked(samples: Samples): Samples {
    if (samples.length > 0) return samples;
    throw new RangeError(
      `Cannot draw samples from "${samples.dataset.name}": found no questions, expected at least one`,
    );
  }

  /**
   * Where a sample is: its row, and its place among the row's questions.
   *
   * @throws {RangeError} when there is no such sample
   */
  locate(index: number): { row: number; turn: number } {
    if (!Number.isInteger(index) || index < 0 || index >= this.length) {
      throw new RangeError(
        `Cannot find sample: found index "${index}", expected a whole number from 0 to ${
          this.length - 1
        }`,
      );
    }
    let low = 0; // the row's number is in [low, high)
    let high = this.starts.length - 1;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.starts[middle] ?? 0) <= index) low = middle;
      else high = middle;
    }
    return { row: low, turn: index - (this.starts[low] ?? 0) };
  }

  /**
   * What pictures samples are about: their rows, or names that rows with the same picture share.
   *
   * @throws {RangeError} when there is no such sample
   */
  picturesOf(indices: readonly number[]): Set<string | number> {
    return new Set(indices.map((index) => {
      const { row } = this.locate(index);
      return this.dataset.pictureOf?.(row) ?? row;
    }));
  }

  /**
   * Reads one sample.
   *
   * @throws {RangeError} when there is no such sample, or its row holds no such question
   * @throws {TypeError} when its row has a field of the wrong kind
   * @throws {SyntaxError} when its file is damaged
   */
  async at(index: number): Promise<Sample> {
    const place = this.locate(index);
    const { image, imageName, turns } = await this.dataset.row(place.row);
    const turn = turns[place.turn];
    if (!turn) {
      throw new RangeError(
        `Cannot read sample ${index} (${imageName}): found ${turns.length} questions, expected ` +
          `more than ${place.turn}`,
      );
    }
    return { index, row: place.row, image, imageName, ...turn };
  }
}
