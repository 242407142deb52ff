/**
 * Some rows of a dataset as a dataset of its own: what to train on, or what is held out. Made by
 * datasets.ts. Ours.
 */
import type { Dataset, Row, RowGroup, Turn } from "./dataset.ts";
import { rowName } from "./dataset.ts";

/** Which rows: neighbours, or the numbers of any, in rising order. */
export type RowChoice = { readonly start: number; readonly rows: number } | Uint32Array;

/** Chosen rows. */
export class RowSubset implements Dataset {
  readonly name: string;
  readonly rows: number;
  readonly format: Dataset["format"];
  readonly columns?: readonly string[];
  readonly notes?: readonly string[];
  readonly groups?: readonly RowGroup[];
  readonly mayLackTurns: boolean;
  readonly #dataset: Dataset;
  readonly #choice: RowChoice;
  readonly #pictures: readonly string[] | undefined;
  /** The places of the subset's groups among the dataset's. */
  readonly #groupNumbers: number[] = [];

  /**
   * Nothing is read yet.
   *
   * @param choice at least one row, and none beyond the last one
   * @param more notes instead of the dataset's own; what tells the pictures of the dataset's rows apart
   */
  constructor(
    dataset: Dataset,
    choice: RowChoice,
    more: { notes?: readonly string[]; pictures?: readonly string[] } = {},
  ) {
    const { notes = dataset.notes ?? [], pictures } = more;
    this.#pictures = pictures;
    this.#dataset = dataset;
    this.#choice = choice;
    this.name = dataset.name;
    this.rows = choice instanceof Uint32Array ? choice.length : choice.rows;
    this.format = dataset.format;
    this.mayLackTurns = dataset.mayLackTurns ?? false;
    if (dataset.columns) this.columns = dataset.columns;
    if (notes.length > 0) this.notes = notes;
    if (dataset.groups) this.groups = this.#clip(dataset.groups);
  }

  /** What of the groups is chosen; each still takes its memory whole. */
  #clip(groups: readonly RowGroup[]): RowGroup[] {
    return groups.flatMap(({ start, rows, bytes }, number) => {
      const [from, to] = [this.#placeOf(start), this.#placeOf(start + rows)];
      if (to <= from) return [];
      this.#groupNumbers.push(number);
      return [{ start: from, rows: to - from, bytes }];
    });
  }

  /** How many of the chosen rows are before a row of the dataset. */
  #placeOf(row: number): number {
    const choice = this.#choice;
    if (!(choice instanceof Uint32Array)) {
      return Math.min(Math.max(0, row - choice.start), this.rows);
    }
    let [low, high] = [0, choice.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((choice[middle] ?? 0) < row) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** The number in the dataset of a chosen row. */
  #numberOf(index: number): number {
    const choice = this.#choice;
    return choice instanceof Uint32Array ? choice[index] ?? 0 : choice.start + index;
  }

  /**
   * Reads one row.
   *
   * @throws {RangeError} when there is no such row
   */
  row(index: number): Promise<Row> | Row {
    if (Number.isInteger(index) && index >= 0 && index < this.rows) {
      return this.#dataset.row(this.#numberOf(index));
    }
    throw new RangeError(
      `Cannot read row of "${this.name}": found index "${index}", expected a whole number from 0 to ${
        this.rows - 1
      }`,
    );
  }

  rowName(index: number): string {
    return rowName(this.#dataset, this.#numberOf(index));
  }

  pictureOf(index: number): string | undefined {
    const number = this.#numberOf(index);
    return this.#pictures?.[number] ?? this.#dataset.pictureOf?.(number);
  }

  hold(numbers: readonly number[], next: number = -1): void {
    const held = numbers.flatMap((number) => this.#groupNumbers[number] ?? []);
    this.#dataset.hold?.(held, this.#groupNumbers[next]);
  }

  async turnCounts(): Promise<Uint32Array> {
    const counts = await this.#dataset.turnCounts();
    return Uint32Array.from(
      { length: this.rows },
      (_, index) => counts[this.#numberOf(index)] ?? 0,
    );
  }

  async *allTurns(most: number = Infinity): AsyncGenerator<readonly Turn[]> {
    let [row, index] = [0, 0];
    for await (const turns of this.#dataset.allTurns()) {
      if (row++ !== this.#numberOf(index)) continue;
      yield turns;
      if (++index >= Math.min(this.rows, most)) return;
    }
  }
}
