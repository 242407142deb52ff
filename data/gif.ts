/**
 * GIF files to pixels, called by image.ts: the first frame, on its canvas.
 */
import imagescriptGif from "imagescript/wasm/node/gif.js";
import { dropAlpha, placeOnCanvas, requireWithin, type RgbImage } from "./rgb_image.ts";

/** What imagescript's GIF module offers; it comes without types. */
interface ImagescriptGif {
  init(): Promise<{
    Decoder: new (bytes: Uint8Array) => {
      width: number;
      height: number;
      frame(): Frame | null;
    };
  }>;
}

interface Frame {
  x: number;
  y: number;
  width: number;
  height: number;
  /** (height, width, 4) */
  buffer: Uint8Array;
}

/** A code of LZW has up to 12 bits and stands for up to 4,096 pixels. */
const MOST_PIXELS_PER_BYTE = 4096;

/** Skips a chain of sub-blocks, each led by its length, and returns the place after it. */
function skipSubBlocks(bytes: Uint8Array, at: number): number {
  let length = bytes[at] ?? 0;
  while (length > 0) {
    at += 1 + length;
    length = bytes[at] ?? 0;
  }
  return at + 1;
}

/**
 * A copy whose first frame declares no transparent colour: Pillow's `convert("RGB")` shows that
 * colour as the palette has it.
 *
 * @throws {SyntaxError} when the first frame is not within the canvas or far too large for the
 * file: the decoder would make room for it all the same
 */
function withoutTransparency(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const flags = copy[10] ?? 0;
  let at = 13 + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  while (copy[at] === 0x21) { // an extension; 0xf9 is the graphic control
    if (copy[at + 1] === 0xf9) copy[at + 3] = (copy[at + 3] ?? 0) & 0xfe;
    at = skipSubBlocks(copy, at + 2);
  }
  if (copy[at] !== 0x2c || at + 10 > copy.length) throw new SyntaxError("no frame");
  const number = (place: number) => (copy[place] ?? 0) + 256 * (copy[place + 1] ?? 0);
  const frame = {
    x: number(at + 1),
    y: number(at + 3),
    width: number(at + 5),
    height: number(at + 7),
  };
  requireWithin(frame, { width: number(6), height: number(8) });
  if (frame.width * frame.height > copy.length * MOST_PIXELS_PER_BYTE) {
    throw new SyntaxError(
      `${copy.length} bytes, too few for a frame of ${frame.width}x${frame.height} pixels`,
    );
  }
  return copy;
}

/**
 * Decodes a GIF file's first frame; what it leaves free is black.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export async function decodeGif(bytes: Uint8Array): Promise<RgbImage> {
  const { Decoder } = await (imagescriptGif as ImagescriptGif).init();
  const decoder = new Decoder(withoutTransparency(bytes));
  const { width, height } = decoder;
  const frame = decoder.frame();
  if (!frame) throw new SyntaxError("no frame");
  return placeOnCanvas(dropAlpha(frame.buffer, frame.width, frame.height), frame, {
    width,
    height,
  });
}
