/**
 * What a file really is, by its first bytes and in words for a message, whatever its name says.
 * Used by every reader that meets a file of another kind, such as a page in place of a picture.
 */

/** How files begin, and what they are then. */
const SIGNATURES: readonly (readonly [string, string])[] = [
  ["\x89PNG\r\n\x1a\n", "a PNG file"],
  ["\xff\xd8\xff", "a JPEG file"],
  ["GIF87a", "a GIF file"],
  ["GIF89a", "a GIF file"],
  ["II*\0", "a TIFF file"],
  ["MM\0*", "a TIFF file"],
  ["II+\0", "a TIFF file"],
  ["MM\0+", "a TIFF file"],
  ["BM", "a BMP file"],
  ["%PDF", "a PDF file"],
  ["PK\x03\x04", "a ZIP archive"],
  ["\x1f\x8b", "a gzip file"],
  ["\x28\xb5\x2f\xfd", "a Zstandard file"],
  ["PAR1", "a Parquet file"],
  ["ARROW1", "an Arrow file"],
  ["FEA1", "a Feather file of version 1"],
  ["ORC", "an ORC file"],
  ["SQLite format 3\0", "an SQLite database"],
  ["\x89HDF\r\n", "an HDF5 file"],
  ["BZh", "a bzip2 file"],
  ["\xfd7zXZ\0", "an xz file"],
  ["7z\xbc\xaf", "a 7z archive"],
  ["\0\0\0\x0cjP  ", "a JPEG 2000 file"],
  ["\0\0\0\x0cJXL ", "a JPEG XL file"],
  ["\xff\x0a", "a JPEG XL file"],
];

function latin1(bytes: Uint8Array, start: number, end: number): string {
  return String.fromCharCode(...bytes.subarray(start, end));
}

function isText(bytes: Uint8Array): boolean {
  try {
    const text = new TextDecoder("utf-8", { fatal: true }).decode(bytes.subarray(0, 512), {
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
  if (/^\s*(<!--.*?-->\s*)?<(!doctype html|html|head|body)/is.test(start)) return "an HTML page";
  if (start.startsWith("version https://git-lfs")) return "a pointer to a file in Git LFS";
  return "a text file";
}

/**
 * What a file is, in words such as "a PNG file", "an HTML page" or "a pointer to a file in Git
 * LFS", and "an unknown file that begins with the bytes …" where nothing is known.
 *
 * @param bytes the file, or at least its first 512 bytes
 */
export function whatIs(bytes: Uint8Array): string {
  if (bytes.length === 0) return "an empty file";
  const start = latin1(bytes, 0, 16);
  if (start.startsWith("RIFF") && start.slice(8, 12) === "WEBP") return "a WebP file";
  if (start.slice(4, 8) === "ftyp") return mediaFile(start.slice(8, 12));
  const known = SIGNATURES.find(([signature]) => start.startsWith(signature));
  // Two or three letters may also begin a text.
  if (known && (known[0].length > 3 || !isText(bytes))) return known[1];
  if (isText(bytes)) return textFile(latin1(bytes, 0, 512).replace(/^\xef\xbb\xbf/, ""));
  const hex = [...bytes.subarray(0, 8)].map((b) => b.toString(16).padStart(2, "0")).join(" ");
  return `an unknown file that begins with the bytes ${hex}`;
}
