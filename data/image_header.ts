/**
 * What kind of file some bytes are and how large a picture they declare, without decoding.
 * Used by image.ts, so that a wrong or oversized file is refused before any memory is spent.
 *
 * Source: the PNG (3rd edition), JPEG (T.81 annex B), GIF89a and WebP (RFC 9649) specifications.
 */

import { whatIs } from "./file_kind.ts";
import { readJpegFrame } from "./jpeg_header.ts";

/** The file types that `decodeImage()` reads. */
export type ImageType = "PNG" | "JPEG" | "GIF" | "WebP";

/** Type and declared size of a picture file. */
export interface ImageHeader {
  /** From the first bytes, whatever the name says. */
  type: ImageType;
  /** Pixels per line. */
  width: number;
  /** Lines. */
  height: number;
}

/** The types by what whatIs() calls them. */
const TYPES: Readonly<Record<string, ImageType>> = {
  "a PNG file": "PNG",
  "a JPEG file": "JPEG",
  "a GIF file": "GIF",
  "a WebP file": "WebP",
};

type Size = { width: number; height: number } | undefined;

function pngSize(view: DataView): Size {
  if (view.byteLength < 33 || view.getUint32(12) !== 0x49484452) return undefined; // "IHDR"
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

function gifSize(view: DataView): Size {
  if (view.byteLength < 13) return undefined;
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

function webpSize(view: DataView): Size {
  const chunk = view.byteLength >= 16 ? view.getUint32(12) : 0;
  if (chunk === 0x56503820 /* "VP8 " */ && view.byteLength >= 30) {
    const width = view.getUint16(26, true) & 0x3fff;
    return { width, height: view.getUint16(28, true) & 0x3fff };
  }
  if (chunk === 0x5650384c /* "VP8L" */ && view.byteLength >= 25) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (chunk === 0x56503858 /* "VP8X" */ && view.byteLength >= 30) {
    const width = (view.getUint32(24, true) & 0xffffff) + 1;
    return { width, height: (view.getUint32(26, true) >>> 8) + 1 };
  }
  return undefined;
}

/**
 * Reads type and declared size from a picture file's first bytes.
 *
 * @param bytes the whole file, or at least its headers
 * @param name what to call the file in messages
 * @throws {SyntaxError} when the file is no PNG, JPEG, GIF or WebP, or its header is cut short
 */
export function readImageHeader(bytes: Uint8Array, name: string): ImageHeader {
  const kind = whatIs(bytes);
  const type = TYPES[kind];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let size: Size;
  if (type === "PNG") size = pngSize(view);
  else if (type === "JPEG") size = readJpegFrame(bytes);
  else if (type === "GIF") size = gifSize(view);
  else if (type === "WebP") size = webpSize(view);
  else {
    throw new SyntaxError(
      `Cannot decode image "${name}": found ${kind}, expected a PNG, JPEG, GIF or WebP file. ` +
        `Convert it to one of these, such as by: magick FILE FILE.png`,
    );
  }
  if (!size) {
    throw new SyntaxError(
      `Cannot decode image "${name}": found a ${type} file of ${bytes.length} bytes without a ` +
        `readable size in its header, expected a whole ${type} file. The file is damaged or cut short.`,
    );
  }
  return { type, width: size.width, height: size.height };
}
