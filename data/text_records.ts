/**
 * Records of text files, whose places are found once and whose text is read when it is asked for:
 * memory holds three numbers a record, and a bad record is an error of its own. json_records.ts and
 * csv_records.ts find and parse them.
 */
import type { RangeReader } from "./hub.ts";
import { type DataRecord, findRange, noSuchRecord, type RecordSource } from "./records.ts";

/** The most records that a file may have: there are numbers in memory for each. */
const MOST_RECORDS = 2 ** 23;
/** The longest record that is read, in bytes. */
const LONGEST_RECORD = 2 ** 26;
const CHUNK_BYTES = 2 ** 20;
/** Good records whose names make the columns. */
const RECORDS_FOR_COLUMNS = 100;

/** A growing list of whole numbers below 2^53, 8 bytes each. */
class Numbers {
  #values = new Float64Array(16);
  length = 0;

  push(value: number): void {
    if (this.length === this.#values.length) {
      const larger = new Float64Array(2 * this.length);
      larger.set(this.#values);
      this.#values = larger;
    }
    this.#values[this.length++] = value;
  }

  at(index: number): number {
    return this.#values[index] ?? 0;
  }
}

/** Where records are in their file. */
export class Places {
  readonly #starts = new Numbers();
  readonly #ends = new Numbers();
  readonly #lines = new Numbers();

  /**
   * Adds the next record.
   *
   * @param end the place behind its last byte
   * @param line where it begins, as editors count: from 1
   */
  add(start: number, end: number, line: number): void {
    this.#starts.push(start);
    this.#ends.push(end);
    this.#lines.push(line);
  }

  get length(): number {
    return this.#starts.length;
  }

  at(index: number): { start: number; end: number; line: number } {
    return {
      start: this.#starts.at(index),
      end: this.#ends.at(index),
      line: this.#lines.at(index),
    };
  }
}

/** Finds the places of records. */
export interface Scanner {
  /** How many were found so far. */
  readonly found: number;
  /** Takes the file's next bytes, the first of them at `offset`. */
  take(bytes: Uint8Array, offset: number): void;
  /** Takes note that the file ends. */
  end(at: number): void;
}

/** A text file whose records are known. */
export interface TextFile<T = DataRecord> {
  readonly name: string;
  readonly file: RangeReader;
  readonly places: Places;
  /** Records in front that are none, such as a line of names. */
  readonly skipped?: number;
  /** Whether a line can hold several records, so that messages count these too. */
  readonly isList?: boolean;
  /** What a record should be, for messages. */
  readonly expected: string;
  /** @throws {Error} when it is no record */
  parse(text: string): T;
}

/**
 * Shows a scanner the whole file.
 *
 * @throws {RangeError} when there are too many records
 */
export async function scanText(name: string, file: RangeReader, scanner: Scanner): Promise<void> {
  for (let start = 0; start < file.byteLength; start += CHUNK_BYTES) {
    const end = Math.min(start + CHUNK_BYTES, file.byteLength);
    scanner.take(new Uint8Array(await file.slice(start, end)), start);
    if (scanner.found <= MOST_RECORDS) continue;
    throw new RangeError(
      `Cannot read "${name}": found ${scanner.found} records and more, expected at most ` +
        `${MOST_RECORDS} in a file. Divide it.`,
    );
  }
  scanner.end(file.byteLength);
}

/** The same file for reading from front to back: in chunks, of which one is kept. */
function inChunks(file: RangeReader): RangeReader {
  let chunk = new ArrayBuffer(0);
  let chunkStart = 0;
  return {
    byteLength: file.byteLength,
    async slice(start, end = file.byteLength) {
      if (start < chunkStart || end > chunkStart + chunk.byteLength) {
        chunk = await file.slice(
          start,
          Math.min(file.byteLength, Math.max(end, start + CHUNK_BYTES)),
        );
        chunkStart = start;
      }
      return chunk.slice(start - chunkStart, end - chunkStart);
    },
  };
}

/** What to call a record in messages. */
function placeOf(text: TextFile<unknown>, index: number): string {
  const { name, places, skipped = 0, isList } = text;
  const line = `line ${places.at(index).line} of "${name}"`;
  return isList ? `entry ${index + 1 - skipped} on ${line}` : line;
}

/**
 * Reads one record of a file.
 *
 * @param index among its places
 * @throws {SyntaxError} when it is no record
 * @throws {RangeError} when it is too long
 */
export async function readText<T>(text: TextFile<T>, index: number): Promise<T> {
  const { start, end } = text.places.at(index);
  if (end - start > LONGEST_RECORD) {
    throw new RangeError(
      `Cannot read ${placeOf(text, index)}: found ${end - start} bytes, expected at most ` +
        `${LONGEST_RECORD}. Put pictures in files of their own.`,
    );
  }
  const bytes = await text.file.slice(start, end);
  try {
    return text.parse(new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch (cause) {
    const found = cause instanceof TypeError // of the decoder
      ? "bytes that are no UTF-8"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    if (cause instanceof RangeError && /, expected at most /.test(found)) {
      throw new RangeError(`Cannot read ${placeOf(text, index)}: found ${found}`, { cause });
    }
    throw new SyntaxError(
      `Cannot read ${placeOf(text, index)}: found ${found}, expected ${text.expected}`,
      { cause },
    );
  }
}

class TextRecords implements RecordSource {
  readonly rows: number;
  readonly columns: readonly string[];
  readonly #files: readonly (TextFile & { start: number; rows: number })[];

  private constructor(files: readonly TextFile[], columns: readonly string[]) {
    let start = 0;
    this.#files = files.map((file) => {
      const rows = Math.max(0, file.places.length - (file.skipped ?? 0));
      start += rows;
      return { ...file, start: start - rows, rows };
    });
    this.rows = start;
    this.columns = columns;
  }

  static async open(files: readonly TextFile[]): Promise<TextRecords> {
    const source = new TextRecords(files, []);
    const columns = new Set<string>();
    let error: unknown;
    for (let index = 0, good = 0; index < source.rows && good < RECORDS_FOR_COLUMNS; index++) {
      try {
        for (const name of Object.keys(await source.record(index))) columns.add(name);
        good++;
      } catch (cause) {
        error ??= cause;
        if (good === 0 && index >= RECORDS_FOR_COLUMNS) break;
      }
    }
    if (columns.size === 0 && error !== undefined) throw error; // no good one: another kind of file
    return new TextRecords(files, [...columns]);
  }

  #locate(index: number) {
    const file = this.#files[findRange(this.#files, index)];
    if (!file) throw noSuchRecord(index, this.rows);
    return file;
  }

  async record(index: number): Promise<DataRecord> {
    const file = this.#locate(index);
    return await readText(file, index - file.start + (file.skipped ?? 0));
  }

  async *select(): AsyncGenerator<DataRecord | undefined> {
    for (const whole of this.#files) {
      const file = { ...whole, file: inChunks(whole.file) };
      for (let index = file.skipped ?? 0; index < file.places.length; index++) {
        yield await readText(file, index).catch(() => undefined);
      }
    }
  }

  place(index: number): string {
    const file = this.#locate(index);
    return placeOf(file, index - file.start + (file.skipped ?? 0));
  }

  fileOf(index: number): string {
    return this.#locate(index).name;
  }
}

/**
 * Numbers the records of files, one behind the other.
 *
 * @throws {SyntaxError} when there are records, but no good one
 */
export async function openTextRecords(files: readonly TextFile[]): Promise<RecordSource> {
  return await TextRecords.open(files);
}
