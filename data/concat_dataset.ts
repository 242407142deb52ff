/**
 * Several datasets one behind the other, as one. Made by datasets.ts; the loader draws from the
 * parts by their weights or sizes. Source: concatenate_datasets() in nanoVLM v0.1, train.py.
 */
import {
  type Dataset,
  type DatasetPart,
  type Row,
  type RowGroup,
  rowName,
  type Turn,
} from "./dataset.ts";
import { findRange } from "./records.ts";

/** One of the datasets, and how much of an epoch it gets where its size does not decide. */
export interface WeightedDataset {
  readonly dataset: Dataset;
  readonly weight?: number;
}

/** Rows that stand for a group where a dataset has no groups and another has. */
const GROUP_ROWS = 1000;

/** The rows of all parts, in order. */
export class ConcatDataset implements Dataset {
  readonly name: string;
  readonly rows: number;
  readonly format: Dataset["format"];
  readonly columns?: readonly string[];
  readonly notes?: readonly string[];
  readonly groups?: readonly RowGroup[];
  readonly parts: readonly (DatasetPart & { readonly dataset: Dataset })[];
  readonly mayLackTurns: boolean;
  /** The place of each part's first group among all. (parts) */
  readonly #firstGroups: number[] = [];

  /**
   * Joins datasets.
   *
   * @param datasets at least one
   * @throws {TypeError} when some are multiple choice and some are not
   */
  constructor(datasets: readonly WeightedDataset[]) {
    let start = 0;
    this.parts = datasets.map(({ dataset, weight }) => {
      const { name, rows } = dataset;
      start += rows;
      const part = { name, rows, start: start - rows, dataset };
      return weight === undefined ? part : { ...part, weight };
    });
    this.rows = start;
    this.name = nameOf(this.parts);
    this.format = formatOf(datasets.map(({ dataset }) => dataset));
    this.mayLackTurns = datasets.some(({ dataset }) => dataset.mayLackTurns);
    const columns = datasets[0]?.dataset.columns;
    const isSame = ({ dataset }: WeightedDataset) => `${dataset.columns}` === `${columns}`;
    if (columns && datasets.every(isSame)) this.columns = columns;
    const notes = datasets.flatMap(({ dataset }) => dataset.notes ?? []);
    if (notes.length > 0) this.notes = notes;
    if (datasets.some(({ dataset }) => dataset.groups)) this.groups = this.#joinGroups();
  }

  #joinGroups(): RowGroup[] {
    const all: RowGroup[] = [];
    for (const { dataset, start } of this.parts) {
      this.#firstGroups.push(all.length);
      for (const group of dataset.groups ?? evenGroups(dataset.rows)) {
        all.push({ ...group, start: group.start + start });
      }
    }
    return all;
  }

  hold(numbers: readonly number[], next: number = -1): void {
    this.parts.forEach(({ dataset }, at) => {
      const first = this.#firstGroups[at] ?? 0;
      const end = this.#firstGroups[at + 1] ?? this.groups?.length ?? 0;
      const isIn = (number: number) => number >= first && number < end;
      const held = numbers.filter(isIn).map((number) => number - first);
      dataset.hold?.(held, isIn(next) ? next - first : undefined);
    });
  }

  /**
   * Reads one row.
   *
   * @throws {RangeError} when there is no such row, and what the part throws
   */
  row(index: number): Promise<Row> | Row {
    const part = this.parts[findRange(this.parts, index)];
    if (part) return part.dataset.row(index - part.start);
    throw new RangeError(
      `Cannot read row of "${this.name}": found index "${index}", expected a whole number from 0 to ${
        this.rows - 1
      }`,
    );
  }

  rowName(index: number): string {
    const part = this.parts[findRange(this.parts, index)];
    return part ? rowName(part.dataset, index - part.start) : `${this.name}, row ${index}`;
  }

  pictureOf(index: number): string | undefined {
    const part = this.parts[findRange(this.parts, index)];
    return part?.dataset.pictureOf?.(index - part.start);
  }

  async turnCounts(): Promise<Uint32Array> {
    const counts = new Uint32Array(this.rows);
    for (const { dataset, start } of this.parts) counts.set(await dataset.turnCounts(), start);
    return counts;
  }

  async *allTurns(most: number = Infinity): AsyncGenerator<readonly Turn[]> {
    const share = Math.min(1, most / this.rows);
    for (const { dataset, rows } of this.parts) yield* dataset.allTurns(Math.ceil(share * rows));
  }
}

/** A few names, and how many more there are. */
function nameOf(parts: readonly DatasetPart[]): string {
  const names = parts.map(({ name }) => name);
  if (names.length <= 3) return names.join(", ");
  return `${names.slice(0, 2).join(", ")} and ${names.length - 2} more`;
}

function formatOf(datasets: readonly Dataset[]): Dataset["format"] {
  const [first] = datasets;
  const other = datasets.find(({ format }) => format !== first?.format);
  if (!first || !other) return first?.format ?? "vqa";
  throw new TypeError(
    `Cannot join datasets: found "${first.name}" (${first.format}) and "${other.name}" ` +
      `(${other.format}), expected all of one format. Leave out one of them.`,
  );
}

function evenGroups(rows: number): RowGroup[] {
  return Array.from({ length: Math.ceil(rows / GROUP_ROWS) }, (_, group) => {
    const start = group * GROUP_ROWS;
    return { start, rows: Math.min(GROUP_ROWS, rows - start), bytes: 0 };
  });
}
