/**
 * TIFF files to pixels, called by image.ts: the first picture, as Pillow's `convert("RGB")` has it.
 *
 * geotiff gives the samples as they are in the file, which are turned into colours here; ImageMagick
 * reads those that are packed as a facsimile or as JPEG, or in light and colour, where libtiff is
 * not exact and Pillow shows what it makes of them. As in Pillow the file's orientation is applied.
 */
import { turned } from "./exif.ts";
import { cmykToRgb, decodeByMagick } from "./magick.ts";
import { RareKindError, type RgbImage, splitAlpha } from "./rgb_image.ts";
import { isPackedPlainly, readTiffTags, TAG } from "./tiff_tags.ts";

/** CCITT's facsimile codes and JPEG. */
const BY_MAGICK: readonly number[] = [2, 3, 4, 6, 7];

const WHITE_IS_ZERO = 0;
const PALETTE = 3;
const CMYK = 5;
const YCBCR = 6;
const LAB = 8;
/** What the sample after the colours is: alpha by which the colours are multiplied already, or not. */
const MULTIPLIED_ALPHA = 1;
const ALPHA = 2;

/** Strips or tiles: one a line and colour of the highest pictures; geotiff keeps a promise for each. */
const MOST_PARTS = 200_000;

type Samples = ArrayLike<number>;

/** The samples, `channels` for every pixel, as they are in the file, and the palette. */
async function readSamples(bytes: Uint8Array) {
  const { fromArrayBuffer } = await import("./tiff_packing.ts");
  const tiff = await fromArrayBuffer(bytes.slice().buffer);
  const image = await tiff.getImage(0);
  const [width, height] = [image.getTileWidth(), image.getTileHeight()];
  const parts = Math.ceil(image.getWidth() / width) * Math.ceil(image.getHeight() / height) *
    (image.planarConfiguration === 2 ? image.getSamplesPerPixel() : 1);
  if (!(parts >= 1 && parts <= MOST_PARTS)) {
    throw new SyntaxError(
      `strips or tiles of ${width}x${height} pixels, none or over ${MOST_PARTS}`,
    );
  }
  const samples = await image.readRasters({ interleave: true });
  const palette: Samples | undefined = image.fileDirectory.hasTag("ColorMap")
    ? await image.fileDirectory.loadValue("ColorMap")
    : undefined;
  return { samples: samples as unknown as Samples, palette };
}

/** A byte of a sample, as Pillow sees it: of 16 bits of colour the upper 8, of greys up to 255. */
function toByte(tags: Map<number, number>): (sample: number) => number {
  const bits = tags.get(TAG.bitsPerSample) ?? 1;
  const kind = tags.get(TAG.photometric) ?? 1;
  if (kind === PALETTE) return (sample) => sample;
  if (bits < 8) return (sample) => sample * 255 / (2 ** bits - 1);
  if (bits === 8) return (sample) => sample;
  if (kind > 1 || (tags.get(TAG.samplesPerPixel) ?? 1) > 1) return (sample) => sample >> 8;
  return (sample) => Math.max(0, Math.min(255, Math.trunc(sample)));
}

/** Light and colour to red, green and blue in place, in whole numbers as Pillow does it. */
function yCbCrToRgb(rgba: Uint8Array): void {
  const scaled = (factor: number, value: number) => Math.trunc(factor * (value - 128) * 64 + 0.5);
  const clipped = (value: number) => Math.max(0, Math.min(255, value));
  for (let i = 0; i < rgba.length; i += 4) {
    const [y = 0, cb = 0, cr = 0] = rgba.subarray(i, i + 3);
    rgba[i] = clipped(y + (scaled(1.402, cr) >> 6));
    rgba[i + 1] = clipped(y + ((scaled(-0.34414, cb) + scaled(-0.71414, cr)) >> 6));
    rgba[i + 2] = clipped(y + (scaled(1.772, cb) >> 6));
  }
}

/** Colours that were multiplied by their alpha, divided by it in place. */
function divideByAlpha(rgba: Uint8Array): void {
  for (let i = 0; i < rgba.length; i++) {
    const alpha = rgba[i | 3] ?? 0;
    if ((i & 3) < 3 && alpha !== 0) {
      rgba[i] = Math.min(255, Math.trunc(255 * (rgba[i] ?? 0) / alpha));
    }
  }
}

/** The samples as red, green, blue and alpha. */
function toRgba(
  samples: Samples,
  palette: Samples | undefined,
  tags: Map<number, number>,
): Uint8Array<ArrayBuffer> {
  const channels = tags.get(TAG.samplesPerPixel) ?? 1;
  const pixels = samples.length / channels;
  const kind = tags.get(TAG.photometric) ?? 1;
  const colours = { [CMYK]: 4, [PALETTE]: 1, [WHITE_IS_ZERO]: 1, 1: 1 }[kind] ?? 3;
  const byte = toByte(tags);
  const bits = tags.get(TAG.bitsPerSample) ?? 1;
  const isInverted = kind === WHITE_IS_ZERO && bits <= 8;
  const extra = tags.get(TAG.extraSamples) ?? (channels === 4 && colours === 3 ? ALPHA : 0);
  const hasAlpha = channels > colours && (extra === ALPHA || extra === MULTIPLIED_ALPHA);
  const rgba = new Uint8Array(4 * pixels).fill(255);
  for (let pixel = 0; pixel < pixels; pixel++) {
    const from = pixel * channels, to = 4 * pixel;
    for (let c = 0; c < Math.max(3, colours); c++) {
      const sample = samples[from + Math.min(c, colours - 1)] ?? 0;
      // The palette has all reds first, of 16 bits each.
      if (kind === PALETTE) rgba[to + c] = (palette?.[c * 2 ** bits + sample] ?? 0) >> 8;
      else rgba[to + c] = isInverted ? 255 - byte(sample) : byte(sample);
    }
    if (hasAlpha) rgba[to + 3] = byte(samples[from + colours] ?? 0);
  }
  if (kind === CMYK) cmykToRgb(rgba, pixels);
  if (kind === YCBCR) yCbCrToRgb(rgba);
  if (hasAlpha && extra === MULTIPLIED_ALPHA) divideByAlpha(rgba);
  return rgba;
}

/**
 * Decodes a TIFF file's first picture.
 *
 * @param bytes the whole file
 * @returns a picture of (height, width, 3) bytes, with its alpha
 * @throws {SyntaxError} saying what was found, when the file is damaged
 * @throws {RareKindError} when it is of a kind that is not read
 */
export async function decodeTiff(bytes: Uint8Array): Promise<RgbImage> {
  const tags = readTiffTags(bytes);
  const packing = tags.get(TAG.compression) ?? 1;
  if (tags.get(TAG.photometric) === LAB) throw new RareKindError("colours of the CIE Lab space");
  if (!isPackedPlainly(tags) && !BY_MAGICK.includes(packing)) {
    throw new RareKindError(`pixels packed in the way of number ${packing}`);
  }
  const bits = tags.get(TAG.bitsPerSample) ?? 1;
  if (bits > 16 && (tags.get(TAG.photometric) ?? 1) > 1) {
    throw new RareKindError(`${bits} bits a colour`);
  }
  const orientation = tags.get(TAG.orientation) ?? 1;
  const isPackedYCbCr = tags.get(TAG.photometric) === YCBCR && packing !== 1;
  if (BY_MAGICK.includes(packing) || isPackedYCbCr || !tags.has(TAG.bitsPerSample)) {
    return turned(await decodeByMagick(bytes, "TIFF"), orientation);
  }
  const { samples, palette } = await readSamples(bytes);
  const size = { width: tags.get(TAG.width) ?? 0, height: tags.get(TAG.height) ?? 0 };
  return turned(splitAlpha(toRgba(samples, palette, tags), size), orientation);
}
