/**
 * PNG files to pixels, called by image.ts: every colour type, bit depth and interlacing.
 *
 * The result is Pillow's `Image.open(file).convert("RGB")`: alpha and transparency are dropped,
 * 16-bit colour keeps its high byte, and 16-bit grey, which Pillow opens as whole numbers, is
 * cut off at 255. A library could not give the last: the ones at hand keep the high byte.
 *
 * Source: PNG specification, 3rd edition, sections 5 (chunks), 7 to 10 (filters, interlace).
 */
import { crc32, inflateSync } from "node:zlib";
import type { RgbImage } from "./rgb_image.ts";

/** Samples per pixel, by colour type. */
const CHANNELS: Readonly<Record<number, number>> = {
  0: 1,
  2: 3,
  3: 1,
  4: 2,
  6: 4,
};
const DEPTHS: Readonly<Record<number, readonly number[]>> = {
  0: [1, 2, 4, 8, 16],
  2: [8, 16],
  3: [1, 2, 4, 8],
  4: [8, 16],
  6: [8, 16],
};

/** The seven passes of Adam7: first column, first line, column step, line step. */
const ADAM7 = [
  [0, 0, 8, 8],
  [4, 0, 8, 8],
  [0, 4, 4, 8],
  [2, 0, 4, 4],
  [0, 2, 2, 4],
  [1, 0, 2, 2],
  [0, 1, 1, 2],
] as const;

interface Header {
  width: number;
  height: number;
  depth: number;
  colourType: number;
  interlaced: boolean;
}

interface Chunk {
  type: string;
  data: Uint8Array;
}

/** Yields the chunks up to IEND, checking lengths and checksums. */
function* readChunks(bytes: Uint8Array): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 8;
  while (at + 12 <= bytes.length) {
    const length = view.getUint32(at);
    const end = at + 8 + length;
    if (end + 4 > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    if (crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new SyntaxError(`a wrong checksum in its ${type} chunk`);
    }
    if (type === "IEND") return;
    yield { type, data: bytes.subarray(at + 8, end) };
    at = end + 4;
  }
  throw new SyntaxError(
    `an end of file after ${bytes.length} bytes, before its IEND chunk`,
  );
}

function parseHeader(data: Uint8Array): Header {
  if (data.length !== 13) {
    throw new SyntaxError("an IHDR chunk of the wrong length");
  }
  const view = new DataView(data.buffer, data.byteOffset, data.byteLength);
  const [depth = 0, colourType = 0, compression, filter, interlace] = data
    .subarray(8);
  if (!DEPTHS[colourType]?.includes(depth)) {
    throw new SyntaxError(
      `colour type ${colourType} with ${depth} bits, which PNG does not have`,
    );
  }
  if (
    compression !== 0 || filter !== 0 || (interlace !== 0 && interlace !== 1)
  ) {
    throw new SyntaxError("an unknown compression, filter or interlace method");
  }
  const interlaced = interlace === 1;
  return {
    width: view.getUint32(0),
    height: view.getUint32(4),
    depth,
    colourType,
    interlaced,
  };
}

interface Parts {
  header: Header;
  palette: Uint8Array | undefined;
  compressed: Uint8Array;
}

function readParts(bytes: Uint8Array): Parts {
  let header: Header | undefined;
  let palette: Uint8Array | undefined;
  const compressed: Uint8Array[] = [];
  for (const { type, data } of readChunks(bytes)) {
    if (type === "IHDR" && header) throw new SyntaxError("two IHDR chunks");
    else if (type === "IHDR") header = parseHeader(data);
    else if (type === "PLTE") palette = data;
    else if (type === "IDAT") compressed.push(data);
  }
  if (!header || compressed.length === 0) {
    throw new SyntaxError("no IHDR or no IDAT chunk");
  }
  const length = compressed.reduce((sum, part) => sum + part.length, 0);
  const joined = new Uint8Array(length);
  let at = 0;
  for (const part of compressed) {
    joined.set(part, at);
    at += part.length;
  }
  return { header, palette, compressed: joined };
}

/** The predictor of filter 4: whichever of left, above and upper left is nearest to their plane. */
function paeth(left: number, above: number, upperLeft: number): number {
  const toLeft = Math.abs(above - upperLeft);
  const toAbove = Math.abs(left - upperLeft);
  const toUpperLeft = Math.abs(left + above - 2 * upperLeft);
  if (toLeft <= toAbove && toLeft <= toUpperLeft) return left;
  return toAbove <= toUpperLeft ? above : upperLeft;
}

/** Undoes one line's filter in place; `above` is the finished line before it, or zeros. */
function unfilter(
  filter: number,
  line: Uint8Array,
  above: Uint8Array,
  step: number,
): void {
  if (filter > 4) {
    throw new SyntaxError(`filter ${filter}, which PNG does not have`);
  }
  if (filter === 0) return;
  for (let i = 0; i < line.length; i++) {
    const left = i >= step ? line[i - step] ?? 0 : 0;
    const up = above[i] ?? 0;
    let guess = left;
    if (filter === 2) guess = up;
    else if (filter === 3) guess = (left + up) >> 1;
    else if (filter === 4) {
      guess = paeth(left, up, i >= step ? above[i - step] ?? 0 : 0);
    }
    line[i] = (line[i] ?? 0) + guess;
  }
}

/** Reads sample `index` of a line as Pillow's `convert("RGB")` would see it, from 0 to 255. */
function sampleReader(
  header: Header,
): (line: Uint8Array, index: number) => number {
  const { depth, colourType } = header;
  if (depth === 8) return (line, index) => line[index] ?? 0;
  if (depth === 16) {
    if (colourType !== 0) return (line, index) => line[2 * index] ?? 0;
    return (line, index) => (line[2 * index] ? 255 : line[2 * index + 1] ?? 0);
  }
  const mask = (1 << depth) - 1;
  const scale = colourType === 3 ? 1 : 255 / mask;
  return (line, index) => {
    const bit = index * depth;
    return (((line[bit >> 3] ?? 0) >> (8 - depth - (bit & 7))) & mask) * scale;
  };
}

/** Writes one sample group at a pixel's place in the picture. */
function pixelWriter(parts: Parts, data: Uint8Array) {
  const { colourType } = parts.header;
  const channels = CHANNELS[colourType] ?? 1;
  const read = sampleReader(parts.header);
  const palette = parts.palette ?? new Uint8Array();
  return (line: Uint8Array, pixel: number, to: number) => {
    const first = read(line, pixel * channels);
    for (let c = 0; c < 3; c++) {
      let value = first;
      if (colourType === 3) value = palette[3 * first + c] ?? 0; // black beyond the palette's end
      else if (channels >= 3 && c > 0) value = read(line, pixel * channels + c);
      data[to + c] = value;
    }
  };
}

/** Bytes of one filtered line without its filter byte. */
function lineBytes(header: Header, width: number): number {
  return Math.ceil(
    width * (CHANNELS[header.colourType] ?? 1) * header.depth / 8,
  );
}

function passes(header: Header) {
  const all = header.interlaced ? ADAM7 : [[0, 0, 1, 1]] as const;
  return all.map(([x0, y0, dx, dy]) => {
    const columns = Math.max(0, Math.ceil((header.width - x0) / dx));
    const lines = columns === 0 ? 0 : Math.max(0, Math.ceil((header.height - y0) / dy));
    return {
      x0,
      y0,
      dx,
      dy,
      columns,
      lines,
      bytes: lineBytes(header, columns),
    };
  });
}

/** Some writers leave a few bytes after the last line; that many are let through. */
const SPARE_BYTES = 65536;
/** Deflate makes at most that many bytes of one. */
const MOST_INFLATION = 1032;

/** The filtered lines. */
function inflate(compressed: Uint8Array, expected: number): Uint8Array {
  const most = compressed.length * MOST_INFLATION;
  if (most < expected) {
    throw new SyntaxError(`at most ${most} bytes of lines where ${expected} belong`);
  }
  let filtered: Uint8Array;
  try {
    const length = expected + SPARE_BYTES;
    filtered = inflateSync(compressed, { maxOutputLength: length, chunkSize: length });
  } catch (cause) {
    if (!(cause instanceof RangeError)) throw cause;
    throw new SyntaxError(`more than the ${expected} bytes of lines that belong`, { cause });
  }
  if (filtered.length >= expected) return filtered;
  throw new SyntaxError(`${filtered.length} bytes of lines where ${expected} belong`);
}

/**
 * Decodes a PNG file.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export function decodePng(bytes: Uint8Array): RgbImage {
  const parts = readParts(bytes);
  const { header } = parts;
  if (header.colourType === 3 && !parts.palette) {
    throw new SyntaxError("no PLTE chunk");
  }
  const steps = passes(header);
  const expected = steps.reduce(
    (sum, pass) => sum + pass.lines * (pass.bytes + 1),
    0,
  );
  const filtered = inflate(parts.compressed, expected);
  const data = new Uint8Array(header.width * header.height * 3); // (height, width, 3)
  const write = pixelWriter(parts, data);
  const pixelBytes = Math.max(1, lineBytes(header, 1));
  let at = 0;
  for (const { x0, y0, dx, dy, columns, lines, bytes: length } of steps) {
    let above: Uint8Array = new Uint8Array(length);
    for (let row = 0; row < lines; row++) {
      const line = new Uint8Array(
        filtered.buffer,
        filtered.byteOffset + at + 1,
        length,
      );
      unfilter(filtered[at] ?? 0, line, above, pixelBytes);
      const start = ((y0 + row * dy) * header.width + x0) * 3;
      for (let pixel = 0; pixel < columns; pixel++) {
        write(line, pixel, start + pixel * dx * 3);
      }
      above = line;
      at += length + 1;
    }
  }
  return { width: header.width, height: header.height, data };
}
