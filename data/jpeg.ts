/**
 * JPEG files to pixels, called by image.ts: MozJPEG in WebAssembly, and for the rare kinds that it
 * refuses or reads differently, the larger and slower ImageMagick.
 *
 * EXIF orientation is not applied, as in plain Pillow.
 */
import factory from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import { countJpegScans, isCommonJpeg, type JpegFrame, readJpegFrame } from "./jpeg_header.ts";
import { decodeByMagick } from "./magick.ts";
import { type RgbImage, splitAlpha } from "./rgb_image.ts";
import { WasmDecoder } from "./wasm.ts";

/** Its one setting would apply the EXIF orientation. */
const decoder = new WasmDecoder(factory, "@jsquash/jpeg/codec/dec/mozjpeg_dec.wasm", false);

/**
 * A block of 8x8 pixels takes at least one bit, or two such blocks do, where one colour component
 * is finer across and another one down.
 */
const LEAST_BYTES_PER_PIXEL = 1 / 1024;
/** Progressive files have about 10; every one goes over the whole picture, whatever it holds. */
const MOST_SCANS = 100;

/** Refuses what would take much memory or time for nothing. */
function requirePlausible(bytes: Uint8Array, frame: JpegFrame): void {
  const { width, height } = frame;
  if (bytes.length < width * height * LEAST_BYTES_PER_PIXEL) {
    throw new SyntaxError(`${bytes.length} bytes, too few for its ${width}x${height} pixels`);
  }
  const scans = countJpegScans(bytes);
  if (scans > MOST_SCANS) throw new SyntaxError(`${scans} scans, more than ${MOST_SCANS}`);
}

/**
 * Decodes a JPEG file.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export async function decodeJpeg(bytes: Uint8Array): Promise<RgbImage> {
  const frame = readJpegFrame(bytes);
  if (!frame) throw new SyntaxError("no frame header");
  requirePlausible(bytes, frame);
  if (!isCommonJpeg(frame)) return await decodeByMagick(bytes, "JPEG");
  const { image, complaints } = await decoder.decode(bytes);
  // libjpeg paints what is missing grey and only warns.
  const cut = complaints.find((line) => /premature end/i.test(line));
  if (cut) throw new SyntaxError(cut);
  return splitAlpha(image.data, image);
}
