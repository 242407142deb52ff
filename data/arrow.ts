/**
 * Arrow IPC files and streams, such as `datasets.save_to_disk` writes, read batch by batch: a scan
 * over the messages' heads finds the batches, and each is decoded alone behind the schema.
 * record_dataset.ts makes rows of what comes out.
 *
 * Source: apache-arrow; the Arrow columnar format, "Serialization and Interprocess Communication".
 */
import { Message, MessageHeader, RecordBatchReader, Vector } from "apache-arrow";
import type { RangeReader } from "./hub.ts";
import { checkMessage } from "./arrow_check.ts";
import type { DataFile } from "./local_file.ts";
import {
  checkRows,
  type DataRecord,
  type GroupCache,
  type GroupIndex,
  openGrouped,
  type RecordSource,
} from "./records.ts";

/** What the `datasets` library writes its features under. */
const FEATURES_KEY = "huggingface";
/** A file begins so, before the messages of a stream; 2 more bytes fill up to 8. */
const FILE_MAGIC = "ARROW1";
const CONTINUATION = 0xffffffff;
/** The longest head of a message, in bytes: a schema of very many columns. */
const LONGEST_HEAD = 2 ** 24;
const END_OF_STREAM = Uint8Array.of(255, 255, 255, 255, 0, 0, 0, 0);

/** A message: a head that describes it, and a body of buffers. */
interface Place {
  readonly start: number;
  readonly headBytes: number;
  readonly bodyBytes: number;
  readonly message: Message;
}

async function readMessage(file: RangeReader, start: number): Promise<Place | undefined> {
  if (start + 8 > file.byteLength) throw new Error("its end before the end of its stream");
  const view = new DataView(await file.slice(start, start + 8));
  const isMarked = view.getUint32(0, true) === CONTINUATION; // not so before Arrow 0.15
  const length = view.getUint32(isMarked ? 4 : 0, true);
  if (length === 0) return undefined;
  const headBytes = length + (isMarked ? 8 : 4);
  if (length > LONGEST_HEAD || start + headBytes > file.byteLength) {
    throw new Error(`a message's head of ${length} bytes at byte ${start}`);
  }
  const head = new Uint8Array(await file.slice(start + headBytes - length, start + headBytes));
  checkMessage(head);
  const message = Message.decode(head);
  const bodyBytes = message.bodyLength;
  if (bodyBytes < 0 || start + headBytes + bodyBytes > file.byteLength) {
    throw new Error(`a message's body of ${bodyBytes} bytes at byte ${start + headBytes}`);
  }
  return { start, headBytes, bodyBytes, message };
}

async function readMessages(file: RangeReader): Promise<Place[]> {
  const magic = await file.slice(0, FILE_MAGIC.length);
  let start = new TextDecoder().decode(magic) === FILE_MAGIC ? 8 : 0;
  const places: Place[] = [];
  while (true) {
    const place = await readMessage(file, start);
    if (!place) return places;
    places.push(place);
    start += place.headBytes + place.bodyBytes;
  }
}

/** The number of rows of a batch whose parts agree about it. */
function rowsOf({ message, bodyBytes }: Place, columns: number): number {
  if (!message.isRecordBatch()) throw new Error("a message that is no batch");
  const { length, nodes, buffers } = message.header();
  for (const node of [{ length }, ...nodes]) checkRows(node.length, bodyBytes);
  if (columns > 0 && nodes[0]?.length !== length) {
    throw new Error(`${nodes[0]?.length} values in the first column for ${length} rows`);
  }
  const outside = buffers.find((one) => one.offset < 0 || one.offset + one.length > bodyBytes);
  if (outside) throw new Error(`a buffer up to byte ${outside.offset + outside.length} of a batch`);
  return length;
}

/**
 * A value without Arrow's wrappings: vectors become arrays, structs plain objects.
 *
 * @param most items that a list can have
 */
function toPlain(value: unknown, most: number): unknown {
  if (value instanceof Vector) {
    if (value.length > most) throw new Error(`a list of ${value.length} items`);
    return Array.from(value, (item) => toPlain(item, most));
  }
  const isStruct = typeof value === "object" && value !== null && "toJSON" in value &&
    !(value instanceof Uint8Array) && !(value instanceof Date);
  if (!isStruct) return value;
  const fields = Object.entries((value as { toJSON(): object }).toJSON());
  return Object.fromEntries(fields.map(([name, field]) => [name, toPlain(field, most)]));
}

/** Decodes a batch, which stands behind the schema and all dictionaries in a stream of its own. */
async function readBatch(
  file: RangeReader,
  places: readonly Place[],
  columns: readonly string[] | undefined,
): Promise<DataRecord[]> {
  const parts: Uint8Array[] = [];
  const bodyBytes = places.reduce((sum, place) => sum + place.bodyBytes, 0);
  for (const { start, headBytes, bodyBytes } of places) {
    parts.push(new Uint8Array(await file.slice(start, start + headBytes + bodyBytes)));
  }
  const records: DataRecord[] = [];
  for (const batch of RecordBatchReader.from([...parts, END_OF_STREAM])) {
    const vectors = batch.schema.fields.flatMap(({ name }, at) => {
      const vector = batch.getChildAt(at);
      return vector && (columns?.includes(name) ?? true) ? [{ name, vector }] : [];
    });
    for (let row = 0; row < batch.numRows; row++) {
      const fields = vectors.map(({ name, vector }) => [name, toPlain(vector.get(row), bodyBytes)]);
      records.push(Object.fromEntries(fields));
    }
  }
  return records;
}

function groupsOf(file: RangeReader, places: readonly Place[]): GroupIndex {
  const [schema] = places;
  if (!schema?.message.isSchema()) throw new Error("no schema at its beginning");
  const header = schema.message.header();
  const columns = header.fields.map((field) => field.name);
  const isBatch = ({ message }: Place) => message.headerType === MessageHeader.RecordBatch;
  const before = places.filter((place) => !isBatch(place)); // the schema and dictionaries
  const groups = places.filter(isBatch).map((place) => {
    const rows = rowsOf(place, columns.length);
    const read = async (chosen?: readonly string[]) => {
      const records = await readBatch(file, [...before, place], chosen);
      if (records.length !== rows) throw new Error(`${records.length} of ${rows} rows`);
      return records;
    };
    return { rows, bytes: place.bodyBytes, read };
  });
  return { columns, groups, features: header.metadata.get(FEATURES_KEY) };
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
  const index = async (file: RangeReader) => groupsOf(file, await readMessages(file));
  return await openGrouped(files, cache, { kind: "an Arrow file", index });
}
