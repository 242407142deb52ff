/**
 * Turns a picture as its camera was held: the EXIF orientation in JPEG, PNG and WebP files, as
 * Hugging Face `datasets` applies it (Pillow's `ImageOps.exif_transpose`). Used by image.ts.
 *
 * Source: EXIF 2.32, section 4.6.4 (tag 274).
 */
import type { ImageType } from "./image_header.ts";
import { jpegSegments } from "./jpeg_header.ts";
import { readChunks } from "./png.ts";
import type { RgbImage } from "./rgb_image.ts";
import { readTiffTags, TAG } from "./tiff_tags.ts";
import { riffChunks } from "./webp.ts";

/** A blob of metadata: a small TIFF file without a picture, or XML. */
interface Metadata {
  exif?: Uint8Array | undefined;
  xmp?: Uint8Array | undefined;
}

function startsWith(bytes: Uint8Array, text: string): boolean {
  return [...text].every((letter, i) => bytes[i] === letter.charCodeAt(0));
}

function ofJpeg(bytes: Uint8Array): Metadata {
  const found: Metadata = {};
  const xmp = "http://ns.adobe.com/xap/1.0/\0";
  for (const { marker, data } of jpegSegments(bytes)) {
    if (marker === 0xda) break;
    if (marker !== 0xe1) continue;
    if (startsWith(data, "Exif\0\0")) found.exif ??= data.subarray(6);
    else if (startsWith(data, xmp)) found.xmp ??= data.subarray(xmp.length);
  }
  return found;
}

function ofPng(bytes: Uint8Array): Metadata {
  const found: Metadata = {};
  for (const { type, data } of readChunks(bytes)) {
    if (type === "eXIf") found.exif = data;
    else if (type === "iTXt" && startsWith(data, "XML:com.adobe.xmp\0")) found.xmp = data;
  }
  return found;
}

function ofWebp(bytes: Uint8Array): Metadata {
  const found: Metadata = {};
  for (const { type, data } of riffChunks(bytes, 12)) {
    if (type === "EXIF") found.exif = startsWith(data, "Exif\0\0") ? data.subarray(6) : data;
    else if (type === "XMP ") found.xmp = data;
  }
  return found;
}

/** The orientation that EXIF data have, 0 where they have none or are damaged. */
function orientationTag(exif: Uint8Array): number {
  try {
    return readTiffTags(exif).get(TAG.orientation) ?? 0;
  } catch {
    return 0; // as in Pillow damage beside the picture is none of the picture
  }
}

/**
 * How the picture lies in the file, from 1 (upright) to 8; 1 also where the file does not say.
 *
 * @param bytes the whole file
 */
export function orientationOf(bytes: Uint8Array, type: ImageType): number {
  const readers: Partial<Record<ImageType, (bytes: Uint8Array) => Metadata>> = {
    JPEG: ofJpeg,
    PNG: ofPng,
    WebP: ofWebp,
  };
  const { exif, xmp } = readers[type]?.(bytes) ?? {};
  const value = exif ? orientationTag(exif) : 0;
  if (value !== 0 || !xmp) return value;
  const found = /tiff:Orientation(?:="|>)([0-9])/.exec(new TextDecoder("latin1").decode(xmp));
  return Number(found?.[1] ?? 1);
}

/** Moves the `channels` bytes of every pixel to where they belong. */
function moved(bytes: Uint8Array, channels: number, move: (pixel: number) => number): Uint8Array {
  const result = new Uint8Array(bytes.length);
  for (let to = 0; to < bytes.length / channels; to++) {
    const from = move(to) * channels;
    for (let c = 0; c < channels; c++) result[to * channels + c] = bytes[from + c] ?? 0;
  }
  return result;
}

/**
 * The picture upright.
 *
 * @param orientation from 2 to 8; any other number leaves the picture as it is
 */
export function turned(image: RgbImage, orientation: number): RgbImage {
  if (!(orientation >= 2 && orientation <= 8)) return image;
  const { width, height } = image;
  const isLying = orientation >= 5; // lines become columns
  const across = isLying ? height : width;
  const fromRight = [2, 3, 7, 8].includes(orientation);
  const fromBelow = [3, 4, 6, 7].includes(orientation);
  const move = (pixel: number) => {
    const column = pixel % across, line = (pixel - column) / across;
    const [x, y] = isLying ? [line, column] : [column, line];
    return (fromBelow ? height - 1 - y : y) * width + (fromRight ? width - 1 - x : x);
  };
  return {
    width: across,
    height: isLying ? width : height,
    data: moved(image.data, 3, move),
    ...(image.alpha ? { alpha: moved(image.alpha, 1, move) } : {}),
  };
}
