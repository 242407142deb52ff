/**
 * Text files as UTF-8 without a byte order mark, however they are kept: in UTF-16, in gzip. Below
 * json_records.ts and csv_records.ts. Ours.
 */
import { gunzipSync } from "node:zlib";
import { whatIs } from "./file_kind.ts";
import type { RangeReader } from "./hub.ts";
import type { DataFile } from "./local_file.ts";

/** The longest file that is unpacked or converted, in bytes: it is in memory then. */
const LONGEST_CONVERTED = 2 ** 29;
const BYTE_ORDER_MARK = [0xef, 0xbb, 0xbf];
const GZIP = [0x1f, 0x8b];

function inMemory(bytes: Uint8Array<ArrayBuffer>): RangeReader {
  return {
    byteLength: bytes.length,
    slice: (start, end) => Promise.resolve(bytes.slice(start, end).buffer),
  };
}

async function unzip(name: string, file: RangeReader): Promise<Uint8Array<ArrayBuffer>> {
  const packed = new Uint8Array(await file.slice(0, file.byteLength));
  try {
    const { buffer, byteOffset, length } = gunzipSync(packed, {
      maxOutputLength: LONGEST_CONVERTED,
    });
    return new Uint8Array(buffer as ArrayBuffer, byteOffset, length); // no copy
  } catch (cause) {
    if (cause instanceof RangeError) throw tooLong(name, "more");
    throw new SyntaxError(`Cannot unpack "${name}": found a damaged file, expected a gzip file`, {
      cause,
    });
  }
}

function tooLong(name: string, bytes: number | string): RangeError {
  return new RangeError(
    `Cannot unpack "${name}": found ${bytes} bytes, expected at most ${LONGEST_CONVERTED}. Unpack ` +
      `it, or save it as UTF-8, yourself.`,
  );
}

/**
 * Opens a text file as UTF-8 without a byte order mark: gzip is unpacked, UTF-16 converted.
 *
 * @throws {SyntaxError} when it is no text
 * @throws {RangeError} when it unpacks to too much
 */
export async function openText({ name, open }: DataFile): Promise<RangeReader> {
  let file = await open();
  let start = new Uint8Array(await file.slice(0, Math.min(512, file.byteLength)));
  const begins = (signature: readonly number[]) =>
    signature.every((byte, at) => start[at] === byte);
  if (begins(GZIP)) {
    file = inMemory(await unzip(name, file));
    start = new Uint8Array(await file.slice(0, 512));
  }
  if (begins([0xff, 0xfe]) || begins([0xfe, 0xff])) {
    if (file.byteLength > LONGEST_CONVERTED) throw tooLong(name, file.byteLength);
    const decoder = new TextDecoder(start[0] === 0xff ? "utf-16le" : "utf-16be");
    return inMemory(new TextEncoder().encode(decoder.decode(await file.slice(0, file.byteLength))));
  }
  const found = whatIs(start);
  // What begins otherwise may still be text with a bad byte, which is an error of one record.
  if (!/^a text|^an empty|^an unknown/.test(found)) {
    throw new SyntaxError(`Cannot read "${name}": found ${found}, expected a text file`);
  }
  if (!begins(BYTE_ORDER_MARK)) return file;
  const whole = file;
  const skip = BYTE_ORDER_MARK.length;
  return {
    byteLength: whole.byteLength - skip,
    slice: (from, to = whole.byteLength - skip) => whole.slice(from + skip, to + skip),
  };
}
