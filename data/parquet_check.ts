/**
 * Checks the footer and the pages of Parquet files before hyparquet decodes them, which trusts every
 * count in them: with broken ones it would run on for hours or fill the memory. Below parquet.ts.
 *
 * Source: parquet.thrift, whose numbers of fields these are; "Encodings" of the Parquet format.
 */
import type { ColumnMetaData, SchemaTree } from "hyparquet";
import { compressors } from "hyparquet-compressors";
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

/** Checks the values of a page, if they are numbers in a dictionary. */
function checkValues(page: Uint8Array, encoding: number | undefined, values: number): void {
  const [width = 0] = page;
  if (!DICTIONARY_ENCODINGS.has(encoding ?? -1) || width === 0) return;
  checkRuns(page.subarray(1), { width, values, mayLack: true });
}

function checkPage(page: Uint8Array, header: Header, { repetition, definition }: Levels): void {
  const values = header.get(DATA_VALUES) ?? 0;
  let at = 0;
  for (const most of [repetition, definition]) {
    if (most === 0) continue;
    const levels = lengthened(page, at);
    checkRuns(levels, { width: bitsOf(most), values });
    at += 4 + levels.length;
  }
  checkValues(page.subarray(at), header.get(DATA_ENCODING), values);
}

/** A page of the second version, whose levels are in front, uncompressed. */
function checkPageV2(
  bytes: Uint8Array,
  header: Header,
  { levels, decompress }: { levels: Levels; decompress: Decompress },
): void {
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
  const rest = bytes.subarray(levelBytes);
  const isCompressed = header.get(V2_IS_COMPRESSED) !== 0;
  const page = isCompressed ? decompress(rest, field(UNCOMPRESSED_BYTES) - levelBytes) : rest;
  if (page) checkValues(page, header.get(V2_ENCODING), values);
}

/** A page as it was, or undefined where hyparquet will say that it cannot be. */
type Decompress = (bytes: Uint8Array, length: number) => Uint8Array | undefined;

function decompressor({ codec }: ColumnMetaData): Decompress {
  if (codec === "UNCOMPRESSED") return (bytes) => bytes;
  return (bytes, length) => compressors[codec]?.(bytes, length);
}

/**
 * Checks that the pages of a column promise no more than the footer does.
 *
 * @param bytes of all its pages
 * @throws {Error} when one does
 */
export function checkPages(bytes: Uint8Array, column: ColumnMetaData, levels: Levels): void {
  const { path_in_schema: path, total_uncompressed_size: size } = column;
  const walker = new ThriftWalker(bytes, 0);
  const decompress = decompressor(column);
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
    const page = bytes.subarray(walker.offset, walker.offset + compressed);
    if (header.has(V2_VALUES)) checkPageV2(page, header, { levels, decompress });
    else if (header.has(DATA_VALUES)) {
      const whole = decompress(page, uncompressed);
      if (whole) checkPage(whole, header, levels);
    }
    walker.offset += compressed;
  }
}
