/**
 * AVIF files to pixels, called by image.ts: decoded by ImageMagick, and turned here. Its library
 * turns the colours, of which there is one for two by two pixels, before it spreads them: in a
 * picture with an odd side they would come to lie beside their pixels.
 *
 * Source: ISO 23008-12, the boxes "irot" and "imir"; libavif, which orientation of EXIF they are.
 */
import { turned } from "./exif.ts";
import { decodeByMagick } from "./magick.ts";
import type { RgbImage } from "./rgb_image.ts";

/** By how it is mirrored (not, upside down, left to right) behind quarter turns to the left. */
const ORIENTATIONS = [[1, 8, 3, 6], [4, 5, 2, 7], [2, 7, 4, 5]];
/** No turn, also in place of a mirror: both boxes have one byte. */
const NO_TURN = new TextEncoder().encode("irot\0");

/**
 * Decodes an AVIF file.
 *
 * @param bytes the whole file
 * @returns the picture upright, of (height, width, 3) bytes, with its alpha
 * @throws {SyntaxError} saying what was found, when the file is damaged or cut short
 */
export async function decodeAvif(bytes: Uint8Array): Promise<RgbImage> {
  const text = new TextDecoder("latin1").decode(bytes);
  const boxes = [...text.matchAll(/\0\0\0\t(irot|imir)/g)];
  const isTold = new Set(boxes.map(([, name]) => name)).size === boxes.length;
  if (!isTold) return await decodeByMagick(bytes, "AVIF"); // each picture in it lies differently
  const lying = bytes.slice();
  let [turns, mirror] = [0, 0];
  for (const { index, 1: name } of boxes) {
    const value = bytes[index + 8] ?? 0;
    if (name === "irot") turns = value & 3;
    else mirror = 1 + (value & 1);
    lying.set(NO_TURN, index + 4);
  }
  return turned(await decodeByMagick(lying, "AVIF"), ORIENTATIONS[mirror]?.[turns] ?? 1);
}
