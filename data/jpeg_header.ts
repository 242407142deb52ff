/**
 * What a JPEG file says of itself before its first scan, and how many scans it has, without
 * decoding. Used by image_header.ts for the size and by jpeg.ts to choose and to refuse.
 *
 * Source: ITU-T T.81, annex B.
 */

/** The frame header of a JPEG file. */
export interface JpegFrame {
  /** Pixels per line. */
  width: number;
  /** Lines. */
  height: number;
  /** Colour components: 1, 3, or 4 for CMYK. */
  components: number;
}

/** Markers of frame headers: 0xc0 to 0xcf but for tables and an extension. */
function isFrameMarker(marker: number): boolean {
  return marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker);
}

/** Markers without a segment: 0x01, restarts, and the start of the image. */
function isBare(marker: number): boolean {
  return marker === 0x01 || (marker >= 0xd0 && marker <= 0xd8);
}

/**
 * The frame header, or nothing where there is none before the first scan.
 *
 * @param bytes the whole file, or its beginning
 */
export function readJpegFrame(bytes: Uint8Array): JpegFrame | undefined {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 2;
  while (at + 10 <= view.byteLength) {
    if (view.getUint8(at) !== 0xff) return undefined;
    const marker = view.getUint8(at + 1);
    if (marker === 0xff) at += 1; // fill bytes may stand before a marker
    else if (isBare(marker)) at += 2;
    else if (marker === 0xd9 || marker === 0xda) return undefined;
    else if (isFrameMarker(marker)) {
      return {
        height: view.getUint16(at + 5),
        width: view.getUint16(at + 7),
        components: view.getUint8(at + 9),
      };
    } else at += 2 + view.getUint16(at + 2);
  }
  return undefined;
}

/** The number of scans; segments, such as a thumbnail's, are stepped over. */
export function countJpegScans(bytes: Uint8Array): number {
  let scans = 0;
  let at = 2;
  while ((at = bytes.indexOf(0xff, at)) >= 0 && at + 4 <= bytes.length) {
    const marker = bytes[at + 1] ?? 0;
    if (marker === 0xff) at += 1;
    else if (marker === 0xd9) break;
    else if (marker === 0 || isBare(marker)) at += 2; // 0 follows an 0xff that is data
    else {
      if (marker === 0xda) scans++;
      at += 2 + (bytes[at + 2] ?? 0) * 256 + (bytes[at + 3] ?? 0);
    }
  }
  return scans;
}
