/**
 * Parquet files, on this machine or on the Hub, read by row group: only the bytes that a row group
 * or a column of it takes. record_dataset.ts makes rows of what comes out.
 *
 * Source: hyparquet, with hyparquet-compressors for Zstandard, Gzip, Brotli and LZ4.
 */
import { type FileMetaData, parquetMetadataAsync, parquetRead, parquetSchema } from "hyparquet";
import { compressors } from "hyparquet-compressors";
import type { RangeReader } from "./hub.ts";
import { type DataFile, mapSome } from "./local_file.ts";
import {
  checkRows,
  type DataRecord,
  type GroupCache,
  type GroupedFile,
  joinFiles,
  readError,
  type RecordSource,
} from "./records.ts";

/** Footers that are read at once. */
const FOOTERS_AT_ONCE = 8;

interface Place {
  readonly file: RangeReader;
  readonly metadata: FileMetaData;
  /** First row within its file. */
  readonly start: number;
  readonly rows: number;
}

/** Columns of a row group, of exactly the promised length. */
async function readColumns(
  { file, metadata, start, rows }: Place,
  columns: readonly string[] | undefined,
): Promise<Map<string, unknown[]>> {
  const values = new Map<string, unknown[]>();
  await parquetRead({
    file,
    metadata,
    rowStart: start,
    rowEnd: start + rows,
    compressors,
    utf8: false, // otherwise picture bytes become strings
    ...(columns ? { columns: [...columns] } : {}),
    onChunk({ columnName, columnData }) {
      const known = values.get(columnName) ?? [];
      for (const value of columnData) known.push(value);
      values.set(columnName, known);
    },
  });
  for (const [name, { length }] of values) {
    if (length !== rows) throw new Error(`${length} values in column "${name}" for ${rows} rows`);
  }
  return values;
}

async function readGroup(
  place: Place,
  names: readonly string[],
  columns: readonly string[] | undefined,
): Promise<DataRecord[]> {
  const values = await readColumns(place, columns);
  const missing = (columns ?? names).find((name) => !values.has(name));
  if (missing !== undefined) throw new Error(`no values in column "${missing}"`);
  const entries = [...values];
  return Array.from(
    { length: place.rows },
    (_, row) => Object.fromEntries(entries.map(([name, column]) => [name, column[row]])),
  );
}

function groupsOf(name: string, file: RangeReader, metadata: FileMetaData): GroupedFile {
  const columns = parquetSchema(metadata).children.map((child) => child.element.name);
  let start = 0;
  const groups = metadata.row_groups.map((group) => {
    const rows = Number(group.num_rows);
    checkRows(rows, file.byteLength);
    for (const { meta_data: column } of group.columns) {
      // A list is at least one value, also where it is empty.
      if (column && Number(column.num_values) < rows) {
        throw new Error(`${column.num_values} values in a column for ${rows} rows`);
      }
    }
    const place = { file, metadata, start, rows };
    start += rows;
    const read = async (chosen?: readonly string[]) => {
      try {
        return await readGroup(place, columns, chosen);
      } catch (error) {
        throw readError("Parquet", name, error);
      }
    };
    return { rows, bytes: Math.max(0, Number(group.total_byte_size)), read };
  });
  return { name, columns, groups };
}

async function readFooter({ name, open }: DataFile): Promise<GroupedFile> {
  const file = await open();
  try {
    if (file.byteLength < 12) throw new Error(`${file.byteLength} bytes`);
    return groupsOf(name, file, await parquetMetadataAsync(file));
  } catch (error) {
    throw readError("Parquet", name, error);
  }
}

/**
 * Reads the footers of Parquet files.
 *
 * @param files in order; all have the same columns
 * @param cache keeps row groups
 * @throws {SyntaxError} when a file is damaged
 * @throws {TypeError} when the files have different columns
 */
export async function openParquet(
  files: readonly DataFile[],
  cache: GroupCache,
): Promise<RecordSource> {
  return joinFiles(await mapSome(files, FOOTERS_AT_ONCE, readFooter), cache);
}
