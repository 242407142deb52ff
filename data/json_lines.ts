/**
 * JSON-lines files: one record a line. The places of the lines are found once, the lines are read
 * when asked for; a bad one is an error of its record alone. record_dataset.ts makes rows of what
 * comes out.
 *
 * Source: jsonlines.org.
 */
import type { RangeReader } from "./hub.ts";
import { type DataFile, mapSome } from "./local_file.ts";
import { type DataRecord, findRange, noSuchRecord, type RecordSource } from "./records.ts";
import { readInFolder } from "./safe_path.ts";

/** The longest line that is read, in bytes. */
const LONGEST_LINE = 2 ** 26;
const CHUNK_BYTES = 2 ** 20;
/** Good lines whose names make the columns. */
const LINES_FOR_COLUMNS = 100;
const LINE_FEED = 10;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];

/** A growing list of whole numbers below 2^53, 8 bytes each. */
class Numbers {
  #values = new Float64Array(1024);
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

/** Where the lines are that hold something. */
class LineIndex {
  readonly starts = new Numbers();
  readonly ends = new Numbers();
  /** As editors count, from 1. */
  readonly numbers = new Numbers();
  #lineStart = 0;
  #number = 1;
  #isEmpty = true;

  /** Takes the file's next bytes. */
  take(bytes: Uint8Array, offset: number): void {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === LINE_FEED) this.end(offset + at);
      else if (byte > 32) this.#isEmpty = false;
    }
  }

  /** Ends a line; its last byte is before `at`. */
  end(at: number): void {
    if (!this.#isEmpty) {
      this.starts.push(this.#lineStart);
      this.ends.push(at);
      this.numbers.push(this.#number);
    }
    this.#lineStart = at + 1;
    this.#number++;
    this.#isEmpty = true;
  }
}

interface LinesFile {
  readonly name: string;
  readonly file: RangeReader;
  readonly lines: LineIndex;
}

async function indexLines({ name, open }: DataFile): Promise<LinesFile> {
  const file = await open();
  const lines = new LineIndex();
  for (let start = 0; start < file.byteLength; start += CHUNK_BYTES) {
    const end = Math.min(start + CHUNK_BYTES, file.byteLength);
    let bytes = new Uint8Array(await file.slice(start, end));
    let offset = start;
    if (start === 0 && BYTE_ORDER_MARK.every((byte, at) => bytes[at] === byte)) {
      offset = BYTE_ORDER_MARK.length;
      bytes = bytes.subarray(offset);
    }
    lines.take(bytes, offset);
  }
  lines.end(file.byteLength);
  return { name, file, lines };
}

async function readLine({ name, file, lines }: LinesFile, line: number): Promise<DataRecord> {
  const start = lines.starts.at(line);
  const bytes = lines.ends.at(line) - start;
  const place = `line ${lines.numbers.at(line)} of "${name}"`;
  if (bytes > LONGEST_LINE) {
    throw new RangeError(
      `Cannot read ${place}: found ${bytes} bytes, expected at most ${LONGEST_LINE}. Put pictures ` +
        `in files of their own.`,
    );
  }
  let value: unknown;
  try {
    const text = await file.slice(start, start + bytes);
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(text));
  } catch (cause) {
    const found = cause instanceof Error ? cause.message : String(cause);
    throw new SyntaxError(`Cannot read ${place}: found ${found}, expected one JSON object`, {
      cause,
    });
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    return value as DataRecord;
  }
  throw new SyntaxError(
    `Cannot read ${place}: found ${
      Array.isArray(value) ? "a list" : String(value).slice(0, 40)
    }, ` +
      `expected one JSON object`,
  );
}

class JsonLines implements RecordSource {
  readonly rows: number;
  readonly columns: readonly string[];
  readonly #files: readonly (LinesFile & { start: number; rows: number })[];

  private constructor(files: readonly LinesFile[], columns: readonly string[]) {
    let start = 0;
    this.#files = files.map((file) => {
      const rows = file.lines.starts.length;
      start += rows;
      return { ...file, start: start - rows, rows };
    });
    this.rows = start;
    this.columns = columns;
  }

  static async open(files: readonly LinesFile[]): Promise<JsonLines> {
    const source = new JsonLines(files, []);
    const columns = new Set<string>();
    let error: unknown;
    for (let index = 0, good = 0; index < source.rows && good < LINES_FOR_COLUMNS; index++) {
      try {
        for (const name of Object.keys(await source.record(index))) columns.add(name);
        good++;
      } catch (cause) {
        error ??= cause;
        if (good === 0 && index >= LINES_FOR_COLUMNS) break;
      }
    }
    if (columns.size === 0 && error !== undefined) throw error; // no good line: another kind of file
    return new JsonLines(files, [...columns]);
  }

  #locate(index: number) {
    const file = this.#files[findRange(this.#files, index)];
    if (!file) throw noSuchRecord(index, this.rows);
    return file;
  }

  async record(index: number): Promise<DataRecord> {
    const file = this.#locate(index);
    return await readLine(file, index - file.start);
  }

  async *select(): AsyncGenerator<DataRecord | undefined> {
    for (let index = 0; index < this.rows; index++) {
      yield await this.record(index).catch(() => undefined);
    }
  }

  async readPicture(index: number, path: string): Promise<Uint8Array> {
    const { name } = this.#locate(index);
    return await readInFolder(name.replace(/[^/\\]*$/, "") || ".", path);
  }
}

/**
 * Finds the lines of JSON-lines files on this machine.
 *
 * @param files in order
 * @throws {SyntaxError} when a file holds no good line
 */
export async function openJsonLines(files: readonly DataFile[]): Promise<RecordSource> {
  return await JsonLines.open(await mapSome(files, 2, indexLines));
}
