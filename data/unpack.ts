/**
 * Unpacks bytes to the length that is promised, and not further. Below the readers of record files.
 * LZ4 frames, in which Arrow files are packed by default, are ours: libraries forget the blocks
 * before, or run on for long where a length is broken.
 *
 * Source: "LZ4 Frame Format Description" 1.6.4 and "LZ4 Block Format Description".
 */
import { brotliDecompressSync, gunzipSync, zstdDecompressSync } from "node:zlib";

/** Unpacks bytes to a length. */
export type Unpack = (bytes: Uint8Array, length: number) => Uint8Array;

type NodeUnpack = (bytes: Uint8Array, options: { maxOutputLength: number }) => Uint8Array;

function upTo(unpack: NodeUnpack): Unpack {
  return (bytes, length) => {
    try {
      return unpack(bytes, { maxOutputLength: length });
    } catch (cause) {
      throw new Error(`packed bytes that do not unpack to ${length}`, { cause });
    }
  };
}

export const unpackGzip: Unpack = upTo(gunzipSync);
export const unpackBrotli: Unpack = upTo(brotliDecompressSync);
export const unpackZstd: Unpack = upTo(zstdDecompressSync);

const MAGIC = 0x184d2204;
/** Flags of a frame. */
const HAS_BLOCK_CHECKSUMS = 16;
const HAS_SIZE = 8;
const HAS_DICTIONARY = 1;
const IS_UNCOMPRESSED = 0x80000000;

/** Unpacks a block behind what is there of the output, which it may repeat; gives the new end. */
function unpackBlock(block: Uint8Array, output: Uint8Array, start: number): number {
  let at = 0;
  let end = start;
  const length = (short: number) => {
    let sum = short;
    for (let more = short === 15 ? 255 : 0; more === 255; sum += more) more = block[at++] ?? 0;
    return sum;
  };
  while (at < block.length) {
    const token = block[at++] ?? 0;
    const literals = length(token >> 4);
    output.set(block.subarray(at, at + literals), end);
    at += literals;
    end += literals;
    if (at >= block.length) break; // the last ones are not followed by a match
    const distance = (block[at++] ?? 0) + 256 * (block[at++] ?? 0);
    const stop = end + 4 + length(token & 15);
    if (distance === 0 || distance > end || stop > output.length) {
      throw new Error("LZ4 bytes that cannot be");
    }
    for (; end < stop; end++) output[end] = output[end - distance] ?? 0;
  }
  return end;
}

/**
 * Unpacks a frame.
 *
 * @param length what it unpacks to
 * @throws {Error} when it unpacks to anything else
 */
export function unpackLz4(frame: Uint8Array, length: number): Uint8Array {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw new Error("bytes that are no LZ4 frame");
  const flags = view.getUint8(4);
  const output = new Uint8Array(length);
  let end = 0;
  let at = 7 + (flags & HAS_SIZE ? 8 : 0) + (flags & HAS_DICTIONARY ? 4 : 0);
  while (true) {
    const header = view.getUint32(at, true);
    at += 4;
    if (header === 0) break;
    const bytes = header % IS_UNCOMPRESSED;
    const block = frame.subarray(at, at + bytes);
    if (header < IS_UNCOMPRESSED) end = unpackBlock(block, output, end);
    else {
      output.set(block, end);
      end += block.length;
    }
    at += bytes + (flags & HAS_BLOCK_CHECKSUMS ? 4 : 0);
  }
  if (end !== length) throw new Error(`${end} bytes of LZ4 instead of ${length}`);
  return output;
}
