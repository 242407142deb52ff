/**
 * CSV and TSV files: a first line of names, then one record a line, or over several where a text in
 * quotes has line ends. All values are text, empty ones are null. Read record by record by
 * text_records.ts.
 *
 * Source: RFC 4180, and what pandas.read_csv makes of what the RFC leaves open.
 */
import { type DataFile, mapSome } from "./local_file.ts";
import { checkColumns, checkQuotes } from "./record_limits.ts";
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
const RETURN = 13;
const QUOTE = 0x22;
/** What can be between values; the first of those that are equally frequent counts. */
const SEPARATORS = [",", ";", "\t"];
/** The line of names is looked for in so many bytes. */
const FIRST_READ = 2 ** 16;

/** Finds records: what is between line ends that are not in quotes. */
class CsvScanner implements Scanner {
  readonly places = new Places();
  readonly #separator: number;
  #start = 0;
  #startLine = 1;
  #line = 1;
  #isEmpty = true;
  #isQuoted = false;
  #last = LINE_FEED;
  /** Whether a quote here would begin a text, or go on with it where it is doubled. */
  #mayQuote = true;

  constructor(separator: string) {
    this.#separator = separator.charCodeAt(0);
  }

  get found(): number {
    return this.places.length;
  }

  /** Whether a quote is not closed so far. */
  get isQuoted(): boolean {
    return this.#isQuoted;
  }

  take(bytes: Uint8Array, offset: number): void {
    for (let at = 0; at < bytes.length; at++) {
      const byte = bytes[at] ?? 0;
      const isLineEnd = byte === RETURN || byte === LINE_FEED;
      if (isLineEnd && !(byte === LINE_FEED && this.#last === RETURN)) this.#line++;
      this.#last = byte;
      if (byte > 32) this.#isEmpty = false;
      if (this.#isQuoted) {
        if (byte === QUOTE) this.#isQuoted = false;
      } else if (isLineEnd) this.end(offset + at);
      else if (byte === QUOTE && this.#mayQuote) this.#isQuoted = true;
      else this.#mayQuote = byte === this.#separator;
    }
  }

  end(at: number): void {
    if (!this.#isEmpty) this.places.add(this.#start, at, this.#startLine);
    this.#start = at + 1;
    this.#startLine = this.#line;
    this.#isEmpty = true;
    this.#mayQuote = true;
  }
}

/**
 * The values of a record.
 *
 * @throws {Error} when a quote is not closed
 */
function valuesOf(record: string, separator: string): string[] {
  const values: string[] = [];
  let quotes = 0;
  for (let at = 0; at <= record.length; at++) {
    let text = "";
    for (let isDoubled = false; record[at] === '"'; isDoubled = true) {
      const end = record.indexOf('"', at + 1);
      if (end < 0) throw new Error("a quote that is never closed");
      checkQuotes(++quotes);
      text += (isDoubled ? '"' : "") + record.slice(at + 1, end);
      at = end + 1;
    }
    const next = record.indexOf(separator, at);
    const end = next < 0 ? record.length : next;
    values.push(text + record.slice(at, end));
    at = end;
  }
  return values;
}

/** Names of columns as pandas gives them: those that are empty or double have numbers. */
function columnNames(values: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return values.map((value, at) => {
    const name = value.trim() || `Unnamed: ${at}`;
    const count = seen.get(name) ?? 0;
    seen.set(name, count + 1);
    return count === 0 ? name : `${name}.${count}`;
  });
}

/** What is most frequent of separators in the line of names, outside of quotes. */
function separatorOf(start: string): string {
  const names = start.trimStart().replace(/"[^"]*"/g, "").split(/[\r\n]/, 1)[0] ?? "";
  const counts = SEPARATORS.map((separator) => names.split(separator).length);
  return SEPARATORS[counts.indexOf(Math.max(...counts))] ?? ",";
}

/** A parser of records whose values have these names. */
function parser(names: readonly string[], separator: string): (text: string) => DataRecord {
  return (text) => {
    const values = valuesOf(text, separator);
    if (values.slice(names.length).some((value) => value !== "")) {
      throw new Error(`${values.length} values for ${names.length} columns`);
    }
    return Object.fromEntries(names.map((name, at) => [name, values[at] || null]));
  };
}

async function index({ name, open }: DataFile): Promise<TextFile> {
  const file = await openText({ name, open });
  const start = await file.slice(0, Math.min(file.byteLength, FIRST_READ));
  const separator = separatorOf(new TextDecoder().decode(start));
  const scanner = new CsvScanner(separator);
  await scanText(name, file, scanner);
  if (scanner.isQuoted) {
    const { line } = scanner.places.at(scanner.found - 1);
    throw new SyntaxError(
      `Cannot read "${name}": found a quote in the row on line ${line} that is never closed, so that ` +
        `all rows behind it are in it, expected its end. Close it there.`,
    );
  }
  const lines = { name, file, places: scanner.places, expected: "names of columns" };
  const parseNames = (text: string) => {
    const names = valuesOf(text, separator);
    checkColumns(names.length);
    return names;
  };
  const names = await readText({ ...lines, parse: parseNames }, 0);
  const expected = `a value for each column, in quotes where there is a ${
    separator === "\t" ? "tab" : `"${separator}"`
  } in it`;
  const parse = parser(columnNames(names), separator);
  return { ...lines, skipped: 1, expected, parse };
}

/**
 * Finds the records of CSV and TSV files; commas, semicolons or tabs are between values.
 *
 * @param files in order
 * @throws {SyntaxError} when a file holds no good record, or a quote that is never closed
 */
export async function openCsv(files: readonly DataFile[]): Promise<RecordSource> {
  return await openTextRecords(await mapSome(files, 2, index));
}
