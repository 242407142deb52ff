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
  type Place,
  placeOnCanvas,
  requireWithin,
  type RgbImage,
  type Size,
  splitAlpha,
} from "./rgb_image.ts";
import { WasmDecoder } from "./wasm.ts";

const decoder = new WasmDecoder(
  factory,
  "@jsquash/webp/codec/dec/webp_dec.wasm",
);

/** Bytes of an ANMF chunk's data before the frame's own chunks. */
const FRAME_HEADER_BYTES = 16;
/** Bits in a VP8X chunk. */
const HAS_ALPHA = 0x10;
const IS_ANIMATED = 0x02;

/** A chunk of the container. */
interface Chunk {
  type: string;
  data: Uint8Array;
}

/** Yields the whole chunks from `start` to the end. */
export function* riffChunks(bytes: Uint8Array, start: number): Generator<Chunk> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = start; at + 8 <= bytes.length;) {
    const end = at + 8 + view.getUint32(at + 4, true);
    if (end > bytes.length) return;
    const type = String.fromCharCode(...bytes.subarray(at, at + 4));
    yield { type, data: bytes.subarray(at + 8, end) };
    at = end + end % 2;
  }
}

/** The first frame of an animation as a file of its own, and where on the canvas it belongs. */
function firstFrame(bytes: Uint8Array, canvas: Size): { file: Uint8Array; place: Place } {
  const frame = [...riffChunks(bytes, 12)].find(({ type }) => type === "ANMF")?.data;
  if (!frame) throw new SyntaxError('no whole "ANMF" chunk');
  if (frame.length < FRAME_HEADER_BYTES) throw new SyntaxError("a frame without a header");
  const number = (at: number) =>
    frame.slice(at, at + 3).reduceRight((sum, byte) => sum * 256 + byte);
  const place = { x: 2 * number(0), y: 2 * number(3), width: number(6) + 1, height: number(9) + 1 };
  requireWithin(place, canvas);
  const chunks = frame.subarray(FRAME_HEADER_BYTES);
  const file = new Uint8Array(30 + chunks.length);
  file.set(new TextEncoder().encode("RIFF\0\0\0\0WEBPVP8X\x0a\0\0\0"));
  new DataView(file.buffer).setUint32(4, file.length - 8, true);
  file[20] = HAS_ALPHA;
  file.set(frame.subarray(6, 12), 24); // the width and the height
  file.set(chunks, 30);
  return { file, place };
}

async function decodeStill(bytes: Uint8Array): Promise<RgbImage> {
  const { image } = await decoder.decode(bytes);
  return splitAlpha(image.data, image);
}

/**
 * Decodes a WebP file, of an animation the first frame.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes, with its alpha
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export async function decodeWebp(bytes: Uint8Array): Promise<RgbImage> {
  const isExtended = bytes[15] === 0x58; // the X of "VP8X"
  const flags = bytes[20] ?? 0;
  if (!isExtended || (flags & IS_ANIMATED) === 0) return await decodeStill(bytes);
  const canvas = readImageHeader(bytes, "canvas");
  const { file, place } = firstFrame(bytes, canvas);
  const { alpha, ...image } = placeOnCanvas(await decodeStill(file), place, canvas);
  return flags & HAS_ALPHA && alpha ? { ...image, alpha } : image;
}
