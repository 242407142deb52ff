/**
 * What kind of file some bytes are and how large a picture they declare, without decoding.
 * Used by image.ts, so that a wrong or oversized file is refused before any memory is spent.
 *
 * Source: the PNG (3rd edition), JPEG (T.81 annex B), GIF89a, WebP (RFC 9649) and TIFF 6.0
 * specifications; of BMP the headers of OS/2 and Windows; of HEIC and AVIF ISO 23008-12.
 */

import { whatIs } from "./file_kind.ts";
import { gifSize } from "./gif.ts";
import { isCommonJpeg, readJpegFrame } from "./jpeg_header.ts";
import { isPackedPlainly, readTiffTags, TAG } from "./tiff_tags.ts";

/** The file types that `decodeImage()` reads. */
export type ImageType = "PNG" | "JPEG" | "GIF" | "WebP" | "TIFF" | "BMP" | "HEIC" | "AVIF";

interface Size {
  /** Pixels per line. */
  width: number;
  /** Lines. */
  height: number;
  /** Memory that decoding takes for each pixel, at most. */
  bytesPerPixel: number;
}

/** Type and declared size of a picture file. */
export interface ImageHeader extends Size {
  /** From the first bytes, whatever the name says. */
  type: ImageType;
}

/** The decoder's pixels with alpha, and a copy of them. */
const TWO_COPIES = 8;
/** What ImageMagick takes, as measured: its pixels, those handed over, and ours. */
const MAGICK = 16;

function pngSize(view: DataView): Size | undefined {
  if (view.byteLength < 33 || view.getUint32(12) !== 0x49484452) return undefined; // "IHDR"
  const channels = [1, 0, 3, 1, 2, 0, 4][view.getUint8(25)] ?? 4;
  const filtered = channels * view.getUint8(24) / 8;
  return {
    width: view.getUint32(16),
    height: view.getUint32(20),
    bytesPerPixel: filtered + 3 + (channels % 2 === 0 ? 1 : 0),
  };
}

function jpegSize(_: DataView, bytes: Uint8Array): Size | undefined {
  const frame = readJpegFrame(bytes);
  if (!frame) return undefined;
  const { width, height, progressive, sampling } = frame;
  const whole = progressive ? 2 * sampling.length : 0;
  return { width, height, bytesPerPixel: (isCommonJpeg(frame) ? TWO_COPIES : MAGICK) + whole };
}

function webpSize(view: DataView): Size | undefined {
  const chunk = view.byteLength >= 16 ? view.getUint32(12) : 0;
  const bytesPerPixel = TWO_COPIES + 4;
  if (chunk === 0x56503820 /* "VP8 " */ && view.byteLength >= 30) {
    const width = view.getUint16(26, true) & 0x3fff;
    return { width, height: view.getUint16(28, true) & 0x3fff, bytesPerPixel };
  }
  if (chunk === 0x5650384c /* "VP8L" */ && view.byteLength >= 25) {
    const bits = view.getUint32(21, true);
    return { width: (bits & 0x3fff) + 1, height: ((bits >>> 14) & 0x3fff) + 1, bytesPerPixel };
  }
  if (chunk === 0x56503858 /* "VP8X" */ && view.byteLength >= 30) {
    const width = (view.getUint32(24, true) & 0xffffff) + 1;
    return { width, height: (view.getUint32(26, true) >>> 8) + 1, bytesPerPixel };
  }
  return undefined;
}

function tiffSize(_: DataView, bytes: Uint8Array): Size {
  const tags = readTiffTags(bytes);
  const samples = (tags.get(TAG.samplesPerPixel) ?? 1) * (tags.get(TAG.bitsPerSample) ?? 1) / 8;
  return {
    width: tags.get(TAG.width) ?? 0,
    height: tags.get(TAG.height) ?? 0,
    bytesPerPixel: isPackedPlainly(tags) ? 2 * samples + TWO_COPIES : MAGICK,
  };
}

function bmpSize(view: DataView): Size | undefined {
  const bytesPerPixel = MAGICK;
  if (view.byteLength < 26) return undefined;
  if (view.getUint32(14, true) === 12) {
    return { width: view.getUint16(18, true), height: view.getUint16(20, true), bytesPerPixel };
  }
  // Lines from above are told by a negative height.
  const height = Math.abs(view.getInt32(22, true));
  return { width: view.getUint32(18, true), height, bytesPerPixel };
}

/** The largest of the pictures in a file, which the others are tiles or previews of. */
function heifSize(view: DataView, bytes: Uint8Array): Size | undefined {
  const sizes: Size[] = [];
  for (let at = bytes.indexOf(0x69); at >= 0; at = bytes.indexOf(0x69, at + 1)) {
    if (at + 16 > bytes.length || view.getUint32(at) !== 0x69737065 /* "ispe" */) continue;
    const [width, height] = [view.getUint32(at + 8), view.getUint32(at + 12)];
    sizes.push({ width, height, bytesPerPixel: MAGICK });
  }
  return sizes.sort((a, b) => b.width * b.height - a.width * a.height)[0];
}

type SizeReader = (view: DataView, bytes: Uint8Array) => Size | undefined;

/** The types by what whatIs() calls them. */
const TYPES: Readonly<Record<string, [ImageType, SizeReader]>> = {
  "a PNG file": ["PNG", pngSize],
  "a JPEG file": ["JPEG", jpegSize],
  "a GIF file": ["GIF", (_, bytes) => ({ ...gifSize(bytes), bytesPerPixel: TWO_COPIES + 6 })],
  "a WebP file": ["WebP", webpSize],
  "a TIFF file": ["TIFF", tiffSize],
  "a BMP file": ["BMP", bmpSize],
  "a HEIC file": ["HEIC", heifSize],
  "an AVIF file": ["AVIF", heifSize],
};

/** What to do about a file of another kind, in the words of whatIs(). */
function remedyFor(kind: string): string {
  if (kind.includes("Git LFS")) return "Fetch the file that it stands for by: git lfs pull";
  const isPicture = /SVG|PDF|JPEG|unknown/.test(kind);
  return isPicture
    ? "Convert it to one of these, such as by: magick FILE FILE.png"
    : "Fetch it again, or leave it out.";
}

/**
 * Reads type and declared size from a picture file's first bytes.
 *
 * @param bytes the whole file, or at least its headers
 * @param name what to call the file in messages
 * @throws {SyntaxError} when the file is of another type, or its header is damaged or cut short
 */
export function readImageHeader(bytes: Uint8Array, name: string): ImageHeader {
  const kind = whatIs(bytes);
  const known = TYPES[kind];
  if (!known) {
    throw new SyntaxError(
      `Cannot decode image "${name}": found ${kind}, expected a PNG, JPEG, GIF, WebP, TIFF, ` +
        `BMP, HEIC or AVIF file. ${remedyFor(kind)}`,
    );
  }
  const [type, readSize] = known;
  let found = `${kind} of ${bytes.length} bytes without a readable size in its header`;
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const size = readSize(view, bytes);
    if (size) return { type, ...size };
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    found = error.message;
  }
  throw new SyntaxError(
    `Cannot decode image "${name}": found ${found}, expected a whole ${type} file. ` +
      `The file is damaged or cut short.`,
  );
}
