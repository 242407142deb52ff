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

/** For each output pixel: the first input pixel and the fixed-point weights from there on. */
interface Weights {
  first: number;
  values: Int32Array;
}

function triangle(x: number): number {
  return Math.max(0, 1 - Math.abs(x));
}

function computeWeights(inputPixels: number, outputPixels: number): Weights[] {
  const scale = inputPixels / outputPixels;
  const reach = Math.max(scale, 1); // the filter's support is 1 at scale 1
  const weights: Weights[] = [];
  for (let out = 0; out < outputPixels; out++) {
    const center = (out + 0.5) * scale;
    const first = Math.max(0, Math.trunc(center - reach + 0.5));
    const end = Math.min(inputPixels, Math.trunc(center + reach + 0.5));
    const inverse = 1 / reach;
    const exact = Float64Array.from(
      { length: end - first },
      (_, i) => triangle((i + first - center + 0.5) * inverse),
    );
    const sum = exact.reduce((total, weight) => total + weight, 0);
    const values = Int32Array.from(
      exact,
      (weight) => Math.trunc(0.5 + weight / sum * (1 << FRACTION_BITS)),
    );
    weights.push({ first, values });
  }
  return weights;
}

/** Applies weights along one axis of a picture; `step` is the distance of neighbours on it. */
function sumWeighted(
  data: Uint8Array,
  start: number,
  step: number,
  { first, values }: Weights,
): number {
  let sum = HALF;
  let at = start + first * step;
  for (let i = 0; i < values.length; i++, at += step) sum += (data[at] ?? 0) * (values[i] ?? 0);
  return Math.min(255, Math.max(0, sum >> FRACTION_BITS));
}

function resizeHorizontally(image: RgbImage, width: number): RgbImage {
  const weights = computeWeights(image.width, width);
  const data = new Uint8Array(image.height * width * 3); // (height, width, 3)
  let to = 0;
  for (let y = 0; y < image.height; y++) {
    const line = y * image.width * 3;
    for (const weight of weights) {
      for (let c = 0; c < 3; c++) data[to++] = sumWeighted(image.data, line + c, 3, weight);
    }
  }
  return { width, height: image.height, data };
}

function resizeVertically(image: RgbImage, height: number): RgbImage {
  const lineBytes = image.width * 3;
  const data = new Uint8Array(height * lineBytes); // (height, width, 3)
  let to = 0;
  for (const weight of computeWeights(image.height, height)) {
    for (let x = 0; x < lineBytes; x++) data[to++] = sumWeighted(image.data, x, lineBytes, weight);
  }
  return { width: image.width, height, data };
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
  if (result.height !== height) result = resizeVertically(result, height);
  return result;
}
