/**
 * JPEG files to pixels, called by image.ts: MozJPEG in WebAssembly, and for CMYK files, which it
 * refuses, the slower decoder of imagescript.
 *
 * EXIF orientation is not applied, as in plain Pillow.
 */
import factory from "@jsquash/jpeg/codec/dec/mozjpeg_dec.js";
import imagescriptJpeg from "imagescript/wasm/node/jpeg.js";
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

/** The number of colour components in the frame header, or 0. */
function componentCount(bytes: Uint8Array): number {
  let at = 2;
  while (at + 9 < bytes.length) {
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xff) at += 1;
    else if (marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8)) at += 2;
    else if (
      marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)
    ) {
      return bytes[at + 9] ?? 0;
    } else at += 2 + (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
  }
  return 0;
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
  if (componentCount(bytes) === 4) return await decodeCmyk(bytes);
  const { image, complaints } = await decoder.decode(bytes);
  // libjpeg paints what is missing grey and only warns.
  const cut = complaints.find((line) => /premature end/i.test(line));
  if (cut) throw new SyntaxError(cut);
  return dropAlpha(image.data, image.width, image.height);
}
