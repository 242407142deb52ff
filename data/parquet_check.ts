/**
 * Checks the footer and the pages of Parquet files before hyparquet decodes them, which trusts every
 * count in them: with broken ones it would run on for hours or fill the memory. Below parquet.ts.
 *
 * Source: parquet.thrift, whose numbers of fields these are; "Encodings" of the Parquet format.
 */
import type { ColumnMetaData, SchemaTree } from "hyparquet";
import { deltaBinaryUnpack } from "hyparquet/src/delta.js";
import { readRleBitPackedHybrid } from "hyparquet/src/encoding.js";
import { checkCount, checkExpanded } from "./record_limits.ts";
import { ThriftWalker } from "./thrift.ts";

/**
 * Checks that all lists and texts of a footer can be in it.
 *
 * @throws {Error} when one cannot
 */
export function checkFooter(footer: Uint8Array): void {
  new ThriftWalker(footer, 0).struct(() => {});
}

/** Fields of a page's header; those of the structs in it have 100 times the struct's number. */
const UNCOMPRESSED_BYTES = 2;
const COMPRESSED_BYTES = 3;
const DATA_VALUES = 501;
const DATA_ENCODING = 502;
const DICTIONARY_VALUES = 701;
const V2_VALUES = 801;
const V2_NULLS = 802;
const V2_ENCODING = 804;
const V2_DEFINITION_BYTES = 805;
const V2_REPETITION_BYTES = 806;
const V2_IS_COMPRESSED = 807;
/** Encodings of values as numbers in a dictionary. */
const DICTIONARY_ENCODINGS = new Set([2, 8]);
/** The encoding of booleans in runs. */
const RUNS = 3;
/** The encoding of texts of which each repeats the beginning of the one before. */
const DELTA_TEXTS = 7;

/** How deep in lists and optional structs the values of a column are at most. */
export interface Levels {
  readonly repetition: number;
  readonly definition: number;
}

/** The levels of the column at a path. */
export function levelsOf(schema: SchemaTree, path: readonly string[]): Levels {
  let [repetition, definition] = [0, 0];
  let node: SchemaTree | undefined = schema;
  for (const name of path) {
    node = node?.children.find(({ element }) => element.name === name);
    const kind = node?.element.repetition_type;
    if (kind === "REPEATED") repetition++;
    if (kind === "REPEATED" || kind === "OPTIONAL") definition++;
  }
  return { repetition, definition };
}

/**
 * Checks runs of numbers: there must be as many as `values`, and not more.
 *
 * @param width bits of a number
 * @param mayLack whether there may be fewer, for those that are null
 */
function checkRuns(
  bytes: Uint8Array,
  { width, values, mayLack = false }: { width: number; values: number; mayLack?: boolean },
): void {
  let at = 0;
  for (let seen = 0; seen < values;) {
    if (mayLack && at >= bytes.length) return;
    let header = 0;
    for (let scale = 1;; scale *= 128) {
      const byte = bytes[at++];
      if (byte === undefined) throw new Error("an end of its runs");
      if (scale > 2 ** 31) throw new Error("a run without an end");
      header += (byte & 127) * scale;
      if (byte < 128) break;
    }
    const isPacked = header % 2 === 1; // in groups of 8, the last of them filled up
    const count = (header - header % 2) / 2 * (isPacked ? 8 : 1);
    if (count === 0 || !isPacked && seen + count > values) {
      throw new Error(`a run of ${count} values`);
    }
    seen += count;
    at += isPacked ? count / 8 * width : Math.ceil(width / 8);
  }
}

/** The bits of a number up to `most`. */
function bitsOf(most: number): number {
  return 32 - Math.clz32(most);
}

/** The part behind a length of 4 bytes, which is what runs of levels are. */
function lengthened(page: Uint8Array, at: number): Uint8Array {
  const length = new DataView(page.buffer, page.byteOffset).getUint32(at, true);
  if (at + 4 + length > page.length) throw new Error(`levels of ${length} bytes in a page`);
  return page.subarray(at + 4, at + 4 + length);
}

type Header = ReadonlyMap<number, number>;

/** Checks the values of a page, if few bytes can be many of them. */
function checkValues(
  page: Uint8Array,
  encoding: number | undefined,
  { values, nulls }: { values: number; nulls: () => number },
): void {
  if (DICTIONARY_ENCODINGS.has(encoding ?? -1)) {
    checkRuns(page.subarray(1), { width: page[0] ?? 0, values, mayLack: true });
  } else if (encoding === RUNS) {
    checkRuns(lengthened(page, 0), { width: 1, values, mayLack: true });
  } else if (encoding === DELTA_TEXTS) {
    checkExpanded(deltaBytes(page, values - nulls()), page.length);
  }
}

function readerOf(bytes: Uint8Array) {
  return { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
}

/** How long texts are together of which only the ends are there. */
function deltaBytes(page: Uint8Array, count: number): number {
  const reader = readerOf(page);
  let bytes = 0;
  for (const _ of ["beginnings", "ends"]) {
    const lengths = new Int32Array(count);
    deltaBinaryUnpack(reader, count, lengths);
    bytes = lengths.reduce((sum, length) => sum + Math.abs(length), bytes);
  }
  return bytes;
}

/** How many of a page's values are null. */
function countNulls(levels: Uint8Array, values: number, most: number): number {
  if (most === 0) return 0;
  const found = new Array<number>(values);
  readRleBitPackedHybrid(readerOf(levels), bitsOf(most), found, levels.length);
  return found.filter((level) => level < most).length;
}

function checkPage(page: Uint8Array, header: Header, { repetition, definition }: Levels): void {
  const values = header.get(DATA_VALUES) ?? 0;
  let at = 0;
  let levels: Uint8Array = new Uint8Array();
  for (const most of [repetition, definition]) {
    if (most === 0) continue;
    levels = lengthened(page, at);
    checkRuns(levels, { width: bitsOf(most), values });
    at += 4 + levels.length;
  }
  const nulls = () => countNulls(levels, values, definition);
  checkValues(page.subarray(at), header.get(DATA_ENCODING), { values, nulls });
}

/**
 * Checks the levels of a page of the second version, which are in front of its values and not packed.
 *
 * @returns their length
 */
function checkLevels(bytes: Uint8Array, header: Header, levels: Levels): number {
  const field = (number: number) => header.get(number) ?? 0;
  const [values, nulls] = [field(V2_VALUES), field(V2_NULLS)];
  const repetitionBytes = field(V2_REPETITION_BYTES);
  const levelBytes = repetitionBytes + field(V2_DEFINITION_BYTES);
  const isGood = nulls >= 0 && nulls <= values && repetitionBytes >= 0 &&
    levelBytes >= repetitionBytes && levelBytes <= bytes.length;
  if (!isGood) throw new Error("a page with levels that cannot be");
  if (levels.repetition > 0) {
    checkRuns(bytes.subarray(0, repetitionBytes), { width: bitsOf(levels.repetition), values });
  }
  if (levels.definition > 0) {
    checkRuns(bytes.subarray(repetitionBytes, levelBytes), {
      width: bitsOf(levels.definition),
      values,
    });
  }
  return levelBytes;
}

/** A check of an unpacked page, by where its packed bytes begin. */
export type PageChecks = Map<number, (page: Uint8Array) => void>;

/**
 * Checks that the pages of a column promise no more than the footer does.
 *
 * @param bytes of all its pages
 * @param start where they are in the file
 * @param checks takes what is left to be checked when a page is unpacked
 * @throws {Error} when one does
 */
export function checkPages(
  bytes: Uint8Array,
  start: number,
  { column, levels, checks }: { column: ColumnMetaData; levels: Levels; checks: PageChecks },
): void {
  const { path_in_schema: path, total_uncompressed_size: size, codec } = column;
  const walker = new ThriftWalker(bytes, 0);
  checkCount(Number(column.num_values), bytes.length, `values of "${path.join(".")}" in a group`);
  let left = Number(column.num_values);
  while (walker.offset < bytes.length - 1) { // hyparquet takes one byte more for none
    const header = new Map<number, number>();
    walker.struct((field, value) => header.set(field, value));
    const compressed = header.get(COMPRESSED_BYTES) ?? -1;
    const uncompressed = header.get(UNCOMPRESSED_BYTES) ?? -1;
    const inDictionary = header.get(DICTIONARY_VALUES) ?? 0;
    const values = header.get(DATA_VALUES) ?? header.get(V2_VALUES) ?? 0;
    left -= values;
    const isGood = compressed >= 0 && walker.offset + compressed <= bytes.length &&
      uncompressed >= 0 && uncompressed <= Number(size) && values >= 0 && left >= 0 &&
      inDictionary >= 0 && inDictionary <= uncompressed;
    if (!isGood) throw new Error(`a page of column "${path.join(".")}" that cannot be`);
    let page = bytes.subarray(walker.offset, walker.offset + compressed);
    let at = start + walker.offset;
    let check = header.has(DATA_VALUES)
      ? (whole: Uint8Array) => checkPage(whole, header, levels)
      : undefined;
    if (header.has(V2_VALUES)) {
      const levelBytes = checkLevels(page, header, levels);
      page = page.subarray(levelBytes);
      at += levelBytes;
      const nulls = () => header.get(V2_NULLS) ?? 0;
      check = (whole) => checkValues(whole, header.get(V2_ENCODING), { values, nulls });
    }
    const isPacked = codec !== "UNCOMPRESSED" && header.get(V2_IS_COMPRESSED) !== 0;
    if (check && isPacked) checks.set(at, check);
    else check?.(page);
    walker.offset += compressed;
  }
}
