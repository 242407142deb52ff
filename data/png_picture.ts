/**
 * The pixels of a PNG file's lines, when png.ts has undone their packing and filters: samples of any
 * depth, the palette and transparency become colours and alpha as Pillow has them.
 *
 * Source: PNG specification, 3rd edition, sections 6, 7 and 11.3.1.
 */
import type { RgbImage } from "./rgb_image.ts";

/** Samples per pixel, by colour type. */
export const CHANNELS: Readonly<Record<number, number>> = {
  0: 1,
  2: 3,
  3: 1,
  4: 2,
  6: 4,
};
export interface PngHeader {
  width: number;
  height: number;
  depth: number;
  colourType: number;
  interlaced: boolean;
}

export interface PngParts {
  header: PngHeader;
  palette: Uint8Array | undefined;
  /** What the tRNS chunk says: the palette's alpha, or the one transparent colour. */
  transparency: Uint8Array | undefined;
  compressed: Uint8Array;
}

/** A line's samples as Pillow's `convert("RGB")` would see them, a byte each. */
function toBytes(line: Uint8Array, { depth, colourType }: PngHeader, samples: number): Uint8Array {
  if (depth === 8) return line;
  const bytes = new Uint8Array(samples);
  const mask = (1 << depth) - 1;
  const scale = colourType === 3 ? 1 : 255 / mask;
  for (let i = 0; i < samples; i++) {
    const bit = i * depth;
    if (depth < 8) bytes[i] = (((line[bit >> 3] ?? 0) >> (8 - depth - (bit & 7))) & mask) * scale;
    else if (colourType !== 0) bytes[i] = line[2 * i] ?? 0;
    else bytes[i] = line[2 * i] ? 255 : line[2 * i + 1] ?? 0;
  }
  return bytes;
}

/** The picture of a PNG file, put together line by line. */
export class PngPicture {
  readonly #parts: PngParts;
  readonly #channels: number;
  readonly #data: Uint8Array;
  readonly #alpha: Uint8Array | undefined;

  constructor(parts: PngParts) {
    const { colourType, width, height } = parts.header;
    this.#parts = parts;
    this.#channels = CHANNELS[colourType] ?? 1;
    this.#data = new Uint8Array(width * height * 3); // (height, width, 3)
    const hasAlpha = colourType === 4 || colourType === 6 || parts.transparency;
    if (hasAlpha) this.#alpha = new Uint8Array(width * height).fill(255); // (height, width)
  }

  get image(): RgbImage {
    const { width, height } = this.#parts.header;
    return { width, height, data: this.#data, ...(this.#alpha ? { alpha: this.#alpha } : {}) };
  }

  /** Writes `columns` pixels to every `step`th place from pixel `start` on. */
  write(line: Uint8Array, columns: number, { start, step }: { start: number; step: number }): void {
    const { header, palette } = this.#parts;
    const channels = this.#channels, data = this.#data;
    const samples = toBytes(line, header, columns * channels);
    if (channels === 3 && step === 1) data.set(samples, 3 * start);
    else {
      const table = header.colourType === 3 ? palette : undefined;
      const second = channels < 3 ? 0 : 1;
      for (let from = 0, to = 3 * start; from < samples.length; from += channels, to += 3 * step) {
        const value = samples[from] ?? 0;
        data[to] = table ? table[3 * value] ?? 0 : value; // black beyond the palette's end
        data[to + 1] = table ? table[3 * value + 1] ?? 0 : samples[from + second] ?? 0;
        data[to + 2] = table ? table[3 * value + 2] ?? 0 : samples[from + 2 * second] ?? 0;
      }
    }
    if (this.#alpha) this.#writeAlpha(samples, columns, { start, step });
  }

  #writeAlpha(samples: Uint8Array, columns: number, place: { start: number; step: number }): void {
    const channels = this.#channels;
    const opacityOf = this.#opacity(samples);
    for (let i = 0; i < columns; i++) {
      if (this.#alpha) this.#alpha[place.start + i * place.step] = opacityOf(i * channels);
    }
  }

  /** The alpha of the pixel whose samples begin at a place. */
  #opacity(samples: Uint8Array): (from: number) => number {
    const { transparency: key = new Uint8Array(), header } = this.#parts;
    const channels = this.#channels;
    if (header.colourType === 3) return (from) => key[samples[from] ?? 0] ?? 255;
    if (channels % 2 === 0) return (from) => samples[from + channels - 1] ?? 0;
    // As in Pillow the one transparent colour is met by bytes, also where the file has 16 bits.
    const isKey = (from: number, c: number) =>
      samples[from + c] === (key[2 * c] ?? 0) * 256 + (key[2 * c + 1] ?? 0);
    return (from) => {
      for (let c = 0; c < channels; c++) if (!isKey(from, c)) return 255;
      return 0;
    };
  }
}
