/**
 * PNG files to pixels, called by image.ts: every colour type, bit depth and interlacing.
 *
 * The result is Pillow's `Image.open(file).convert("RGB")`, with the alpha that it drops beside it:
 * 16-bit colour keeps its high byte, and 16-bit grey, which Pillow opens as whole numbers, is
 * cut off at 255. A library could not give the last: the ones at hand keep the high byte. As in
 * Pillow, damage counts only before and in the pixels: nothing of what follows them is needed.
 *
 * Source: PNG specification, 3rd edition, sections 5 (chunks), 7 to 10 (filters, interlace).
 */
import { constants, crc32, inflateSync } from "node:zlib";
import { CHANNELS, type PngHeader, type PngParts, PngPicture } from "./png_picture.ts";
import type { RgbImage } from "./rgb_image.ts";

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

interface Chunk {
  type: string;
  data: Uint8Array;
}

/**
 * Yields the chunks up to the last with pixels, checking the checksums of those before the pixels.
 *
 * @throws {SyntaxError} saying what was found, where there are no pixels before the damage
 */
export function* readChunks(bytes: Uint8Array): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let seesPixels = false;
  for (let at = 8; at + 8 < bytes.length;) {
    const length = view.getUint32(at);
    const end = at + 8 + length;
    const type = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const isPixels = type === "IDAT";
    if (seesPixels && !isPixels) return;
    seesPixels = isPixels;
    if (!isPixels && end + 4 > bytes.length) break;
    if (!isPixels && crc32(bytes.subarray(at + 4, end)) !== view.getUint32(end)) {
      throw new SyntaxError(`a wrong checksum in its ${type} chunk`);
    }
    yield { type, data: bytes.subarray(at + 8, end) };
    at = end + 4;
  }
  if (seesPixels) return;
  throw new SyntaxError(`an end of file after ${bytes.length} bytes, before its IDAT chunk`);
}

function parseHeader(data: Uint8Array): PngHeader {
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

function readParts(bytes: Uint8Array): PngParts {
  let header: PngHeader | undefined;
  let palette: Uint8Array | undefined;
  let transparency: Uint8Array | undefined;
  const compressed: Uint8Array[] = [];
  for (const { type, data } of readChunks(bytes)) {
    if (type === "IHDR" && header) throw new SyntaxError("two IHDR chunks");
    else if (type === "IHDR") header = parseHeader(data);
    else if (type === "PLTE") palette = data;
    else if (type === "tRNS") transparency = data;
    else if (type === "IDAT") compressed.push(data);
  }
  if (!header || compressed.length === 0) {
    throw new SyntaxError("no IHDR or no IDAT chunk");
  }
  return { header, palette, transparency, compressed: joined(compressed) };
}

function joined(parts: readonly Uint8Array[]): Uint8Array {
  if (parts.length === 1 && parts[0]) return parts[0];
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
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

/** Bytes of one filtered line without its filter byte. */
function lineBytes(header: PngHeader, width: number): number {
  return Math.ceil(
    width * (CHANNELS[header.colourType] ?? 1) * header.depth / 8,
  );
}

function passes(header: PngHeader) {
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
    filtered = inflateSync(compressed, {
      maxOutputLength: length,
      chunkSize: length,
      finishFlush: constants.Z_SYNC_FLUSH, // the checksum at the end may be missing
    });
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
 * @returns a picture of (height, width, 3) bytes, with its alpha
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
  const picture = new PngPicture(parts);
  const pixelBytes = Math.max(1, lineBytes(header, 1));
  let at = 0;
  for (const { x0, y0, dx, dy, columns, lines, bytes: length } of steps) {
    let above: Uint8Array = new Uint8Array(length);
    for (let row = 0; row < lines; row++) {
      const line = filtered.subarray(at + 1, at + 1 + length);
      unfilter(filtered[at] ?? 0, line, above, pixelBytes);
      picture.write(line, columns, { start: (y0 + row * dy) * header.width + x0, step: dx });
      above = line;
      at += length + 1;
    }
  }
  return picture.image;
}
