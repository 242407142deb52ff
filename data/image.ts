/**
 * Picture files to pixels: the first step from a dataset's row or a user's file to the model.
 *
 * `decodeImage()` finds the type from the first bytes, refuses absurd sizes, and hands the file to
 * a decoder for each type. The pixels are those of Pillow's `convert("RGB")`, which are not blended
 * with the alpha; colour profiles are not applied.
 */
import { decodeAvif } from "./avif.ts";
import { orientationOf, turned } from "./exif.ts";
import { decodeGif } from "./gif.ts";
import { readImageHeader } from "./image_header.ts";
import { decodeJpeg } from "./jpeg.ts";
import { decodeByMagick } from "./magick.ts";
import { decodePng } from "./png.ts";
import { RareKindError, type RgbImage } from "./rgb_image.ts";
import { decodeTiff } from "./tiff.ts";
import { decodeWebp } from "./webp.ts";

export type { RgbImage } from "./rgb_image.ts";

/** More pixels than this are refused before decoding: Pillow's limit for decompression bombs. */
export const MAXIMUM_PIXELS = 178_956_970;
/** More memory than this is not spent on decoding: enough for a phone's 108 megapixels as a JPEG. */
const MAXIMUM_BYTES = 1e9;
/** No side is longer; JPEG and GIF could not even say so. */
const MAXIMUM_SIDE = 65_535;

const DECODERS = {
  PNG: decodePng,
  JPEG: decodeJpeg,
  GIF: decodeGif,
  WebP: decodeWebp,
  TIFF: decodeTiff,
  BMP: decodeBmp,
  HEIC: (bytes: Uint8Array) => decodeByMagick(bytes, "HEIC"),
  AVIF: decodeAvif,
};

/**
 * As in Pillow a fourth byte is alpha only where the header has a mask for it, and colours of five
 * or six bits are rounded down to bytes.
 */
async function decodeBmp(bytes: Uint8Array): Promise<RgbImage> {
  const { alpha, ...image } = await decodeByMagick(bytes, "BMP");
  if (bytes[28] === 16) { // bits a pixel; where there are masks, green has 0x7e0 or 0x3e0
    const greens = bytes[30] === 3 && bytes[59] === 7 ? 63 : 31;
    image.data.forEach((byte, i) => {
      const most = i % 3 === 1 ? greens : 31;
      image.data[i] = Math.floor(Math.round(byte * most / 255) * 255 / most);
    });
  }
  return alpha && bytes[30] !== 0 ? { ...image, alpha } : image;
}

function explain(error: unknown): string {
  // What a trap of WebAssembly says, such as "unreachable", tells nobody anything.
  if (error instanceof WebAssembly.RuntimeError) return "data that the decoder gives up on";
  return error instanceof Error ? error.message : String(error);
}

/**
 * Decodes a file as Pillow's `Image.open()` does, whichever way up it lies; see `decodeImage()`.
 *
 * @param bytes the whole file
 * @param name what to call the file in messages
 * @param maximumPixels the largest declared width times height that is decoded
 * @returns a picture of (height, width, 3) bytes, with its alpha where not all of it is opaque
 * @throws {SyntaxError} when the file is of another type, damaged or cut short
 * @throws {RangeError} when the declared size is zero, over `maximumPixels` or takes over a gigabyte
 */
export async function decodePlain(
  bytes: Uint8Array,
  name: string,
  maximumPixels: number = MAXIMUM_PIXELS,
): Promise<RgbImage> {
  const { type, width, height, bytesPerPixel } = readImageHeader(bytes, name);
  const most = Math.floor(Math.min(maximumPixels, MAXIMUM_BYTES / bytesPerPixel));
  const isAbsurd = width === 0 || height === 0 || width * height > most;
  if (isAbsurd || Math.max(width, height) > MAXIMUM_SIDE) {
    throw new RangeError(
      `Cannot decode image "${name}": found a declared size of ${width}x${height}, expected at ` +
        `least 1x1, at most ${most} pixels in a ${type} file of its kind and ${MAXIMUM_SIDE} a ` +
        `side. Resize the file, or leave it out.`,
    );
  }
  try {
    return await DECODERS[type](bytes);
  } catch (error) {
    const found = explain(error);
    throw new SyntaxError(
      `Cannot decode image "${name}": found ${found}, expected ` +
        (error instanceof RareKindError
          ? `a ${type} file of a more common kind. Save the picture as PNG, or leave it out.`
          : `a whole ${type} file. The file is damaged or cut short, or of a rare kind.`),
      { cause: error },
    );
  }
}

/**
 * Decodes a PNG, JPEG, WebP, GIF (its first frame), TIFF (its first picture), BMP, HEIC or AVIF file,
 * and turns the picture as its EXIF orientation says.
 *
 * @param bytes the whole file
 * @param name what to call the file in messages
 * @param maximumPixels the largest declared width times height that is decoded
 * @returns a picture of (height, width, 3) bytes, with its alpha where not all of it is opaque
 * @throws {SyntaxError} when the file is of another type, damaged or cut short
 * @throws {RangeError} when the declared size is zero, over `maximumPixels` or takes over a gigabyte
 */
export async function decodeImage(
  bytes: Uint8Array,
  name: string,
  maximumPixels: number = MAXIMUM_PIXELS,
): Promise<RgbImage> {
  const image = await decodePlain(bytes, name, maximumPixels);
  return turned(image, orientationOf(bytes, readImageHeader(bytes, name).type));
}
