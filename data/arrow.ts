/**
 * Arrow IPC files and streams, such as `datasets.save_to_disk` writes, and Feather files, read batch
 * by batch: a scan over the messages' heads finds the batches, and each is decoded alone behind the
 * schema and the dictionaries that it needs. record_dataset.ts makes rows of what comes out.
 *
 * Source: flechette; the Arrow columnar format, "Serialization and Interprocess Communication".
 */
import {
  CompressionType,
  type DataType,
  setCompressionCodec,
  type Table,
  tableFromIPC,
} from "@uwdata/flechette";
import { type MessageHead, readFooter, readHead } from "./arrow_check.ts";
import { checkValues, giveTexts, toPlain } from "./arrow_values.ts";
import type { RangeReader } from "./hub.ts";
import { type DataFile, mapSome } from "./local_file.ts";
import { checkScale } from "./number_texts.ts";
import { checkCount, checkUnpacked } from "./record_limits.ts";
import {
  type DataRecord,
  type GroupCache,
  type GroupIndex,
  openGrouped,
  type RecordSource,
} from "./records.ts";
import { unpackLz4, unpackZstd } from "./unpack.ts";

/** What the `datasets` library writes its features under. */
const FEATURES_KEY = "huggingface";
/** A file begins and ends so. */
const FILE_MAGIC = "ARROW1";
const CONTINUATION = 0xffffffff;
/** The longest head of a message, in bytes: a schema of very many columns. */
const LONGEST_HEAD = 2 ** 24;
/** As Parquet files are read. */
const OPTIONS = { useBigInt: true, useDate: true, useDecimalInt: true };

const encode = (bytes: Uint8Array) => bytes; // nothing is written
setCompressionCodec(CompressionType.LZ4_FRAME, { decode: unpackLz4, encode });
setCompressionCodec(CompressionType.ZSTD, { decode: unpackZstd, encode });

/** A message: a head that describes it, and a body of buffers. */
interface Place {
  readonly start: number;
  readonly headBytes: number;
  readonly head: MessageHead;
}

async function readMessage(file: RangeReader, start: number): Promise<Place | undefined> {
  const left = file.byteLength - start;
  const view = new DataView(await file.slice(start, start + Math.min(8, left)));
  // Before Arrow 0.15, the length stood alone.
  const isMarked = left >= 8 && view.getUint32(0, true) === CONTINUATION;
  const length = view.getUint32(isMarked ? 4 : 0, true);
  if (length === 0) return undefined;
  const headBytes = length + (isMarked ? 8 : 4);
  if (length > LONGEST_HEAD || headBytes > left) {
    throw new Error(`a message's head of ${length} bytes at byte ${start}`);
  }
  const bytes = new Uint8Array(await file.slice(start + headBytes - length, start + headBytes));
  const head = readHead(bytes);
  if (head.bodyBytes < 0 || headBytes + head.bodyBytes > left) {
    throw new Error(`a message's body of ${head.bodyBytes} bytes at byte ${start + headBytes}`);
  }
  for (const { offset, length } of head.buffers) {
    if (offset < 0 || length < 0 || offset + length > head.bodyBytes) {
      throw new Error(`a buffer from byte ${offset} to ${offset + length} of a message`);
    }
  }
  return { start, headBytes, head };
}

/** What of a file's or a stream's messages is needed, in order. */
interface Messages {
  /** The schema's message. */
  readonly schema: Uint8Array;
  /** Dictionaries and batches. */
  readonly places: readonly Place[];
}

/** Messages of the file format, by the footer, which alone counts: not all writers repeat its schema. */
async function readFile(file: RangeReader): Promise<Messages> {
  const end = file.byteLength - FILE_MAGIC.length - 4;
  if (end < 0) throw new Error(`${file.byteLength} bytes`);
  const bytes = await file.slice(end, file.byteLength);
  const magic = new TextDecoder().decode(bytes.slice(4));
  if (magic !== FILE_MAGIC) throw new Error(`"${magic}" at its end instead of "${FILE_MAGIC}"`);
  const length = new DataView(bytes).getUint32(0, true);
  if (length > end) throw new Error(`a footer of ${length} bytes`);
  const footer = readFooter(new Uint8Array(await file.slice(end - length, end)));
  const { dictionaries, batches, schema: head } = footer;
  const places = await mapSome([...dictionaries, ...batches], 1, async (start) => {
    const place = start >= 0 && start < end ? await readMessage(file, start) : undefined;
    if (!place) throw new Error(`no message at byte ${start}`);
    return place;
  });
  const schema = new Uint8Array(8 + head.length);
  new DataView(schema.buffer).setUint32(0, CONTINUATION);
  new DataView(schema.buffer).setUint32(4, head.length, true);
  schema.set(head, 8);
  return { schema, places };
}

async function readStream(file: RangeReader): Promise<Messages> {
  const first = await readMessage(file, 0);
  if (first?.head.kind !== "schema") throw new Error("no schema at its beginning");
  const places: Place[] = [];
  // Some streams end without a marker.
  for (let start = first.headBytes + first.head.bodyBytes; start < file.byteLength;) {
    const place = await readMessage(file, start);
    if (!place) break;
    places.push(place);
    start += place.headBytes + place.head.bodyBytes;
  }
  return { schema: await readPart(file, first), places };
}

/** A message's bytes, when what it unpacks to is not too much. */
async function readPart(file: RangeReader, { start, headBytes, head }: Place) {
  const { bodyBytes, buffers, isPacked, counts, rows } = head;
  const part = new Uint8Array(await file.slice(start, start + headBytes + bodyBytes));
  let bytes = bodyBytes;
  if (isPacked) {
    const body = new DataView(part.buffer, headBytes);
    // In front of each buffer is its length unpacked, or -1 where it is not packed.
    const lengths = buffers.map(({ offset, length }) =>
      length === 0 ? 0 : Number(body.getBigInt64(offset, true))
    );
    bytes = lengths.reduce((sum, length) => sum + Math.abs(length), bytes);
    checkUnpacked(bytes, bodyBytes);
  }
  checkCount(rows, bodyBytes);
  for (const count of counts) checkCount(count, bytes, "values in a column");
  return part;
}

/** Decodes a batch, the last of the places, behind the schema and dictionaries. */
async function readBatch(
  file: RangeReader,
  { schema: first, places }: Messages,
  columns: readonly string[],
): Promise<DataRecord[]> {
  const parts = [first];
  for (const place of places) parts.push(await readPart(file, place));
  const { schema, children, numRows } = tableFromIPC(parts, OPTIONS) as Table;
  const rows = places.at(-1)?.head.rows ?? 0;
  const chosen = schema.fields.flatMap(({ name }, at) => {
    const [batch] = children[at]?.data ?? [];
    if (!batch || !columns.includes(name)) return [];
    checkValues(batch);
    giveTexts(batch);
    return [{ name, batch }];
  });
  if (children.length > 0 && numRows !== rows) throw new Error(`${numRows} of ${rows} rows`);
  const known = new WeakMap<object, unknown>();
  return Array.from(
    { length: rows },
    (_, row) =>
      Object.fromEntries(chosen.map(({ name, batch }) => [name, toPlain(batch.at(row), known)])),
  );
}

/** Refuses types that the library would not survive. */
function checkType(type: DataType): void {
  if ("scale" in type) checkScale(type.scale);
  if ("dictionary" in type) checkType(type.dictionary);
  if ("children" in type) { for (const child of type.children ?? []) checkType(child.type); }
}

async function index(file: RangeReader): Promise<GroupIndex> {
  const magic = new TextDecoder().decode(await file.slice(0, FILE_MAGIC.length));
  const { schema: part, places } = await (magic === FILE_MAGIC ? readFile : readStream)(file);
  const { schema } = tableFromIPC([part]);
  if (schema.endianness !== 0) throw new Error("numbers whose highest byte is first");
  for (const { type } of schema.fields) checkType(type);
  const columns = schema.fields.map(({ name }) => name);
  // A stream's dictionaries may be replaced between batches.
  const known = new Map<number | undefined, readonly Place[]>();
  let all = 0;
  const groups = places.flatMap((place) => {
    const { kind, id, isDelta, rows, bodyBytes } = place.head;
    if (kind === "dictionary") known.set(id, isDelta ? [...known.get(id) ?? [], place] : [place]);
    if (kind !== "batch") return [];
    checkCount(all += rows, file.byteLength, "rows");
    const needed = { schema: part, places: [...known.values()].flat().concat(place) };
    const read = (chosen: readonly string[] = columns) => readBatch(file, needed, chosen);
    return [{ rows, bytes: bodyBytes, read }];
  });
  return { columns, groups, features: schema.metadata?.get(FEATURES_KEY) };
}

/**
 * Finds the batches of Arrow files, of the file format or the stream format.
 *
 * @param files in order
 * @param cache keeps batches
 * @throws {SyntaxError} when a file is damaged
 */
export async function openArrow(
  files: readonly DataFile[],
  cache: GroupCache,
): Promise<RecordSource> {
  return await openGrouped(files, cache, { kind: "an Arrow file", index });
}
