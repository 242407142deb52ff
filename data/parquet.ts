/**
 * Parquet files, on this machine or on the Hub, read by row group: only the bytes that a row group
 * or a column of it takes. record_dataset.ts makes rows of what comes out.
 *
 * Source: hyparquet, with hyparquet-compressors for Snappy and LZ4.
 */
import {
  type ColumnMetaData,
  type FileMetaData,
  parquetMetadata,
  parquetRead,
  parquetSchema,
  type SchemaTree,
} from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { RangeReader } from "./hub.ts";
import type { DataFile } from "./local_file.ts";
import { checkFooter, checkPages, levelsOf, type PageChecks } from "./parquet_check.ts";
import { decimalText, timeText } from "./number_texts.ts";
import { isRecord } from "./record_fields.ts";
import { checkCount, checkUnpacked } from "./record_limits.ts";
import {
  type DataRecord,
  type GroupCache,
  type GroupIndex,
  openGrouped,
  type RecordSource,
} from "./records.ts";
import { type Unpack, unpackBrotli, unpackGzip, unpackZstd } from "./unpack.ts";

/** Ranges of a file that are this near to each other are read as one, in bytes. */
const NEAR = 2 ** 16;
/** The end of a file that is read first: most footers are shorter. */
const FIRST_READ = 2 ** 17;
/** The longest decimal number, in bytes. */
const LONGEST_DECIMAL = 32;
const MAGIC = "PAR1";
/** What the `datasets` library writes its features under. */
const FEATURES_KEY = "huggingface";

/** What unpacks pages, to a length and no more. */
const CODECS: Readonly<Record<string, Unpack>> = {
  ...compressors,
  GZIP: unpackGzip,
  BROTLI: unpackBrotli,
  ZSTD: unpackZstd,
};

/** Where rows are. */
interface Place {
  readonly file: RangeReader;
  readonly metadata: FileMetaData;
  /** All columns of the row group. */
  readonly chunks: readonly ColumnMetaData[];
  /** First row within its file. */
  readonly start: number;
  readonly rows: number;
}

/** Where a column's pages are. */
function rangeOf(chunk: ColumnMetaData): { start: number; end: number } {
  const { dictionary_page_offset: dictionary, data_page_offset: data } = chunk;
  const start = Number(dictionary && dictionary < data ? dictionary : data);
  return { start, end: start + Number(chunk.total_compressed_size) };
}

/** Columns of a row group as a file, and what unpacks and checks its pages. */
interface Fetched {
  readonly file: RangeReader;
  readonly compressors: Record<string, Unpack>;
}

/** Reads columns of a row group, in few ranges. */
async function fetchColumns({ file, metadata, chunks }: Place, names: readonly string[]) {
  const wanted = chunks.filter(({ path_in_schema: [name] }) => names.includes(name ?? ""))
    .map((column) => ({ column, ...rangeOf(column) })).sort((a, b) => a.start - b.start);
  const sizes = wanted.map(({ column }) => Number(column.total_uncompressed_size));
  const packed = wanted.reduce((sum, { start, end }) => sum + end - start, 0);
  checkUnpacked(sizes.reduce((sum, size) => sum + size, 0), Math.min(packed, file.byteLength));
  const ranges: { start: number; end: number }[] = [];
  for (const { start, end } of wanted) {
    if (!(start >= 0 && start <= end && end <= file.byteLength)) {
      throw new Error(`a column from byte ${start} to ${end}`);
    }
    const last = ranges.at(-1);
    if (last && start <= last.end + NEAR) last.end = Math.max(last.end, end);
    else ranges.push({ start, end });
  }
  const read = await Promise.all(
    ranges.map(async ({ start, end }) => ({ start, end, bytes: await file.slice(start, end) })),
  );
  const view = (start: number, end: number): Uint8Array<ArrayBuffer> => {
    const range = read.find((one) => start >= one.start && end <= one.end);
    if (!range) throw new Error(`a column from byte ${start} to ${end}`);
    return new Uint8Array(range.bytes, start - range.start, end - start);
  };
  const checks: PageChecks = new Map();
  const schema = parquetSchema(metadata);
  for (const { column, start, end } of wanted) {
    const levels = levelsOf(schema, column.path_in_schema);
    checkPages(view(start, end), start, { column, levels, checks });
  }
  return fetched(file.byteLength, view, checks);
}

/** Gives hyparquet the bytes that were read, and sees each page between unpacking and decoding. */
function fetched(
  byteLength: number,
  view: (start: number, end: number) => Uint8Array<ArrayBuffer>,
  checks: PageChecks,
): Fetched {
  const starts = new WeakMap<ArrayBufferLike, number>();
  const slice = (start: number, end = byteLength) => {
    const { buffer } = view(start, end).slice();
    starts.set(buffer, start);
    return Promise.resolve(buffer);
  };
  const checked = (unpack: Unpack): Unpack => (bytes, length) => {
    const page = length === 0 ? new Uint8Array() : unpack(bytes, length);
    checks.get((starts.get(bytes.buffer) ?? NaN) + bytes.byteOffset)?.(page);
    return page;
  };
  const codecs = Object.entries(CODECS).map(([name, unpack]) => [name, checked(unpack)] as const);
  return { file: { byteLength, slice }, compressors: Object.fromEntries(codecs) };
}

/** What makes a text of a leaf's values; undefined where they are neither decimal numbers nor times. */
function toText({ element }: SchemaTree): ((value: bigint) => string) | undefined {
  const { logical_type: type, converted_type: old } = element;
  if (type?.type === "DECIMAL") return (value) => decimalText(value, type.scale);
  const unit = type?.type === "TIME" ? type.unit : old?.match(/^TIME_(.*)/)?.[1];
  const perSecond = unit && { MILLIS: 10n ** 3n, MICROS: 10n ** 6n, NANOS: 10n ** 9n }[unit];
  return perSecond ? (value) => timeText(value, perSecond) : undefined;
}

function hasTexts(node: SchemaTree): boolean {
  return toText(node) !== undefined || node.children.some(hasTexts);
}

/** A value of a column with its decimal numbers and times as texts. */
function withTexts(value: unknown, node: SchemaTree): unknown {
  if (Array.isArray(value)) return value.map((one) => withTexts(one, node));
  const [child] = node.children;
  if (child && !(isRecord(value) && node.children.some(({ element }) => element.name in value))) {
    return node.children.length === 1 ? withTexts(value, child) : value; // a level of a list
  }
  if (isRecord(value)) {
    const inner = node.children.map((one) => {
      const { name } = one.element;
      return [name, withTexts(value[name], one)];
    });
    return { ...value, ...Object.fromEntries(inner) };
  }
  const text = toText(node);
  if (!text) return value;
  if (typeof value === "number" || typeof value === "bigint") return text(BigInt(value));
  if (!(value instanceof Uint8Array)) return value;
  if (value.length > LONGEST_DECIMAL) throw new Error(`a decimal number of ${value.length} bytes`);
  return text(BigInt.asIntN(8 * value.length, BigInt(`0x${value.toHex() || "0"}`)));
}

/** Columns of a row group, of exactly the promised length. */
async function readColumns(
  place: Place,
  columns: readonly string[],
): Promise<Map<string, unknown[]>> {
  const { metadata, start, rows } = place;
  const texts = new Map(
    parquetSchema(metadata).children.filter(hasTexts).map((node) => [node.element.name, node]),
  );
  const values = new Map<string, unknown[]>();
  await parquetRead({
    ...await fetchColumns(place, columns),
    metadata,
    rowStart: start,
    rowEnd: start + rows,
    utf8: false, // otherwise picture bytes become strings
    columns: [...columns],
    onChunk({ columnName, columnData }) {
      const known = values.get(columnName) ?? [];
      const node = texts.get(columnName);
      for (const value of columnData) known.push(node ? withTexts(value, node) : value);
      values.set(columnName, known);
    },
  });
  for (const [name, { length }] of values) {
    if (length !== rows) throw new Error(`${length} values in column "${name}" for ${rows} rows`);
  }
  return values;
}

async function readGroup(place: Place, columns: readonly string[]): Promise<DataRecord[]> {
  const values = await readColumns(place, columns);
  const missing = columns.find((name) => !values.has(name));
  if (missing !== undefined) throw new Error(`no values in column "${missing}"`);
  const entries = [...values];
  return Array.from(
    { length: place.rows },
    (_, row) => Object.fromEntries(entries.map(([name, column]) => [name, column[row]])),
  );
}

function groupsOf(file: RangeReader, metadata: FileMetaData): GroupIndex {
  const columns = parquetSchema(metadata).children.map((child) => child.element.name);
  let start = 0;
  const groups = metadata.row_groups.map((group) => {
    const rows = Number(group.num_rows);
    const chunks = group.columns.flatMap(({ meta_data: column }) => column ?? []);
    // A list is at least one value, also where it is empty.
    const short = chunks.find(({ num_values: values }) => values < rows);
    if (short) throw new Error(`${short.num_values} values in a column for ${rows} rows`);
    const place = { file, metadata, chunks, start, rows };
    start += rows;
    checkCount(start, file.byteLength, "rows");
    const read = (chosen: readonly string[] = columns) => readGroup(place, chosen);
    return { rows, bytes: Math.max(0, Number(group.total_byte_size)), read };
  });
  const features = metadata.key_value_metadata?.find(({ key }) => key === FEATURES_KEY)?.value;
  return { columns, groups, features };
}

/** The metadata at a file's end, in front of its length and the magic. */
async function readMetadata(file: RangeReader): Promise<FileMetaData> {
  const { byteLength } = file;
  if (byteLength < 12) throw new Error(`${byteLength} bytes`);
  let start = Math.max(0, byteLength - FIRST_READ);
  let end = new Uint8Array(await file.slice(start, byteLength));
  const length = new DataView(end.buffer).getUint32(end.length - 8, true);
  const magic = new TextDecoder().decode(end.subarray(-4));
  if (magic !== MAGIC) throw new Error(`"${magic}" at its end instead of "${MAGIC}"`);
  if (length > byteLength - 12) throw new Error(`a footer of ${length} bytes`);
  if (length + 8 > end.length) {
    start = byteLength - 8 - length;
    end = new Uint8Array(await file.slice(start, byteLength));
  }
  const footer = end.slice(end.length - 8 - length);
  checkFooter(footer.subarray(0, length));
  const metadata = parquetMetadata(footer.buffer);
  for (const element of metadata.schema) {
    const { converted_type: type, precision = 0, scale = 0 } = element;
    if (type !== "DECIMAL") continue;
    // hyparquet would make rounded numbers of them.
    element.logical_type = { type, precision, scale };
    delete element.converted_type;
  }
  return metadata;
}

/**
 * Reads the footers of Parquet files.
 *
 * @param files in order
 * @param cache keeps row groups
 * @throws {SyntaxError} when a file is damaged
 */
export async function openParquet(
  files: readonly DataFile[],
  cache: GroupCache,
): Promise<RecordSource> {
  const index = async (file: RangeReader) => groupsOf(file, await readMetadata(file));
  return await openGrouped(files, cache, { kind: "a Parquet file", index });
}
