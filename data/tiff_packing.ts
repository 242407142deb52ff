/**
 * Unpacks the strips and tiles of TIFF files for geotiff, whose own unpackers take endless time or
 * memory over damaged files. Used by tiff.ts.
 *
 * Source: TIFF 6.0, section 13 (LZW); libtiff for the numbers of Deflate and Zstandard.
 */
import { addDecoder, BaseDecoder } from "geotiff";
import { constants, inflateSync, zstdDecompressSync } from "node:zlib";

const CLEAR = 256;
const END = 257;

/** Unpacks LZW: codes of 9 to 12 bits, highest bit first; `most` bytes are made at most. */
function unpackLzw(packed: Uint8Array, most: number): Uint8Array {
  const result = new Uint8Array(Math.min(most, packed.length * 4096));
  const starts = new Uint32Array(4097), lengths = new Uint32Array(4097); // of each code, in the result
  let next = 258, made = 0, place = 0, bits = 9;
  let before = -1;
  while (made < result.length) {
    if (place + bits > 8 * packed.length) throw new SyntaxError("LZW codes that are cut short");
    const at = place >> 3;
    const word = (packed[at] ?? 0) << 16 | (packed[at + 1] ?? 0) << 8 | (packed[at + 2] ?? 0);
    const code = (word >> (24 - bits - (place & 7))) & ((1 << bits) - 1);
    place += bits;
    if (code === END) break;
    if (code === CLEAR) {
      [next, bits, before] = [258, 9, -1];
      continue;
    }
    if (code >= next + (before >= 0 ? 1 : 0)) {
      throw new SyntaxError("an LZW code that is not there");
    }
    // A new code is what the one before stands for, and the first byte of this one.
    if (before >= 0 && next < 4096) [starts[next], lengths[next++]] = [before, made - before + 1];
    before = made;
    if (code < 256) result[made++] = code;
    else {
      const start = starts[code] ?? 0, length = Math.min(lengths[code] ?? 0, result.length - made);
      for (let i = 0; i < length; i++) result[made++] = result[start + i] ?? 0;
    }
    bits = next >= 2047 ? 12 : next >= 1023 ? 11 : next >= 511 ? 10 : 9; // one code early
  }
  return result.subarray(0, made);
}

/** Unpackers, by the numbers of what they unpack; they make at most so many bytes. */
const UNPACKERS: readonly [number[], (packed: Uint8Array, most: number) => Uint8Array][] = [
  [[5], unpackLzw],
  [
    [8, 32946],
    (packed, most) =>
      inflateSync(packed, { maxOutputLength: most, finishFlush: constants.Z_SYNC_FLUSH }),
  ],
  [[50000], (packed, most) => zstdDecompressSync(packed, { maxOutputLength: most })],
];

/** No strip or tile unpacks to more; files may say that a strip has endless lines. */
const MOST_BYTES = 5e8;
/** Some writers leave a few bytes behind the last line. */
const SPARE_BYTES = 65536;

for (const [numbers, unpack] of UNPACKERS) {
  class Unpacker extends BaseDecoder {
    override decodeBlock(packed: ArrayBuffer): ArrayBuffer {
      const { tileWidth, tileHeight, bitsPerSample } = this.parameters;
      const bits = [bitsPerSample].flatMap((each) =>
        typeof each === "number" ? [each] : Array.from(each)
      );
      const bytes = Math.ceil(bits.reduce((sum, each) => sum + each, 0) * tileWidth / 8);
      const most = Math.min(MOST_BYTES, bytes * tileHeight + SPARE_BYTES);
      return unpack(new Uint8Array(packed), most).slice().buffer as ArrayBuffer;
    }
  }
  addDecoder(numbers, () => Promise.resolve(Unpacker));
}

export { fromArrayBuffer } from "geotiff";
