/**
 * Numbered records of named columns, whatever the format of the files: made by parquet.ts,
 * arrow.ts, json_records.ts and csv_records.ts, turned into rows by record_dataset.ts.
 */
import type { RowGroup } from "./dataset.ts";
import { HubError } from "./hub.ts";

/** A record as read: column names to values whose kinds the caller checks. */
export type DataRecord = Readonly<Record<string, unknown>>;

/** Numbered records. */
export interface RecordSource {
  /** Names of the top-level columns. */
  readonly columns: readonly string[];
  /** Number of records. */
  readonly rows: number;
  /** All records in groups, in order; absent where any is read as quickly alone. */
  readonly groups?: readonly RowGroup[];
  /**
   * One record with all its columns.
   *
   * @param index from 0
   * @throws {RangeError} when there is no such record
   * @throws {SyntaxError} when it is damaged
   */
  record(index: number): Promise<DataRecord>;
  /**
   * Some columns of all records, in order; nothing is kept. A record that cannot be read alone is
   * undefined; `record()` says why.
   *
   * @throws {SyntaxError} when a file is damaged
   */
  select(columns: readonly string[]): AsyncIterable<DataRecord | undefined>;
  /** As a dataset's `hold()`; present where `groups` is. */
  hold?(numbers: readonly number[], next?: number): void;
  /** The bytes of a picture that a record names by its path; absent where paths are not followed. */
  readPicture?(index: number, path: string): Promise<Uint8Array>;
}

/** A group of neighbouring records that can be read. */
export interface ReadableGroup extends RowGroup {
  /** Reads some columns, or all. */
  read(columns?: readonly string[]): Promise<DataRecord[]>;
}

/** Decoded groups: the longest unused ones go when the budget is used up, but not held ones. */
export class GroupCache {
  readonly #budget: number;
  /** The longest unused first. */
  readonly #groups = new Map<ReadableGroup, Promise<DataRecord[]>>();
  readonly #held = new Set<ReadableGroup>();

  /** @param bytes the budget; one group is kept however large it is */
  constructor(bytes: number) {
    this.#budget = bytes;
  }

  /** All records of a group. */
  get(group: ReadableGroup): Promise<DataRecord[]> {
    const records = this.#groups.get(group) ?? this.#read(group);
    this.#groups.delete(group);
    this.#groups.set(group, records); // last in line now
    let bytes = 0;
    for (const cached of this.#groups.keys()) bytes += cached.bytes;
    for (const cached of this.#groups.keys()) {
      if (bytes <= this.#budget || cached === group) break;
      if (this.#held.has(cached)) continue;
      bytes -= cached.bytes;
      this.#groups.delete(cached);
    }
    return records;
  }

  #read(group: ReadableGroup): Promise<DataRecord[]> {
    const records = group.read();
    // A failure, of the network perhaps, is not kept.
    records.catch(() => this.#groups.delete(group));
    return records;
  }

  /** Keeps `held` whatever the budget, and no others of `groups`, until the next call for them. */
  hold(groups: readonly ReadableGroup[], held: ReadonlySet<ReadableGroup>): void {
    for (const group of groups) {
      if (held.has(group)) this.#held.add(group);
      else {
        this.#held.delete(group);
        this.#groups.delete(group);
      }
    }
  }
}

/** Records in groups, each of which is read whole. */
export class GroupedRecords implements RecordSource {
  readonly columns: readonly string[];
  readonly rows: number;
  readonly groups: readonly ReadableGroup[];
  readonly #cache: GroupCache;

  /** @param groups in order, without gaps, none of them empty */
  constructor(
    columns: readonly string[],
    groups: readonly ReadableGroup[],
    cache: GroupCache,
  ) {
    this.columns = columns;
    this.groups = groups;
    this.#cache = cache;
    this.rows = groups.reduce((sum, { rows }) => sum + rows, 0);
  }

  async record(index: number): Promise<DataRecord> {
    const group = this.groups[findRange(this.groups, index)];
    const record = group && (await this.#cache.get(group))[index - group.start];
    if (!record) throw noSuchRecord(index, this.rows);
    return record;
  }

  hold(numbers: readonly number[], next?: number): void {
    const ahead = next === undefined ? undefined : this.groups[next];
    const held = numbers.flatMap((number) => this.groups[number] ?? []);
    this.#cache.hold(this.groups, new Set(ahead ? [...held, ahead] : held));
    // Where it cannot be read, record() says so when its turn comes.
    if (ahead) this.#cache.get(ahead).catch(() => {});
  }

  async *select(columns: readonly string[]): AsyncGenerator<DataRecord> {
    for (const group of this.groups) yield* await group.read(columns);
  }
}

/** The number of the range that `index` is in, -1 for none. Ranges are in order, without gaps. */
export function findRange(
  ranges: readonly { readonly start: number; readonly rows: number }[],
  index: number,
): number {
  let low = 0; // all ranges before it end at or before index
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const range = ranges[middle];
    if (range && range.start + range.rows <= index) low = middle + 1;
    else high = middle;
  }
  return index >= 0 && low < ranges.length ? low : -1;
}

/** The error for a record's number that is none. */
export function noSuchRecord(index: number, rows: number): RangeError {
  return new RangeError(
    `Cannot read record: found index "${index}", expected a whole number from 0 to ${rows - 1}`,
  );
}

/** One of the files of a source, with its groups numbered from its own first record. */
export interface GroupedFile {
  readonly name: string;
  readonly columns: readonly string[];
  readonly groups: readonly Omit<ReadableGroup, "start">[];
}

/**
 * Puts files of the same columns one behind the other.
 *
 * @throws {TypeError} when the files have different columns
 */
export function joinFiles(files: readonly GroupedFile[], cache: GroupCache): GroupedRecords {
  const [first] = files;
  const groups: ReadableGroup[] = [];
  let start = 0;
  for (const file of files) {
    if (first && file.columns.join() !== first.columns.join()) {
      throw new TypeError(
        `Cannot read file "${file.name}": found columns "${file.columns.join(", ")}", ` +
          `expected "${first.columns.join(", ")}" as in "${first.name}"`,
      );
    }
    for (const group of file.groups) {
      if (group.rows === 0) continue;
      groups.push({ ...group, start });
      start += group.rows;
    }
  }
  return new GroupedRecords(first?.columns ?? [], groups, cache);
}

/** What to throw for a failure in reading a file: the file's own fault, or the Hub's. */
export function readError(kind: string, name: string, cause: unknown): Error {
  if (cause instanceof HubError) return cause;
  const found = cause instanceof Error ? cause.message : String(cause);
  return new SyntaxError(
    `Cannot read ${kind} file "${name}": found ${found}, expected a whole ${kind} file. ` +
      `The file is damaged, cut short or of another kind.`,
    { cause },
  );
}

/**
 * Refuses counts of rows that no file of that size can have, before memory is set aside for them.
 *
 * @throws {Error} when a count is impossible
 */
export function checkRows(rows: number, bytes: number): void {
  if (Number.isSafeInteger(rows) && rows >= 0 && rows <= 8 * bytes) return;
  throw new Error(`a group of ${rows} rows in ${bytes} bytes`);
}
