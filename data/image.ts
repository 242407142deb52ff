/**
 * Picture files to pixels: the first step from a dataset's row or a user's file to the model.
 *
 * `decodeImage()` finds the type from the first bytes, refuses absurd sizes, and hands the file to
 * png.ts, jpeg.ts, webp.ts or gif.ts. The pixels are those of Pillow's `convert("RGB")`: alpha is
 * dropped without blending, EXIF orientation is not applied.
 */
import { decodeGif } from "./gif.ts";
import { readImageHeader } from "./image_header.ts";
import { decodeJpeg } from "./jpeg.ts";
import { decodePng } from "./png.ts";
import type { RgbImage } from "./rgb_image.ts";
import { decodeWebp } from "./webp.ts";

export type { RgbImage } from "./rgb_image.ts";

/** More pixels than this are refused before decoding: Pillow's limit for decompression bombs. */
export const MAXIMUM_PIXELS = 178_956_970;

const DECODERS = {
  PNG: decodePng,
  JPEG: decodeJpeg,
  GIF: decodeGif,
  WebP: decodeWebp,
};

function explain(error: unknown): string {
  // What a trap of WebAssembly says, such as "unreachable", tells nobody anything.
  if (error instanceof WebAssembly.RuntimeError) return "data that the decoder gives up on";
  return error instanceof Error ? error.message : String(error);
}

/**
 * Decodes a PNG, JPEG, WebP or GIF (its first frame) file.
 *
 * @param bytes the whole file
 * @param name what to call the file in messages
 * @param maximumPixels the largest declared width times height that is decoded
 * @returns a picture of (height, width, 3) bytes
 * @throws {SyntaxError} when the file is of another type, damaged or cut short
 * @throws {RangeError} when the declared size is zero or over `maximumPixels`
 */
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  maximumPixels: number = MAXIMUM_PIXELS,
): Promise<RgbImage> {
  const { type, width, height } = readImageHeader(bytes, name);
  if (width === 0 || height === 0 || width * height > maximumPixels) {
    throw new RangeError(
      `Cannot decode image "${name}": found a declared size of ${width}x${height}, expected at ` +
        `least 1x1 and at most ${maximumPixels} pixels. Resize the file, or leave it out.`,
    );
  }
  try {
    return await DECODERS[type](bytes);
  } catch (error) {
    const found = explain(error);
    throw new SyntaxError(
      `Cannot decode image "${name}": found ${found}, expected a whole ${type} file. ` +
        `The file is damaged or cut short.`,
      { cause: error },
    );
  }
}
