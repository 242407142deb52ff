/**
 * The tags of a TIFF file's first directory, of which EXIF is one as well. Used by exif.ts for the
 * orientation and by image_header.ts and tiff.ts for what a picture is like.
 *
 * Source: TIFF 6.0, section 2; for large files BigTIFF by libtiff.
 */

/** Tags that are looked at. */
export const TAG = {
  width: 256,
  height: 257,
  bitsPerSample: 258,
  compression: 259,
  photometric: 262,
  orientation: 274,
  samplesPerPixel: 277,
  extraSamples: 338,
  sampleFormat: 339,
} as const;

/**
 * Every tag's first value, where it is a whole number.
 *
 * @param tiff the whole file, or its beginning
 */
export function readTiffTags(tiff: Uint8Array): Map<number, number> {
  const tags = new Map<number, number>();
  const view = new DataView(tiff.buffer, tiff.byteOffset, tiff.byteLength);
  const little = tiff[0] === 0x49; // "II", otherwise "MM"
  const number = (at: number, bytes: number): number => {
    if (at + bytes > tiff.length) throw new SyntaxError("a TIFF directory that is cut short");
    if (bytes === 8) return Number(view.getBigUint64(at, little));
    if (bytes === 4) return view.getUint32(at, little);
    return bytes === 2 ? view.getUint16(at, little) : view.getUint8(at);
  };
  const isBig = number(2, 2) === 43;
  const offset = isBig ? 8 : 4;
  const directory = number(isBig ? 8 : 4, offset);
  const entries = number(directory, isBig ? 8 : 2);
  for (let i = 0; i < entries; i++) {
    const at = directory + (isBig ? 8 : 2) + i * (4 + 2 * offset);
    const bytes = { 1: 1, 3: 2, 4: 4, 16: 8 }[number(at + 2, 2)];
    if (bytes === undefined) continue;
    const isHere = number(at + 4, offset) * bytes <= offset;
    const place = at + 4 + offset;
    tags.set(number(at, 2), number(isHere ? place : number(place, offset), bytes));
  }
  return tags;
}

/** None, LZW, Deflate in two ways of saying it, PackBits, Zstandard. */
const PLAIN_PACKINGS: readonly number[] = [1, 5, 8, 32946, 32773, 50000];

/** Whether the samples are packed as they are, not as a facsimile or a JPEG file. */
export function isPackedPlainly(tags: ReadonlyMap<number, number>): boolean {
  return PLAIN_PACKINGS.includes(tags.get(TAG.compression) ?? 1);
}
