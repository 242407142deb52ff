/**
 * GIF files to pixels, called by image.ts: the first frame, on its canvas, as Pillow shows it.
 *
 * The decoder gets a file of that frame alone whose palette makes each number its own grey, so that
 * it gives the numbers back; colours, transparency and the canvas are then as Pillow has them.
 *
 * Source: GIF89a specification; Pillow's GifImagePlugin for what the specification leaves open.
 */
import imagescriptGif from "imagescript/wasm/node/gif.js";
import { type Place, placeOnCanvas, type RgbImage } from "./rgb_image.ts";

/** What imagescript's GIF module offers; it comes without types. */
interface ImagescriptGif {
  init(): Promise<{ Decoder: new (bytes: Uint8Array) => { frame(): Frame | null } }>;
}

interface Frame {
  /** (height, width, 4) */
  buffer: Uint8Array;
}

/** The first frame, and what is said about it before. */
interface FirstFrame {
  place: Place;
  /** Three bytes a colour; none where the file has no palette. */
  palette: Uint8Array | undefined;
  /** The number that is transparent, -1 where none is. */
  transparent: number;
  isInterlaced: boolean;
  /** The packed numbers, and the rest of the file. */
  packed: Uint8Array;
}

/** A code of LZW has up to 12 bits and stands for up to 4,096 pixels. */
const MOST_PIXELS_PER_BYTE = 4096;
const GREYS = Uint8Array.from({ length: 768 }, (_, i) => Math.floor(i / 3));

/** Skips a chain of sub-blocks, each led by its length, and returns the place after it. */
function skipSubBlocks(bytes: Uint8Array, at: number): number {
  let length = bytes[at] ?? 0;
  while (length > 0) {
    at += 1 + length;
    length = bytes[at] ?? 0;
  }
  return at + 1;
}

/** The palette at a place, if the flags say that there is one. */
function paletteAt(bytes: Uint8Array, at: number, flags: number): Uint8Array | undefined {
  return flags & 0x80 ? bytes.subarray(at, at + (3 << ((flags & 7) + 1))) : undefined;
}

/** @throws {SyntaxError} when there is no frame, or it is far too large for the file */
function readFirstFrame(bytes: Uint8Array): FirstFrame {
  const common = paletteAt(bytes, 13, bytes[10] ?? 0);
  let at = 13 + (common?.length ?? 0);
  let transparent = -1;
  while (bytes[at] === 0x21) { // an extension; 0xf9 is the graphic control
    const isControl = bytes[at + 1] === 0xf9;
    if (isControl) transparent = (bytes[at + 3] ?? 0) & 1 ? bytes[at + 6] ?? 0 : -1;
    at = skipSubBlocks(bytes, at + 2);
  }
  if (bytes[at] !== 0x2c || at + 10 > bytes.length) throw new SyntaxError("no frame");
  const number = (place: number) => (bytes[place] ?? 0) + 256 * (bytes[place + 1] ?? 0);
  const flags = bytes[at + 9] ?? 0;
  const own = paletteAt(bytes, at + 10, flags);
  const place = {
    x: number(at + 1),
    y: number(at + 3),
    width: number(at + 5),
    height: number(at + 7),
  };
  if (place.width * place.height > bytes.length * MOST_PIXELS_PER_BYTE) {
    throw new SyntaxError(
      `${bytes.length} bytes, too few for a frame of ${place.width}x${place.height} pixels`,
    );
  }
  return {
    ...{ place, transparent, palette: own ?? common, isInterlaced: (flags & 0x40) !== 0 },
    packed: bytes.subarray(at + 10 + (own?.length ?? 0)),
  };
}

/** The numbers of a frame's pixels. */
async function readNumbers({ place, isInterlaced, packed }: FirstFrame): Promise<Uint8Array> {
  const size = [place.width & 255, place.width >> 8, place.height & 255, place.height >> 8];
  const head = [...new TextEncoder().encode("GIF89a"), ...size, 0xf7, 0, 0, ...GREYS];
  const frame = [0x2c, 0, 0, 0, 0, ...size, isInterlaced ? 0x40 : 0];
  const file = new Uint8Array(head.length + frame.length + packed.length);
  file.set(head);
  file.set(frame, head.length);
  file.set(packed, head.length + frame.length);
  const { Decoder } = await (imagescriptGif as ImagescriptGif).init();
  const decoded = new Decoder(file).frame();
  if (!decoded) throw new SyntaxError("no frame");
  return decoded.buffer;
}

/**
 * Where the frame reaches to; a canvas that is smaller grows, as in Pillow.
 *
 * @param bytes the whole file
 */
export function gifSize(bytes: Uint8Array): { width: number; height: number } {
  const { place } = readFirstFrame(bytes);
  const number = (at: number) => (bytes[at] ?? 0) + 256 * (bytes[at + 1] ?? 0);
  return {
    width: Math.max(number(6), place.x + place.width),
    height: Math.max(number(8), place.y + place.height),
  };
}

/**
 * Decodes a GIF file's first frame. What it leaves free has the transparent colour, or the
 * palette's first.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes, with its alpha
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export async function decodeGif(bytes: Uint8Array): Promise<RgbImage> {
  const frame = readFirstFrame(bytes);
  const { place: { width, height }, palette = GREYS, transparent } = frame;
  const numbers = await readNumbers(frame);
  const data = new Uint8Array(width * height * 3); // (height, width, 3)
  const alpha = new Uint8Array(width * height).fill(255);
  for (let pixel = 0; pixel < width * height; pixel++) {
    const colour = numbers[4 * pixel] ?? 0;
    for (let c = 0; c < 3; c++) data[3 * pixel + c] = palette[3 * colour + c] ?? 0;
    if (colour === transparent) alpha[pixel] = 0;
  }
  const free = Math.max(0, transparent);
  const colour = [...palette.subarray(3 * free, 3 * free + 3)];
  const picture = { width, height, data, alpha };
  const canvas = { ...gifSize(bytes), colour };
  const { alpha: all, ...image } = placeOnCanvas(picture, frame.place, canvas);
  return transparent >= 0 && all ? { ...image, alpha: all } : image;
}
