/**
 * WebP files to pixels, called by image.ts: libwebp in WebAssembly, and of an animation, which it
 * refuses, the first frame on its canvas.
 *
 * Source of the container: RFC 9649, sections 2.3 to 2.7. As in Pillow, what the first frame leaves
 * free is black.
 */
import factory from "@jsquash/webp/codec/dec/webp_dec.js";
import { readImageHeader } from "./image_header.ts";
import {
  dropAlpha,
  type Place,
  placeOnCanvas,
  requireWithin,
  type RgbImage,
  type Size,
} from "./rgb_image.ts";
import { WasmDecoder } from "./wasm.ts";

const decoder = new WasmDecoder(
  factory,
  "@jsquash/webp/codec/dec/webp_dec.wasm",
);

/** Bytes of an ANMF chunk before the frame's own chunks. */
const FRAME_HEADER_BYTES = 16;

/** Finds a chunk among those from `start` to the end of the file. */
function findChunk(bytes: Uint8Array, start: number, types: readonly string[]) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = start; at + 8 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end > bytes.length) break;
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    if (types.includes(type)) return bytes.subarray(at, end);
    at = end + end % 2;
  }
  throw new SyntaxError(`no whole ${types.map((type) => `"${type}"`).join(" or ")} chunk`);
}

/** A file of one frame's own chunk; alpha, which is dropped, may stand in another. */
function stillFile(chunk: Uint8Array): Uint8Array {
  const file = new Uint8Array(12 + chunk.length + chunk.length % 2);
  file.set(new TextEncoder().encode("RIFF\0\0\0\0WEBP"));
  new DataView(file.buffer).setUint32(4, file.length - 8, true);
  file.set(chunk, 12);
  return file;
}

/** The first frame of an animation, and where on the canvas it belongs. */
function firstFrame(bytes: Uint8Array, canvas: Size): { file: Uint8Array; place: Place } {
  const frame = findChunk(bytes, 30, ["ANMF"]);
  if (frame.length < 8 + FRAME_HEADER_BYTES) throw new SyntaxError("a frame without a header");
  const number = (at: number) =>
    frame.slice(at, at + 3).reduceRight((sum, byte) => sum * 256 + byte);
  const place = {
    x: 2 * number(8),
    y: 2 * number(11),
    width: number(14) + 1,
    height: number(17) + 1,
  };
  requireWithin(place, canvas);
  const file = stillFile(findChunk(frame, 8 + FRAME_HEADER_BYTES, ["VP8 ", "VP8L"]));
  const { width, height } = readImageHeader(file, "frame");
  if (width !== place.width || height !== place.height) {
    throw new SyntaxError(
      `a frame of ${width}x${height} in place of ${place.width}x${place.height}`,
    );
  }
  return { file, place };
}

async function decodeStill(bytes: Uint8Array): Promise<RgbImage> {
  const { image } = await decoder.decode(bytes);
  return dropAlpha(image.data, image.width, image.height);
}

/**
 * Decodes a WebP file, of an animation the first frame.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export async function decodeWebp(bytes: Uint8Array): Promise<RgbImage> {
  const isAnimated = bytes[15] === 0x58 && ((bytes[20] ?? 0) & 2) !== 0; // the X of "VP8X"
  if (!isAnimated) return await decodeStill(bytes);
  const canvas = readImageHeader(bytes, "canvas");
  const { file, place } = firstFrame(bytes, canvas);
  return placeOnCanvas(await decodeStill(file), place, canvas);
}
