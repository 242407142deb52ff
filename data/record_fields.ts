/**
 * Takes fields out of records and checks their kinds; below schemas.ts. Ours.
 */
import type { DataRecord } from "./records.ts";

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : `a value of type ${typeof value}`;
}

/** The error for a field of the wrong kind. */
export function wrongField(field: string, value: unknown, expected: string): TypeError {
  return new TypeError(
    `Cannot read field "${field}": found ${kindOf(value)}, expected ${expected}`,
  );
}

/** The text that a value is, also where the file does not mark its bytes as text. */
export function textOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return value instanceof Uint8Array ? new TextDecoder().decode(value) : undefined;
}

/** @throws {TypeError} when it is no text */
export function readString(record: DataRecord, field: string): string {
  const text = textOf(record[field]);
  if (text === undefined) throw wrongField(field, record[field], "text");
  return text;
}

/** @throws {TypeError} when it is no struct */
export function readRecord(value: unknown, field: string): DataRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrongField(field, value, "a struct");
  }
  return value as DataRecord;
}

/** @throws {TypeError} when it is no list */
export function readList(record: DataRecord, field: string): unknown[] {
  const value = record[field];
  if (!Array.isArray(value)) throw wrongField(field, value, "a list");
  return value;
}

/** A picture: its file's bytes, or where they are, and the name it goes by. */
export type Picture =
  | { readonly bytes: Uint8Array; readonly path: string }
  | { readonly path: string };

/**
 * The first picture of a field: a list or a single one, each of them the bytes of a file, a struct
 * of `bytes` and `path`, or a path.
 *
 * @throws {TypeError} when there is none
 */
export function readPicture(record: DataRecord, field: string): Picture {
  const value = record[field];
  const first = Array.isArray(value) ? value[0] : value;
  if (first === null || first === undefined) throw wrongField(field, first, "a picture");
  if (first instanceof Uint8Array) return { bytes: first, path: "" };
  if (typeof first === "string") return { path: first };
  const { bytes, path } = readRecord(first, field);
  if (!(bytes instanceof Uint8Array)) throw wrongField(`${field}.bytes`, bytes, "a picture file");
  return { bytes, path: textOf(path) ?? "" };
}
