/**
 * What kind of file some bytes are and how large a picture they declare, without decoding.
 * Used by image.ts, so that a wrong or oversized file is refused before any memory is spent.
 *
 * Source: the PNG (3rd edition), JPEG (T.81 annex B), GIF89a and WebP (RFC 9649) specifications.
 */

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

/** Beginnings of files that are recognized; those that are not an ImageType only for the message. */
const SIGNATURES: readonly (readonly [string, string])[] = [
  ["\x89PNG\r\n\x1a\n", "PNG"],
  ["\xff\xd8\xff", "JPEG"],
  ["GIF87a", "GIF"],
  ["GIF89a", "GIF"],
  ["II*\0", "a TIFF file"],
  ["MM\0*", "a TIFF file"],
  ["BM", "a BMP file"],
  ["%PDF", "a PDF file"],
  ["PK\x03\x04", "a ZIP archive"],
  ["PAR1", "a Parquet file"],
  ["\0\0\0\x0cjP  ", "a JPEG 2000 file"],
  ["\0\0\0\x0cJXL ", "a JPEG XL file"],
  ["\xff\x0a", "a JPEG XL file"],
];

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function isText(bytes: Uint8Array): boolean {
  const start = bytes.subarray(0, 512);
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(start, {
      stream: true,
    });
    // deno-lint-ignore no-control-regex
    return !/[\x00-\x08\x0e-\x1f]/.test(text);
  } catch {
    return false;
  }
}

/** What a file of the ISO base media format is, by its main brand. */
function mediaFile(brand: string): string {
  if (brand === "avif" || brand === "avis") return "an AVIF file";
  return /^(he|mif1|msf1)/.test(brand) ? "a HEIC file" : "an MP4 or like file";
}

function textFile(start: string): string {
  if (/<svg[\s>]/i.test(start)) return "an SVG file";
  if (/^\s*<(!doctype html|html|head|body)/i.test(start)) return "an HTML page";
  if (start.startsWith("version https://git-lfs")) return "a pointer to a file in Git LFS";
  return "a text file";
}

/** An ImageType, or words for what was found instead. */
function sniff(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  const start = latin1(bytes, 0, 16);
  if (start.startsWith("RIFF") && start.slice(8, 12) === "WEBP") return "WebP";
  if (start.slice(4, 8) === "ftyp") return mediaFile(start.slice(8, 12));
  const known = SIGNATURES.find(([signature]) => start.startsWith(signature));
  if (known) return known[1];
  if (isText(bytes)) return textFile(latin1(bytes, 0, 512));
  const hex = [...bytes.subarray(0, 8)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  return `an unknown file that begins with the bytes ${hex}`;
}

type Size = { width: number; height: number } | undefined;

function pngSize(view: DataView): Size {
  if (view.byteLength < 33 || view.getUint32(12) !== 0x49484452) return undefined; // "IHDR"
  return { width: view.getUint32(16), height: view.getUint32(20) };
}

function gifSize(view: DataView): Size {
  if (view.byteLength < 13) return undefined;
  return { width: view.getUint16(6, true), height: view.getUint16(8, true) };
}

function webpSize(view: DataView, chunk: string): Size {
  if (chunk === "VP8 " && view.byteLength >= 30) {
    const width = view.getUint16(26, true) & 0x3fff;
    return { width, height: view.getUint16(28, true) & 0x3fff };
  }
  if (chunk === "VP8L" && view.byteLength >= 25) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1 };
  }
  if (chunk === "VP8X" && view.byteLength >= 30) {
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
  const type = sniff(bytes);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let size: Size;
  if (type === "PNG") size = pngSize(view);
  else if (type === "JPEG") size = readJpegFrame(bytes);
  else if (type === "GIF") size = gifSize(view);
  else if (type === "WebP") size = webpSize(view, latin1(bytes, 12, 16));
  else {
    throw new SyntaxError(
      `Cannot decode image "${name}": found ${type}, expected a PNG, JPEG, GIF or WebP file. ` +
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
