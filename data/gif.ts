/**
 * GIF files to pixels, called by image.ts: the first frame, on its canvas.
 */
import imagescriptGif from "imagescript/wasm/node/gif.js";
import type { RgbImage } from "./rgb_image.ts";

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
 */
function withoutTransparency(bytes: Uint8Array): Uint8Array {
  const copy = bytes.slice();
  const flags = copy[10] ?? 0;
  let at = 13 + (flags & 0x80 ? 3 << ((flags & 7) + 1) : 0);
  while (copy[at] === 0x21) { // an extension; 0xf9 is the graphic control
    if (copy[at + 1] === 0xf9) copy[at + 3] = (copy[at + 3] ?? 0) & 0xfe;
    at = skipSubBlocks(copy, at + 2);
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
  if (frame.x + frame.width > width || frame.y + frame.height > height) {
    throw new SyntaxError(
      `a frame that reaches beyond the ${width}x${height} canvas`,
    );
  }
  const data = new Uint8Array(width * height * 3); // (height, width, 3)
  for (let y = 0; y < frame.height; y++) {
    for (let x = 0; x < frame.width; x++) {
      const from = (y * frame.width + x) * 4;
      const to = ((y + frame.y) * width + x + frame.x) * 3;
      if (frame.buffer[from + 3]) {
        data.set(frame.buffer.subarray(from, from + 3), to);
      }
    }
  }
  return { width, height, data };
}
