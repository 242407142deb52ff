/**
 * WebP files to pixels, called by image.ts: libwebp in WebAssembly. Still pictures only.
 */
import factory from "@jsquash/webp/codec/dec/webp_dec.js";
import { dropAlpha, type RgbImage } from "./rgb_image.ts";
import { WasmDecoder } from "./wasm.ts";

const decoder = new WasmDecoder(
  factory,
  "@jsquash/webp/codec/dec/webp_dec.wasm",
);

/**
 * Decodes a WebP file.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes
 * @throws {SyntaxError} saying what was found, when the file is animated, damaged or cut short
 */
export async function decodeWebp(bytes: Uint8Array): Promise<RgbImage> {
  const { image } = await decoder.decode(bytes);
  return dropAlpha(image.data, image.width, image.height);
}
