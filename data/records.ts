/**
 * Numbered records of named columns, whatever the format of the files: made by parquet.ts,
 * arrow.ts, json_records.ts and csv_records.ts, turned into rows by record_dataset.ts.
 */
import type { RowGroup } from "./dataset.ts";
import { whatIs } from "./file_kind.ts";
import { HubError, type RangeReader } from "./hub.ts";
import { type DataFile, mapSome } from "./local_file.ts";
import { checkColumns } from "./record_limits.ts";

/** Files that are opened at once. */
const FILES_AT_ONCE = 8;

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
   * One record with all its columns, or those of `useColumns()`.
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
  /**
   * What the `datasets` library wrote into the files about columns, as JSON: `{"info": {"features":
   * {…}}}`, with the names of classes in it; absent where it is not there.
   */
  readonly features?: string;
  /** What to call a record in messages: its file, and its row or line in it. */
  place?(index: number): string;
  /** The name of the file that a record is from. */
  fileOf(index: number): string;
  /**
   * Reads no other columns from now on, so that one that nobody needs may be too large or of an
   * unknown kind; absent where each record has columns of its own.
   *
   * @param needed columns that all files must have
   * @param others columns to read where they are there
   * @throws {TypeError} when a file lacks one that is needed
   */
  useColumns?(needed: readonly string[], others: readonly string[]): void;
}

/** A group of neighbouring records that can be read. */
export interface ReadableGroup extends RowGroup {
  /** Reads columns that are there, or all. */
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

  /** All records of a group; columns count when it is read. */
  get(group: ReadableGroup, columns?: readonly string[]): Promise<DataRecord[]> {
    const records = this.#groups.get(group) ?? this.#read(group, columns);
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

  #read(group: ReadableGroup, columns: readonly string[] | undefined): Promise<DataRecord[]> {
    const records = group.read(columns);
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

/** A group with the file that it is from. */
interface FileGroup extends ReadableGroup {
  readonly file: {
    readonly name: string;
    readonly columns: readonly string[];
    /** Number of its first record. */
    readonly start: number;
  };
}

/** Records in groups, each of which is read whole. */
export class GroupedRecords implements RecordSource {
  readonly columns: readonly string[];
  readonly rows: number;
  readonly groups: readonly FileGroup[];
  readonly features?: string;
  readonly #cache: GroupCache;
  #used: readonly string[] | undefined;

  /** @param groups in order, without gaps, none of them empty */
  constructor(
    columns: readonly string[],
    groups: readonly FileGroup[],
    cache: GroupCache,
    features?: string,
  ) {
    this.columns = columns;
    this.groups = groups;
    if (features !== undefined) this.features = features;
    this.#cache = cache;
    this.rows = groups.reduce((sum, { rows }) => sum + rows, 0);
  }

  async record(index: number): Promise<DataRecord> {
    const group = this.groups[findRange(this.groups, index)];
    const record = group && (await this.#cache.get(group, this.#used))[index - group.start];
    if (!record) throw noSuchRecord(index, this.rows);
    return record;
  }

  place(index: number): string {
    const file = this.groups[findRange(this.groups, index)]?.file;
    return file ? `row ${index - file.start} of "${file.name}"` : `row ${index}`;
  }

  fileOf(index: number): string {
    return this.groups[findRange(this.groups, index)]?.file.name ?? "";
  }

  useColumns(needed: readonly string[], others: readonly string[]): void {
    for (const { file } of this.groups) {
      const missing = needed.find((column) => !file.columns.includes(column));
      if (missing === undefined) continue;
      throw new TypeError(
        `Cannot read "${file.name}": found columns "${file.columns.join(", ")}", expected ` +
          `"${missing}" too, as in other files of the dataset. Name the files that belong together.`,
      );
    }
    this.#used = [...new Set([...needed, ...others])];
  }

  hold(numbers: readonly number[], next?: number): void {
    const ahead = next === undefined ? undefined : this.groups[next];
    const held = numbers.flatMap((number) => this.groups[number] ?? []);
    this.#cache.hold(this.groups, new Set(ahead ? [...held, ahead] : held));
    // Where it cannot be read, record() says so when its turn comes.
    if (ahead) this.#cache.get(ahead, this.#used).catch(() => {});
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

/** What is known of a file before its records are read; groups are numbered from its first record. */
export interface GroupIndex {
  readonly columns: readonly string[];
  readonly groups: readonly Omit<ReadableGroup, "start">[];
  /** See `RecordSource`. */
  readonly features?: string | undefined;
}

/** A kind of files whose records are read in groups. */
export interface GroupedKind {
  /** What to call the kind, with its article. */
  readonly kind: string;
  /** Finds the groups of a file. */
  index(file: RangeReader): Promise<GroupIndex>;
}

/** What to throw for a failure in reading a file: the Hub's fault, a limit, or the file's own. */
function readError(kind: string, name: string, cause: unknown): Error {
  if (cause instanceof HubError) return cause;
  const found = cause instanceof Error ? cause.message : String(cause);
  if (cause instanceof RangeError && /, expected at most /.test(found)) {
    return new RangeError(`Cannot read "${name}": found ${found}`, { cause });
  }
  return new SyntaxError(
    `Cannot read "${name}": found ${found}, expected ${kind}. The file is damaged, or cut short.`,
    { cause },
  );
}

/** The failure to open a file, which may be of another kind than it is called. */
async function openError(
  { kind }: GroupedKind,
  { name }: DataFile,
  file: RangeReader,
  cause: unknown,
): Promise<Error> {
  if (cause instanceof HubError) return cause;
  const found = whatIs(new Uint8Array(await file.slice(0, Math.min(512, file.byteLength))));
  if (found === kind || found.startsWith("an unknown file")) return readError(kind, name, cause);
  return new SyntaxError(
    `Cannot read "${name}": found ${found}, expected ${kind}. Put the right file in its place.`,
    { cause },
  );
}

/**
 * Opens files whose records are read in groups, one behind the other. Their columns can be in any
 * order; one that a file lacks is undefined in its records.
 *
 * @throws {SyntaxError} when a file is damaged or of another kind
 */
export async function openGrouped(
  files: readonly DataFile[],
  cache: GroupCache,
  kind: GroupedKind,
): Promise<GroupedRecords> {
  const indexed = await mapSome(files, FILES_AT_ONCE, async (one) => {
    const file = await one.open();
    try {
      const index = await kind.index(file);
      checkColumns(index.columns.length);
      return { name: one.name, ...index };
    } catch (error) {
      throw await openError(kind, one, file, error);
    }
  });
  const groups: FileGroup[] = [];
  let start = 0;
  for (const { name, columns, groups: its } of indexed) {
    const file = { name, columns, start };
    for (const group of its) {
      if (group.rows === 0) continue;
      const read = async (chosen: readonly string[] = columns) => {
        try {
          return await group.read(chosen.filter((column) => columns.includes(column)));
        } catch (error) {
          throw readError(kind.kind, name, error);
        }
      };
      groups.push({ ...group, start, read, file });
      start += group.rows;
    }
  }
  const features = indexed.find((one) => one.features !== undefined)?.features;
  const columns = [...new Set(indexed.flatMap((one) => one.columns))];
  return new GroupedRecords(columns, groups, cache, features);
}
