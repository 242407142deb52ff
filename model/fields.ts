// Typed keys of a configuration: what each one accepts, its initial value, and how `key=value` text is read.
// Used by config.ts, for JSON files and for `--set`. Ours: nanoVLM relies on Python's dataclasses, which check no types.
import { closestMatch } from "leven";

/** One key of a configuration. */
export interface Field<T> {
  readonly initial: T;
  /** What the key accepts, for error messages. */
  readonly expected: string;
  /** Whether Python writes the value as a float (`1.0`, not `1`). */
  readonly isFloat: boolean;
  /** Throws a `TypeError` for the wrong kind of value and a `RangeError` for an impossible one. */
  check(value: unknown, place: string): T;
  /** The value that `text` stands for, unchecked. */
  fromText(text: string): unknown;
}

/** The keys of the configuration `T`, in the order in which they are written. */
export type Fields<T> = { readonly [K in keyof T]-?: Field<T[K]> };

interface FieldRules<T> {
  readonly initial: T;
  readonly expected: string;
  isKind(value: unknown): value is T;
  isPossible?(value: T): boolean;
  fromText(text: string): unknown;
  readonly isFloat?: boolean;
  /** The words that it takes, where these are few. */
  readonly options?: readonly string[];
}

/** Characters of a wrong value or key that a message shows. */
export const LONGEST_SHOWN = 80;
/** Problems that a message names. */
const MOST_LISTED = 8;

/** The first few `items` as `describe` says them, and how many more there are. */
export function listed<T>(items: readonly T[], describe: (item: T) => string): string {
  const more = items.length - MOST_LISTED;
  return items.slice(0, MOST_LISTED).map(describe).join(", ") +
    (more > 0 ? ` and ${more} more` : "");
}

function field<T>(rules: FieldRules<T>): Field<T> {
  const { initial, expected, fromText, isFloat = false, options = [] } = rules;
  const check = (value: unknown, place: string): T => {
    const isKind = rules.isKind(value);
    if (isKind && rules.isPossible?.(value) !== false) return value;
    const shown = JSON.stringify(value)?.slice(0, LONGEST_SHOWN);
    const wrong = [value].flat().find((word) => !options.some((option) => option === word));
    const hint = typeof wrong === "string"
      ? didYouMean(wrong.slice(0, LONGEST_SHOWN), options)
      : "";
    const message = `Cannot ${place}: ${shown}, expected ${expected}${hint}. Correct the value.`;
    throw isKind ? new RangeError(message) : new TypeError(message);
  };
  return { initial, expected, isFloat, check, fromText };
}

const isNumber = (value: unknown): value is number => typeof value === "number";
// Text that is no number stays text, so that check() can show what the user wrote.
const numberFromText = (text: string): unknown =>
  text.trim() === "" || Number.isNaN(Number(text)) ? text : Number(text);

/** A whole number of at least `minimum` and at most `maximum`. */
export function integer(initial: number, minimum = 1, maximum = Infinity): Field<number> {
  return field({
    initial,
    expected: `a whole number ${
      maximum === Infinity ? `of at least ${minimum}` : `from ${minimum} to ${maximum}`
    }`,
    isKind: isNumber,
    isPossible: (value) => Number.isSafeInteger(value) && value >= minimum && value <= maximum,
    fromText: numberFromText,
  });
}

/** A finite number of at least `minimum`, or greater than it where `exclusive`. */
export function number(
  initial: number,
  minimum = -Infinity,
  exclusive = false,
): Field<number> {
  const bound = exclusive ? `greater than ${minimum}` : `of at least ${minimum}`;
  return field({
    initial,
    expected: minimum === -Infinity ? "a number" : `a number ${bound}`,
    isFloat: true,
    isKind: isNumber,
    isPossible: (value) =>
      Number.isFinite(value) && value >= minimum &&
      !(exclusive && value === minimum),
    fromText: numberFromText,
  });
}

/** A number from 0 up to 1, which is included if `withOne`. */
export function fraction(initial: number, withOne: boolean = false): Field<number> {
  return field({
    initial,
    expected: withOne ? "a number from 0 to 1" : "a number from 0 to below 1",
    isFloat: true,
    isKind: isNumber,
    isPossible: (value) => value >= 0 && (withOne ? value <= 1 : value < 1),
    fromText: numberFromText,
  });
}

/** true or false. */
export function flag(initial: boolean): Field<boolean> {
  return field({
    initial,
    expected: "true or false",
    isKind: (value) => typeof value === "boolean",
    fromText: (text) => text === "true" ? true : text === "false" ? false : text,
  });
}

/** Any text. */
export function text(initial: string): Field<string> {
  return field({
    initial,
    expected: "a text",
    isKind: (value) => typeof value === "string",
    fromText: (value) => value,
  });
}

/** The list that a text stands for: JSON, where the items have commas themselves, or items separated by commas. */
function listFromText(value: string): unknown {
  if (value === "") return [];
  if (!value.startsWith('["')) return value.split(",");
  try {
    return JSON.parse(value);
  } catch {
    return value; // so that check() can show what the user wrote
  }
}

/** A list of texts; on a command line separated by commas, or as JSON. */
export function texts(initial: readonly string[]): Field<readonly string[]> {
  return field({
    initial,
    expected: "a list of texts",
    isKind: (value): value is readonly string[] =>
      Array.isArray(value) && value.every((item) => typeof item === "string"),
    fromText: listFromText,
  });
}

/** A list of some of `options`; on a command line separated by commas. */
export function some<T extends string>(options: readonly T[]): Field<readonly T[]> {
  return field({
    initial: [],
    options,
    expected: `a list of ${options.map((option) => JSON.stringify(option)).join(", ")}`,
    isKind: (value): value is readonly T[] =>
      Array.isArray(value) && value.every((item) => options.some((option) => option === item)),
    fromText: listFromText,
  });
}

/** A list of numbers above 0; on a command line separated by commas. */
export function numbers(initial: readonly number[]): Field<readonly number[]> {
  return field({
    initial,
    expected: "a list of numbers greater than 0",
    isKind: (value): value is readonly number[] => Array.isArray(value) && value.every(isNumber),
    isPossible: (value) => value.every((item) => Number.isFinite(item) && item > 0),
    fromText: (value) => value === "" ? [] : value.split(",").map(numberFromText),
  });
}

/** One of `options`. */
export function choice<T extends string>(
  initial: T,
  options: readonly T[],
): Field<T> {
  return field({
    initial,
    options,
    expected: options.map((option) => JSON.stringify(option)).join(" or "),
    isKind: (value): value is T => options.some((option) => option === value),
    fromText: (value) => value,
  });
}

/** What `inner` accepts, or null. */
export function nullable<T>(
  inner: Field<T>,
  initial: T | null = null,
): Field<T | null> {
  return {
    initial,
    expected: `${inner.expected}, or null`,
    isFloat: inner.isFloat,
    check: (value, place) => value === null ? null : inner.check(value, place),
    fromText: (value) => value === "null" ? null : inner.fromText(value),
  };
}

/** The keys of `fields`, typed. */
export function keysOf<T extends object>(
  fields: Fields<T>,
): Array<keyof T & string> {
  return Object.keys(fields) as Array<keyof T & string>;
}

/** The configuration with every key at its initial value. */
export function initialValues<T extends object>(fields: Fields<T>): T {
  const values: Partial<T> = {};
  for (const key of keysOf(fields)) values[key] = fields[key].initial;
  return values as T;
}

/**
 * What an error adds behind a word that is not known: the known ones that it was most likely meant to be, which have it as
 * a part, begin it or differ in few letters; "" where there is none.
 */
export function didYouMean(
  word: string,
  known: readonly string[],
  show: (name: string) => string = JSON.stringify,
): string {
  const part = word.toLowerCase();
  const isAlike = (name: string) =>
    name.includes(part) || (name.length > 2 && part.startsWith(name));
  const wholes = part.length < 3 ? [] : known.filter(isAlike).slice(0, 3);
  const nearest = closestMatch(part, known, { maxDistance: Math.ceil(part.length / 3) });
  const meant = wholes.length > 0 ? wholes : nearest === undefined ? [] : [nearest];
  return meant.length === 0 ? "" : ` (did you mean ${meant.map(show).join(" or ")}?)`;
}
