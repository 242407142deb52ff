/**
 * What a JPEG file says of itself before its first scan, and how many scans it has, without
 * decoding. Used by image_header.ts for the size, by exif.ts, and by jpeg.ts to choose and to refuse.
 *
 * Source: ITU-T T.81, annex B.
 */

/** The frame header of a JPEG file. */
export interface JpegFrame {
  /** Pixels per line. */
  width: number;
  /** Lines. */
  height: number;
  /** Whether all of it is held in memory until the last scan. */
  progressive: boolean;
  /** Whether it is packed by arithmetic coding. */
  arithmetic: boolean;
  /** Of each colour component, how often it is sampled: across in the upper four bits, down in the lower. */
  sampling: number[];
}

/** A part of the file from after its length on. */
interface Segment {
  marker: number;
  data: Uint8Array;
}

/** Markers without a segment: 0x01, restarts, and the start of the image. */
function isBare(marker: number): boolean {
  return marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

/**
 * The segments in order, those of all scans among them. Bytes between segments, of which damaged
 * files and some cameras' have a few, are stepped over, as every decoder does.
 */
export function* jpegSegments(bytes: Uint8Array): Generator<Segment> {
  let at = 2;
  while ((at = bytes.indexOf(0xff, at)) >= 0 && at + 4 <= bytes.length) {
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xff) at += 1; // fill bytes may stand before a marker
    else if (marker === 0xd9) return;
    else if (marker === 0 || isBare(marker)) at += 2; // 0 follows an 0xff that is data
    else {
      const end = at + 2 + (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
      yield { marker, data: bytes.subarray(at + 4, end) };
      at = end;
    }
  }
}

/** Markers of frame headers: 0xc0 to 0xcf but for tables and an extension. */
function isFrameMarker(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/**
 * The frame header, or nothing where there is none before the first scan.
 *
 * @param bytes the whole file, or its beginning
 */
export function readJpegFrame(bytes: Uint8Array): JpegFrame | undefined {
  for (const { marker, data } of jpegSegments(bytes)) {
    if (marker === 0xda) return undefined;
    if (!isFrameMarker(marker)) continue;
    if (data.length < 6) return undefined;
    const [, high = 0, low = 0, wide = 0, narrow = 0, components = 0] = data;
    return {
      height: high * 256 + low,
      width: wide * 256 + narrow,
      progressive: (marker & 3) === 2,
      arithmetic: marker > 0xc8,
      sampling: Array.from({ length: components }, (_, i) => data[7 + 3 * i] ?? 0),
    };
  }
  return undefined;
}

/**
 * Whether MozJPEG reads it and gives Pillow's pixels: it refuses CMYK and arithmetic coding, and
 * enlarges colours differently unless they are sampled like the light, or half as often across,
 * or half as often both ways.
 */
export function isCommonJpeg({ arithmetic, sampling }: JpegFrame): boolean {
  if (arithmetic) return false;
  return sampling.length === 1 || ["17,17,17", "33,17,17", "34,17,17"].includes(sampling.join());
}

/** The number of scans; segments, such as a thumbnail's, are stepped over. */
export function countJpegScans(bytes: Uint8Array): number {
  let scans = 0;
  for (const { marker } of jpegSegments(bytes)) if (marker === 0xda) scans++;
  return scans;
}
