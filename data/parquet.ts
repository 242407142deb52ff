/**
 * Parquet files on disk, read by row group; parquet_dataset.ts makes rows of what comes out.
 *
 * A row group is kept decoded until the budget is used up, then the longest unused one goes; but
 * those stay that `hold()` names. Files whose row groups exceed the budget together would be read
 * again and again under plain shuffling: sample_order.ts sees to that.
 *
 * Source: hyparquet, with hyparquet-compressors for Zstandard, Gzip, Brotli and LZ4.
 */
import {
  type AsyncBuffer,
  type FileMetaData,
  parquetMetadataAsync,
  parquetReadObjects,
  parquetSchema,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";

/** A record as read: column names to values whose kinds the caller checks. */
export type ParquetRecord = Record<string, unknown>;

/** A file whose slices are read when asked for; it is open only during a read. */
async function fileBuffer(path: string): Promise<AsyncBuffer> {
  const { size } = await Deno.stat(path);
  return {
    byteLength: size,
    async slice(start, end = size) {
      using file = await Deno.open(path);
      await file.seek(start, Deno.SeekMode.Start);
      const bytes = new Uint8Array(Math.max(0, end - start));
      let filled = 0;
      while (filled < bytes.length) {
        const count = await file.read(bytes.subarray(filled));
        if (count === null) {
          throw new Error(`an end of file at byte ${start + filled}, before byte ${end}`);
        }
        filled += count;
      }
      return bytes.buffer;
    },
  };
}

function damaged(path: string, cause: unknown): SyntaxError {
  const found = cause instanceof Error ? cause.message : String(cause);
  return new SyntaxError(
    `Cannot read Parquet file "${path}": found ${found}, expected a whole Parquet file. ` +
      `The file is damaged, cut short or of another kind.`,
    { cause },
  );
}

interface Group {
  path: string;
  file: AsyncBuffer;
  metadata: FileMetaData;
  /** First row within its file. */
  fileStart: number;
  /** First row within all files. */
  start: number;
  rows: number;
  bytes: number;
}

async function readFile(path: string): Promise<{ columns: string[]; groups: Group[] }> {
  const file = await fileBuffer(path);
  try {
    const metadata = await parquetMetadataAsync(file);
    const groups: Group[] = [];
    let fileStart = 0;
    for (const group of metadata.row_groups) {
      const rows = Number(group.num_rows);
      const bytes = Number(group.total_byte_size);
      groups.push({ path, file, metadata, fileStart, start: 0, rows, bytes });
      fileStart += rows;
    }
    const columns = parquetSchema(metadata).children.map((child) => child.element.name);
    return { columns, groups };
  } catch (error) {
    throw damaged(path, error);
  }
}

/** One or several Parquet files of the same columns as one long list of records. */
export class Parquet {
  /** Names of the top-level columns. */
  readonly columns: readonly string[];
  /** Number of records. */
  readonly rows: number;
  readonly #groups: readonly Group[];
  readonly #cacheBytes: number;
  /** Decoded row groups, the longest unused first. */
  readonly #cache = new Map<number, Promise<ParquetRecord[]>>();
  #held: ReadonlySet<number> = new Set();

  private constructor(columns: readonly string[], groups: readonly Group[], cacheBytes: number) {
    this.columns = columns;
    this.#groups = groups;
    this.#cacheBytes = cacheBytes;
    this.rows = groups.reduce((sum, group) => sum + group.rows, 0);
  }

  /**
   * Reads the files' footers.
   *
   * @param paths the files, in order
   * @param cacheBytes uncompressed bytes of row groups to keep
   * @throws {SyntaxError} when a file is damaged
   * @throws {TypeError} when the files have different columns
   */
  static async open(paths: readonly string[], cacheBytes: number): Promise<Parquet> {
    let columns: string[] | undefined;
    const groups: Group[] = [];
    let start = 0;
    for (const path of paths) {
      const file = await readFile(path);
      columns ??= file.columns;
      if (file.columns.join() !== columns.join()) {
        throw new TypeError(
          `Cannot read Parquet file "${path}": found columns "${file.columns.join(", ")}", ` +
            `expected "${columns.join(", ")}" as in "${paths[0]}"`,
        );
      }
      for (const group of file.groups) {
        groups.push({ ...group, start });
        start += group.rows;
      }
    }
    return new Parquet(columns ?? [], groups, cacheBytes);
  }

  async #readGroup(group: Group, columns?: string[]): Promise<ParquetRecord[]> {
    try {
      return await parquetReadObjects({
        file: group.file,
        metadata: group.metadata,
        rowStart: group.fileStart,
        rowEnd: group.fileStart + group.rows,
        compressors,
        utf8: false, // otherwise picture bytes become strings
        ...(columns ? { columns } : {}),
      });
    } catch (error) {
      throw damaged(group.path, error);
    }
  }

  #cached(number: number, group: Group): Promise<ParquetRecord[]> {
    const known = this.#cache.get(number);
    this.#cache.delete(number);
    const records = known ?? this.#readGroup(group);
    this.#cache.set(number, records); // last in line now
    let bytes = 0;
    for (const cached of this.#cache.keys()) bytes += this.#groups[cached]?.bytes ?? 0;
    for (const cached of this.#cache.keys()) {
      if (bytes <= this.#cacheBytes || cached === number) break;
      if (this.#held.has(cached)) continue;
      bytes -= this.#groups[cached]?.bytes ?? 0;
      this.#cache.delete(cached);
    }
    return records;
  }

  /** All records in row groups, in order; `bytes` is their size without compression. */
  get groups(): readonly { start: number; rows: number; bytes: number }[] {
    return this.#groups;
  }

  /**
   * Keeps the named row groups whatever the budget, and no others, until the next call.
   *
   * @param numbers places in `groups`
   * @param next a row group to read ahead
   */
  hold(numbers: readonly number[], next?: number): void {
    this.#held = new Set(next === undefined ? numbers : [...numbers, next]);
    for (const cached of this.#cache.keys()) {
      if (!this.#held.has(cached)) this.#cache.delete(cached);
    }
    const group = next === undefined ? undefined : this.#groups[next];
    // Where it cannot be read, record() says so when its turn comes.
    if (next !== undefined && group) this.#cached(next, group).catch(() => {});
  }

  /**
   * One record with all its columns.
   *
   * @param index from 0
   * @throws {RangeError} when there is no such record
   * @throws {SyntaxError} when the file is damaged
   */
  async record(index: number): Promise<ParquetRecord> {
    const number = this.#groups.findIndex(({ start, rows }) =>
      index >= start && index < start + rows
    );
    const group = this.#groups[number];
    const record = group && (await this.#cached(number, group))[index - group.start];
    if (!record) {
      throw new RangeError(
        `Cannot read record: found index "${index}", expected a whole number from 0 to ${
          this.rows - 1
        }`,
      );
    }
    return record;
  }

  /**
   * One column of all records, a row group at a time; nothing is kept.
   *
   * @throws {SyntaxError} when a file is damaged
   */
  async *column(name: string): AsyncGenerator<unknown> {
    for (const group of this.#groups) {
      for (const record of await this.#readGroup(group, [name])) yield record[name];
    }
  }
}
