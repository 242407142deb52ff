/**
 * Resizing as Pillow does it, between decoding and the model: bit for bit the pixels that
 * nanoVLM v0.1 was trained on. No library at hand matches Pillow.
 *
 * Source: Pillow 9.4, src/libImaging/Resample.c (the triangle filter, widened by the scale when
 * shrinking, in fixed point with 22 fractional bits; horizontal pass first, bytes in between).
 */
import type { RgbImage } from "./rgb_image.ts";

const FRACTION_BITS = 22;
const HALF = 1 << (FRACTION_BITS - 1);

/** For each output pixel: the first input pixel, and the fixed-point weights from there on. */
interface Weights {
  /** (outputPixels) */
  readonly first: Int32Array;
  /** (outputPixels) */
  readonly count: Int32Array;
  /** (outputPixels, most) */
  readonly values: Int32Array;
  /** Room for the weights of one output pixel. */
  readonly most: number;
}

function triangle(x: number): number {
  return Math.max(0, 1 - Math.abs(x));
}

function computeWeights(inputPixels: number, outputPixels: number): Weights {
  const scale = inputPixels / outputPixels;
  const reach = Math.max(scale, 1); // the filter's support is 1 at scale 1
  const most = Math.ceil(reach) * 2 + 1;
  const first = new Int32Array(outputPixels);
  const count = new Int32Array(outputPixels);
  const values = new Int32Array(outputPixels * most);
  for (let out = 0; out < outputPixels; out++) {
    const center = (out + 0.5) * scale;
    const begin = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(inputPixels, Math.trunc(center + reach + 0.5));
    const inverse = 1 / reach;
    const exact = Float64Array.from(
      { length: end - begin },
      (_, i) => triangle((i + begin - center + 0.5) * inverse),
    );
    const sum = exact.reduce((total, weight) => total + weight, 0);
    first[out] = begin;
    count[out] = exact.length;
    exact.forEach((weight, i) => {
      values[out * most + i] = Math.trunc(0.5 + weight / sum * (1 << FRACTION_BITS));
    });
  }
  return { first, count, values, most };
}

// The passes are a third of what a sample costs, so their inner loops keep to 32-bit integers: no
// sum leaves them, for the weights are positive and add up to one, 1 << 22. What their rounding
// adds, the clamped arrays cut off.

function resizeHorizontally({ data: from, height, width: inputWidth }: RgbImage, width: number) {
  const { first, count, values, most } = computeWeights(inputWidth, width);
  const data = new Uint8ClampedArray(height * width * 3); // (height, width, 3)
  let to = 0;
  for (let y = 0; y < height; y++) {
    const line = y * inputWidth * 3;
    for (let x = 0; x < width; x++) {
      let red = HALF;
      let green = HALF;
      let blue = HALF;
      let at = line + (first[x] ?? 0) * 3;
      const end = x * most + (count[x] ?? 0);
      for (let i = x * most; i < end; i++, at += 3) {
        const weight = values[i] ?? 0;
        red = (red + (from[at] ?? 0) * weight) | 0;
        green = (green + (from[at + 1] ?? 0) * weight) | 0;
        blue = (blue + (from[at + 2] ?? 0) * weight) | 0;
      }
      data[to] = red >> FRACTION_BITS;
      data[to + 1] = green >> FRACTION_BITS;
      data[to + 2] = blue >> FRACTION_BITS;
      to += 3;
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

function resizeVertically({ data: from, width }: RgbImage, height: number, inputHeight: number) {
  const { first, count, values, most } = computeWeights(inputHeight, height);
  const lineBytes = width * 3;
  const data = new Uint8ClampedArray(height * lineBytes); // (height, width, 3)
  let to = 0;
  for (let y = 0; y < height; y++) {
    const begin = (first[y] ?? 0) * lineBytes;
    const end = y * most + (count[y] ?? 0);
    for (let x = 0; x < lineBytes; x++) {
      let sum = HALF;
      let at = begin + x;
      for (let i = y * most; i < end; i++, at += lineBytes) {
        sum = (sum + (from[at] ?? 0) * (values[i] ?? 0)) | 0;
      }
      data[to++] = sum >> FRACTION_BITS;
    }
  }
  return { width, height, data: new Uint8Array(data.buffer) };
}

/**
 * Resizes with Pillow's antialiased bilinear filter. A pass whose size does not change is skipped.
 *
 * @param image (height, width, 3) bytes; it is returned as it is when nothing changes
 * @param width pixels per line of the result
 * @param height lines of the result
 * @throws {RangeError} when a size is not a whole number from 1 on
 */
export function resize(image: RgbImage, width: number, height: number): RgbImage {
  if (!Number.isInteger(width) || !Number.isInteger(height) || width < 1 || height < 1) {
    throw new RangeError(
      `Cannot resize image: found target size "${width}x${height}", expected whole numbers from 1 on`,
    );
  }
  let result = image;
  if (result.width !== width) result = resizeHorizontally(result, width);
  if (result.height !== height) result = resizeVertically(result, height, result.height);
  return result;
}
