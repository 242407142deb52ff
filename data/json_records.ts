/**
 * JSON files: one record a line, or one list of records, alone or in a field of an object. Read
 * record by record by text_records.ts.
 *
 * Source: jsonlines.org; LLaVA's lists; Python's `json`, which also writes NaN and Infinity.
 */
import type { RangeReader } from "./hub.ts";
import { type DataFile, mapSome } from "./local_file.ts";
import { checkColumns } from "./record_limits.ts";
import type { DataRecord, RecordSource } from "./records.ts";
import { openText } from "./text_file.ts";
import {
  openTextRecords,
  Places,
  readText,
  type Scanner,
  scanText,
  type TextFile,
} from "./text_records.ts";

const LINE_FEED = 10;
const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const LIST_START = 0x5b;
const LIST_END = 0x5d;
const OBJECT_START = 0x7b;
const OBJECT_END = 0x7d;
/** The most lists in an object that are looked at. */
const MOST_LISTS = 100;
/** How a file begins that pandas writes by default, or with orient="split". */
const BY_COLUMNS = /^\s*\{\s*("columns"\s*:\s*\[|"(\\.|[^"\\])*"\s*:\s*\{\s*"0"\s*:\s*[^\s{])/;
/** As Python has it: more take very long. */
const MOST_DIGITS = 4300;
/** Python reads no deeper either: a byte that opens a list takes 70 in memory. */
const TOO_DEEP = "[".repeat(1000);
/** Lists in a record, which make no object a file of records. */
const FIELDS_OF_RECORDS = new Set(["conversations", "images", "messages", "texts"]);

/** Finds lines that hold something. */
class LineScanner implements Scanner {
  readonly places = new Places();
  #start = 0;
  #line = 1;
  #isEmpty = true;

  get found(): number {
    return this.places.length;
  }

  take(bytes: Uint8Array, offset: number): void {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      if (byte === LINE_FEED) this.end(offset + at);
      else if (byte > 32) this.#isEmpty = false;
    }
  }

  end(at: number): void {
    if (!this.#isEmpty) this.places.add(this.#start, at, this.#line);
    this.#start = at + 1;
    this.#line++;
    this.#isEmpty = true;
  }
}

/** A list, and where its name is, in an object. */
interface List {
  readonly places: Places;
  readonly nameStart: number;
  readonly nameEnd: number;
  isOfObjects: boolean;
}

/** Finds the items of the list that a file is, or of the lists in the object that it is. */
class ListScanner implements Scanner {
  readonly lists: List[] = [];
  /** The lists or objects that the file is made of, one behind the other. */
  readonly values = new Places();
  /** Whether there was something else. */
  #hasMore = false;
  /** How many brackets are open around the items. */
  readonly #level: number;
  #depth = 0;
  #list: List | undefined;
  #isInText = false;
  #isEscaped = false;
  #line = 1;
  #nameStart = 0;
  #nameEnd = 0;
  #start = -1;
  #startLine = 1;
  #lastEnd = 0;
  #valueStart = 0;
  #valueLine = 1;

  constructor(isObject: boolean) {
    this.#level = isObject ? 2 : 1;
  }

  get found(): number {
    return this.lists.reduce((sum, { places }) => sum + places.length, this.values.length);
  }

  take(bytes: Uint8Array, offset: number): void {
    for (let at = 0; at < bytes.length; at++) {
      if (this.#isInText) at = this.#skipText(bytes, at, offset);
      else {
        const byte = bytes[at] ?? 0;
        if (byte > 32) this.#takeMark(byte, offset + at);
        else if (byte === LINE_FEED) this.#line++;
      }
    }
  }

  /** Goes to the end of a text, or of the bytes. */
  #skipText(bytes: Uint8Array, start: number, offset: number): number {
    let isEscaped = this.#isEscaped;
    let at = start;
    for (; at < bytes.length; at++) {
      const byte = bytes[at];
      if (isEscaped) isEscaped = false;
      else if (byte === BACKSLASH) isEscaped = true;
      else if (byte === QUOTE) break;
    }
    this.#isEscaped = isEscaped;
    if (at === bytes.length) return at;
    this.#isInText = false;
    this.#lastEnd = offset + at + 1;
    if (this.#depth === 1) this.#nameEnd = this.#lastEnd;
    return at;
  }

  #takeMark(byte: number, at: number): void {
    const isStart = byte === LIST_START || byte === OBJECT_START;
    const isEnd = byte === LIST_END || byte === OBJECT_END;
    if (this.#depth === 0) {
      this.#hasMore ||= !isStart;
      this.#valueStart = at;
      this.#valueLine = this.#line;
    }
    if (isEnd && --this.#depth === 0) this.values.add(this.#valueStart, at + 1, this.#valueLine);
    if (this.#list && (isEnd ? this.#depth < this.#level : byte === COMMA && this.#isAtItems())) {
      this.#endItem();
      if (isEnd) this.#list = undefined;
    } else if (this.#list && this.#start < 0 && this.#isAtItems()) {
      this.#start = at;
      this.#startLine = this.#line;
      this.#list.isOfObjects ||= byte === OBJECT_START;
    }
    if (byte === QUOTE) {
      this.#isInText = true;
      if (this.#depth === 1) this.#nameStart = at;
    } else if (isStart) this.#open(byte);
    this.#lastEnd = at + 1;
  }

  /** Whether the file was made of whole lists or objects, from its beginning to its end. */
  get isWhole(): boolean {
    return !this.#hasMore && this.#depth === 0;
  }

  #isAtItems(): boolean {
    return this.#depth === this.#level;
  }

  #open(byte: number): void {
    if (++this.#depth !== this.#level || byte !== LIST_START) return;
    if (this.lists.length >= MOST_LISTS) return;
    const [nameStart, nameEnd] = [this.#nameStart, this.#nameEnd];
    this.#list = { places: new Places(), nameStart, nameEnd, isOfObjects: false };
    this.lists.push(this.#list);
  }

  #endItem(): void {
    if (this.#start >= 0) this.#list?.places.add(this.#start, this.#lastEnd, this.#startLine);
    this.#start = -1;
  }

  end(): void {}
}

/** Keeps whole numbers that have more digits than a number of JavaScript. */
function exact(_name: string, value: unknown, context?: { readonly source?: string }): unknown {
  if (typeof value !== "number" || Math.abs(value) <= Number.MAX_SAFE_INTEGER) return value;
  const source = context?.source ?? "";
  if (!/^-?\d+$/.test(source)) return value;
  if (source.length <= MOST_DIGITS) return BigInt(source);
  throw new RangeError(`a number of ${source.length} digits, expected at most ${MOST_DIGITS}`);
}

/** Parses JSON as Python reads it: NaN and Infinity, which are no values, are null. */
function parseJson(text: string): unknown {
  if (text.includes(TOO_DEEP)) throw new Error(`${TOO_DEEP.length} lists in one another`);
  try {
    return JSON.parse(text, /\d{16}/.test(text) ? exact : undefined);
  } catch (error) {
    if (error instanceof RangeError) throw error;
    let isInText = false;
    const plain = text.replace( // in pieces, for which there is room enough
      /"|(?:\\.|[^"\\NI-]){1,1000}|-?\b(?:NaN|Infinity)\b/g,
      (found) => {
        if (found === '"') isInText = !isInText;
        return !isInText && /^-?(NaN|Infinity)$/.test(found) ? "null" : found;
      },
    );
    if (plain === text) throw error;
    return JSON.parse(plain);
  }
}

function parseRecord(text: string): DataRecord {
  const value = parseJson(text);
  if (typeof value === "object" && value !== null && !Array.isArray(value)) {
    checkColumns(Object.keys(value).length);
    return value as DataRecord;
  }
  throw new Error(Array.isArray(value) ? "a list" : String(value).slice(0, 40));
}

async function beginningOf(file: RangeReader): Promise<string> {
  return new TextDecoder().decode(await file.slice(0, Math.min(file.byteLength, 4096)));
}

/**
 * The records of a file of objects that are more or less than a line each: the objects, or the list of
 * records in the only one. Undefined where it is no such file.
 */
async function recordsInObjects(name: string, file: RangeReader): Promise<Places | undefined> {
  const scanner = new ListScanner(true);
  await scanText(name, file, scanner);
  if (!scanner.isWhole) return undefined;
  if (scanner.values.length > 1) return scanner.values;
  const found = new Map<string, Places>();
  for (const { places, nameStart, nameEnd, isOfObjects } of scanner.lists) {
    const key = new TextDecoder().decode(await file.slice(nameStart, nameEnd)).slice(1, -1);
    if (isOfObjects && !FIELDS_OF_RECORDS.has(key)) found.set(key, places);
  }
  if (found.size > 1) {
    const names = [...found.keys()].join(", ");
    throw new SyntaxError(
      `Cannot read "${name}": found lists of records in its fields "${names}", expected one list. ` +
        `Write the rows to train on into a file of their own.`,
    );
  }
  return [...found.values()][0] ?? scanner.values;
}

async function index({ name, open }: DataFile): Promise<TextFile> {
  const file = await openText({ name, open });
  const common = { name, file, expected: "one JSON object", parse: parseRecord };
  const beginning = await beginningOf(file);
  if (/^[\0- ]*\[/.test(beginning)) {
    const scanner = new ListScanner(false);
    await scanText(name, file, scanner);
    const [list] = scanner.lists;
    if (list && scanner.isWhole && scanner.values.length === 1) {
      return { ...common, places: list.places, isList: true };
    }
    throw new SyntaxError(
      `Cannot read "${name}": found a list without an end, or more behind it, expected one list of ` +
        `records or one record a line. The file may be cut short.`,
    );
  }
  const { places } = await scanLines(name, file);
  const lines = { ...common, places };
  const mayBeLines = places.length > 1 || /l(\.gz)?$|ndjson/i.test(name); // of .jsonl, one line too
  const isLines = mayBeLines && await readText(lines, 0).then(() => true, () => false);
  if ((!isLines || places.length === 1) && BY_COLUMNS.test(beginning)) {
    throw new SyntaxError(
      `Cannot read "${name}": found a table written by columns, expected one record a line. Write ` +
        `it again, with pandas as df.to_json(path, orient="records", lines=True).`,
    );
  }
  const list = isLines || places.length === 0 ? undefined : await recordsInObjects(name, file);
  return list ? { ...common, places: list, isList: list.length > 1 } : lines;
}

async function scanLines(name: string, file: RangeReader): Promise<LineScanner> {
  const scanner = new LineScanner();
  await scanText(name, file, scanner);
  return scanner;
}

/**
 * Finds the records of JSON files.
 *
 * @param files in order
 * @throws {SyntaxError} when a file holds no good record
 */
export async function openJson(files: readonly DataFile[]): Promise<RecordSource> {
  return await openTextRecords(await mapSome(files, 2, index));
}
