/**
 * JPEG files to pixels, called by image.ts: MozJPEG in WebAssembly, and for CMYK files, which it
 * refuses, the slower decoder of imagescript.
 *
 * EXIF orientation is not applied, as in plain Pillow.
 */
import factory from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import imagescriptJpeg from "imagescript/wasm/node/jpeg.js";
import { countJpegScans, type JpegFrame, readJpegFrame } from "./jpeg_header.ts";
import { dropAlpha, type RgbImage } from "./rgb_image.ts";
import { WasmDecoder } from "./wasm.ts";

/** What imagescript's JPEG module offers; it comes without types. */
interface ImagescriptJpeg {
  init(): Promise<{
    decode(bytes: Uint8Array): {
      width: number;
      height: number;
      /** 0 grey, 1 RGB, 2 CMYK. */
      format: number;
      buffer: Uint8Array;
    };
  }>;
}

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

/** CMYK to RGB by Pillow's formula: (255 - k) - c (255 - k) / 255, each rounded. */
async function decodeCmyk(bytes: Uint8Array): Promise<RgbImage> {
  const imagescript = await (imagescriptJpeg as ImagescriptJpeg).init();
  const { width, height, format, buffer } = imagescript.decode(bytes);
  if (format !== 2) {
    throw new SyntaxError("four colour components that are not CMYK");
  }
  const data = new Uint8Array(width * height * 3); // (height, width, 3)
  for (let pixel = 0; pixel < width * height; pixel++) {
    const light = 255 - (buffer[4 * pixel + 3] ?? 0);
    for (let c = 0; c < 3; c++) {
      data[3 * pixel + c] = light -
        Math.round((buffer[4 * pixel + c] ?? 0) * light / 255);
    }
  }
  return { width, height, data };
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
  if (frame.components === 4) return await decodeCmyk(bytes);
  const { image, complaints } = await decoder.decode(bytes);
  // libjpeg paints what is missing grey and only warns.
  const cut = complaints.find((line) => /premature end/i.test(line));
  if (cut) throw new SyntaxError(cut);
  return dropAlpha(image.data, image.width, image.height);
}
