/**
 * Neighbouring rows of a dataset as a dataset of its own: what to train on, or what is held out.
 * Made by datasets.ts. Ours.
 */
import type { Dataset, Row, RowGroup } from "./dataset.ts";
import { findRange } from "./records.ts";

/** Rows from `start` on. */
export class RowRange implements Dataset {
  readonly name: string;
  readonly rows: number;
  readonly format: Dataset["format"];
  readonly columns?: readonly string[];
  readonly groups?: readonly RowGroup[];
  readonly mayLackTurns: boolean;
  readonly #dataset: Dataset;
  readonly #start: number;
  /** The place among the dataset's groups of the range's first one. */
  readonly #firstGroup: number;

  /**
   * Nothing is read yet.
   *
   * @param start the first row, from 0
   * @param rows how many; at least 1, and no more than there are from `start` on
   */
  constructor(dataset: Dataset, start: number, rows: number) {
    this.#dataset = dataset;
    this.#start = start;
    this.name = dataset.name;
    this.rows = rows;
    this.format = dataset.format;
    this.mayLackTurns = dataset.mayLackTurns ?? false;
    if (dataset.columns) this.columns = dataset.columns;
    if (dataset.groups) this.groups = clip(dataset.groups, start, rows);
    this.#firstGroup = dataset.groups ? findRange(dataset.groups, start) : 0;
  }

  /**
   * Reads one row.
   *
   * @throws {RangeError} when there is no such row
   */
  row(index: number): Promise<Row> | Row {
    if (index >= 0 && index < this.rows) return this.#dataset.row(this.#start + index);
    throw new RangeError(
      `Cannot read row of "${this.name}": found index "${index}", expected a whole number from 0 to ${
        this.rows - 1
      }`,
    );
  }

  hold(numbers: readonly number[], next?: number): void {
    const held = numbers.map((number) => number + this.#firstGroup);
    this.#dataset.hold?.(held, next === undefined ? undefined : next + this.#firstGroup);
  }

  async turnCounts(): Promise<Uint32Array> {
    return (await this.#dataset.turnCounts()).slice(this.#start, this.#start + this.rows);
  }

  async *turnKinds(): AsyncGenerator<readonly string[]> {
    let row = -this.#start;
    for await (const kinds of this.#dataset.turnKinds()) {
      if (row >= this.rows) return;
      if (row++ >= 0) yield kinds;
    }
  }
}

/** What of the groups is in the range; each still takes its memory whole. */
function clip(groups: readonly RowGroup[], start: number, rows: number): RowGroup[] {
  return groups.flatMap((group) => {
    const from = Math.max(group.start, start);
    const to = Math.min(group.start + group.rows, start + rows);
    return to <= from ? [] : [{ start: from - start, rows: to - from, bytes: group.bytes }];
  });
}
