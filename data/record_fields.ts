/**
 * Takes fields out of records and checks their kinds; below messages.ts and schemas.ts. Ours.
 */
import { closestMatch } from "leven";
import type { DataRecord } from "./records.ts";

/** The longest text that is read as words, in characters, or bytes where it is not marked as text. */
const LONGEST_TEXT = 100_000;
/** The most messages, questions or answers in a row. */
const MOST_ITEMS = 10_000;
const LONGEST_PATH = 4096;

/** A row's picture is missing, or not where the row says. */
export class PictureError extends TypeError {
  override name = "PictureError";
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined || Number.isNaN(value)) return "nothing";
  if (typeof value === "number" || typeof value === "bigint") return `the number ${value}`;
  if (Array.isArray(value)) return value.length === 0 ? "an empty list" : "a list";
  if (typeof value === "object") return "a struct";
  return `a value of type ${typeof value}`;
}

/** The known name that a wrong one was perhaps meant to be; at most so many letters differ. */
export function nearest(
  name: string,
  known: readonly string[],
  most: number = Math.ceil(name.length / 3),
): string | undefined {
  const lower = new Map(known.map((one) => [one.toLowerCase(), one]));
  const found = closestMatch(name.toLowerCase(), [...lower.keys()], { maxDistance: most });
  return found === undefined ? undefined : lower.get(found);
}

/** Says which of names are not among those that are there, and what they were perhaps meant to be. */
export function missingText(names: readonly string[], there: readonly string[]): string {
  return names.filter((name) => !there.includes(name)).map((name) => {
    const near = nearest(name, there);
    return ` There is no column "${name}"${near === undefined ? "" : `; did you mean "${near}"?`}`;
  }).join("");
}

/** What is said of a field of the wrong kind. */
function wrong(field: string, value: unknown, expected: string, record?: DataRecord): string {
  const other = record && !(field in record) ? nearest(field, Object.keys(record)) : undefined;
  const hint = other === undefined ? "" : `. Is it called "${other}" there?`;
  return `Cannot read field "${field}": found ${kindOf(value)}, expected ${expected}${hint}`;
}

/** The error for a field of the wrong kind; `record` is what it was looked for in. */
export function wrongField(
  field: string,
  value: unknown,
  expected: string,
  record?: DataRecord,
): TypeError {
  return new TypeError(wrong(field, value, expected, record));
}

function atMost(length: number, most: number, unit: string): void {
  if (length <= most) return;
  throw new RangeError(`Cannot read a row: found ${length} ${unit}, expected at most ${most}`);
}

function decoded(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : undefined;
}

/**
 * The text that a value is, also where the file does not mark its bytes as text.
 *
 * @throws {RangeError} when it is too long
 */
export function textOf(value: unknown): string | undefined {
  const isText = typeof value === "string" || value instanceof Uint8Array;
  if (isText) atMost(value.length, LONGEST_TEXT, "characters in a text");
  return decoded(value);
}

/** @throws {TypeError} when it is no text */
export function readString(record: DataRecord, field: string): string {
  const text = textOf(record[field]);
  if (text === undefined) throw wrongField(field, record[field], "text", record);
  return text;
}

/** @throws {TypeError} when it is no struct */
export function readRecord(value: unknown, field: string): DataRecord {
  if (!isRecord(value)) throw wrongField(field, value, "a struct");
  return value;
}

/** Whether a value has named fields. */
export function isRecord(value: unknown): value is DataRecord {
  return typeof value === "object" && value !== null && !Array.isArray(value) &&
    !(value instanceof Uint8Array) && !(value instanceof Date);
}

/** A list that stands in a text as JSON, as it has to in CSV. */
function listInText(value: unknown): unknown {
  const text = decoded(value);
  if (!text?.trimStart().startsWith("[")) return value;
  try {
    return JSON.parse(text);
  } catch {
    return value;
  }
}

/**
 * Records of lists of the same length are lists of records: `datasets` stores them so.
 *
 * @throws {RangeError} when a list is too long
 */
function listOf(value: unknown): unknown {
  const columns = isRecord(value) ? Object.entries(value) : [];
  const [, first] = columns[0] ?? ["", value];
  if (Array.isArray(first)) atMost(first.length, MOST_ITEMS, "items in a list");
  if (!isRecord(value) || !Array.isArray(first)) return value;
  if (!columns.every(([, one]) => Array.isArray(one))) return value;
  return first.map((_, at) =>
    Object.fromEntries(columns.map(([name, one]) => [name, (one as unknown[])[at]]))
  );
}

/** @throws {TypeError} when it is no list */
export function readList(record: DataRecord, field: string): unknown[] {
  const list = listOf(listInText(record[field]));
  if (!Array.isArray(list)) throw wrongField(field, record[field], "a list", record);
  return list;
}

/** What is most frequent; of several the one that came first. */
export function mostFrequent<T>(values: readonly T[]): T | undefined {
  const counts = new Map<T, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  const most = counts.values().reduce((most, count) => Math.max(most, count), 0);
  return [...counts].find(([, count]) => count === most)?.[0];
}

/**
 * A value as an answer in words: text, a number, a truth value, a date, or the name of a class. Of
 * a list of answers the first counts; of a list of structs, which several people's answers are, the
 * most frequent.
 *
 * @param names of classes, where numbers stand for them
 * @returns undefined where it is nothing of these
 */
export function answerOf(value: unknown, names?: readonly string[]): string | undefined {
  if (typeof value === "number" || typeof value === "bigint") {
    return names ? names[Number(value)] : Number.isNaN(value) ? undefined : String(value);
  }
  if (typeof value === "boolean") return String(value);
  if (value instanceof Date) {
    return value.toISOString().replace("T", " ").replace(/( 00:00:00)?\.000Z$/, "");
  }
  const list = listOf(value);
  if (Array.isArray(list)) {
    const all = list.map((one) => answerOf(one, names));
    return isRecord(list[0]) ? mostFrequent(all.filter((one) => one !== undefined)) : all[0];
  }
  if (!isRecord(list)) return textOf(list);
  return list["answer"] === undefined ? answerOf(list["text"]) : answerOf(list["answer"], names);
}

/** A picture: its file's bytes, or where they are, and the name it goes by. */
export type Picture =
  | { readonly bytes: Uint8Array; readonly path: string }
  | { readonly path: string };

/** How picture files of a known type begin, in Base64: JPEG, PNG, GIF, WebP, BMP, TIFF. */
const BASE64 = /^(\/9j\/|iVBORw0KGgo|R0lGOD|UklGR|Qk[\w+/]{4}A|SUkqA|TU0AK)[\w+/\s]{40}/;

/** The bytes in a "data:" URL or in plain Base64, or undefined where a text is neither. */
function bytesIn(text: string, field: string): Uint8Array | undefined {
  const [, base64 = BASE64.test(text) && !/[^\w+/=\s]/.test(text) ? text : undefined] =
    /^data:[^,]*;base64,(.*)$/is.exec(text) ?? [];
  try {
    return base64 === undefined ? undefined : Uint8Array.fromBase64(base64);
  } catch (cause) {
    throw new PictureError(
      `Cannot read field "${field}": found damaged Base64, expected that of a picture file`,
      { cause },
    );
  }
}

/**
 * The picture that a value is: of a list the first; the bytes of a file, also in Base64 or a
 * "data:" URL; a path; or a struct of `bytes` and `path`, or of the `url` or `data` of a message.
 *
 * @throws {PictureError} when there is none
 */
export function pictureOf(value: unknown, field: string, record?: DataRecord): Picture {
  const list = listInText(value);
  const first = Array.isArray(list) ? list[0] : list;
  if (first instanceof Uint8Array && first.length > 0) return { bytes: first, path: "" };
  if (typeof first === "string") {
    const bytes = bytesIn(first, field);
    if (bytes) return { bytes, path: "" };
    if (first.length <= LONGEST_PATH) return { path: first };
    throw new PictureError(
      `Cannot read field "${field}": found a text of ${first.length} characters, expected a path ` +
        `of at most ${LONGEST_PATH}, or Base64 of a picture file`,
    );
  }
  if (!isRecord(first)) throw new PictureError(wrong(field, first, "a picture", record));
  const path = textOf(first["path"]) ?? "";
  const bytes = [first["bytes"], first["url"], first["data"]].find((one) => (one ?? "") !== "");
  if (bytes !== undefined) {
    const picture = pictureOf(bytes, `${field}.bytes`);
    return path === "" ? picture : { ...picture, path };
  }
  if (path !== "") return { path };
  throw new PictureError(wrong(`${field}.bytes`, first["bytes"], "a picture file"));
}
