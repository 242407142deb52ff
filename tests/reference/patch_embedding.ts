// Patch embedding, float64: images to patch vectors plus learned positions, the model's first step.
// Source: nanoVLM v0.1 models/vision_transformer.py, ViTPatchEmbeddings (without class token).

import { expectLength, rowCount } from "./arrays.ts";
import { linear, linearAbs, linearBackward, linearBackwardAbs } from "./linear.ts";

const CHANNELS = 3;

/** images (B, 3, S, S), weight (C, 3, p, p), bias (C), position (N, C), N = floor(S / p)². */
export interface PatchEmbeddingInputs {
  images: Float64Array;
  weight: Float64Array;
  bias: Float64Array;
  position: Float64Array;
}

/** S and p in pixels, and the width C. */
export interface PatchEmbeddingOptions {
  imagePixels: number;
  patchPixels: number;
  C: number;
}

/** Gradients of {@linkcode PatchEmbeddingInputs}, the same shapes. */
export interface PatchEmbeddingGradients {
  dimages: Float64Array;
  dweight: Float64Array;
  dbias: Float64Array;
  dposition: Float64Array;
}

/**
 * y[b, n] = weight · patch n of image b + bias + position[n]; patches in row-major order: (B, N, C).
 *
 * @throws {TypeError} when a length does not fit the options.
 */
export function patchEmbedding(
  inputs: PatchEmbeddingInputs,
  options: PatchEmbeddingOptions,
): Float64Array {
  return linear(asLinear(inputs, options), linearOptions(options));
}

/**
 * Gradients of {@linkcode patchEmbedding}, given dy (B, N, C). Pixels that no patch covers get 0.
 *
 * @throws {TypeError} when a length does not fit the options.
 */
export function patchEmbeddingBackward(
  inputs: PatchEmbeddingInputs,
  dy: Float64Array,
  options: PatchEmbeddingOptions,
): PatchEmbeddingGradients {
  const gradients = linearBackward(
    asLinear(inputs, options),
    dy,
    linearOptions(options),
  );
  return toPatchGradients(inputs, gradients, options);
}

/**
 * Σ|terms| of every element of {@linkcode patchEmbedding}, for `matmulBound(3 p², …)`.
 *
 * @throws {TypeError} when a length does not fit the options.
 */
export function patchEmbeddingAbs(
  inputs: PatchEmbeddingInputs,
  options: PatchEmbeddingOptions,
): Float64Array {
  return linearAbs(asLinear(inputs, options), linearOptions(options));
}

/**
 * Σ|terms| of {@linkcode patchEmbeddingBackward}. K for the bound: B N for dweight and dbias, C for
 * dimages, B for dposition.
 *
 * @throws {TypeError} when a length does not fit the options.
 */
export function patchEmbeddingBackwardAbs(
  inputs: PatchEmbeddingInputs,
  dy: Float64Array,
  options: PatchEmbeddingOptions,
): PatchEmbeddingGradients {
  const gradients = linearBackwardAbs(
    asLinear(inputs, options),
    dy,
    linearOptions(options),
  );
  return toPatchGradients(inputs, gradients, options);
}

/** For every element of the patch matrix (B N, 3 p p), in order, its index in images. */
function pixelIndices(
  { images }: PatchEmbeddingInputs,
  options: PatchEmbeddingOptions,
): number[] {
  const { imagePixels: S, patchPixels: p } = options;
  const B = rowCount("images", images, CHANNELS * S * S);
  const grid = Math.floor(S / p);
  const indices: number[] = [];
  for (let b = 0; b < B; b++) {
    for (let n = 0; n < grid * grid; n++) {
      const top = Math.floor(n / grid) * p;
      const left = (n % grid) * p;
      for (let c = 0; c < CHANNELS; c++) {
        for (let y = top; y < top + p; y++) {
          for (let x = left; x < left + p; x++) {
            indices.push(((b * CHANNELS + c) * S + y) * S + x);
          }
        }
      }
    }
  }
  return indices;
}

function linearOptions({ patchPixels, C }: PatchEmbeddingOptions) {
  return { inFeatures: CHANNELS * patchPixels * patchPixels, outFeatures: C };
}

/** The convolution as a product: patches (B N, 3 p p) times weight, the positions as residual. */
function asLinear(
  inputs: PatchEmbeddingInputs,
  options: PatchEmbeddingOptions,
) {
  const { images, weight, bias, position } = inputs;
  const N = Math.floor(options.imagePixels / options.patchPixels) ** 2;
  expectLength("position", position, N * options.C);
  const x = Float64Array.from(
    pixelIndices(inputs, options),
    (index) => images[index]!,
  );
  const B = images.length / (CHANNELS * options.imagePixels ** 2);
  const residual = new Float64Array(B * position.length);
  for (let b = 0; b < B; b++) residual.set(position, b * position.length);
  return { x, weight, bias, residual };
}

function toPatchGradients(
  inputs: PatchEmbeddingInputs,
  gradients: ReturnType<typeof linearBackward>,
  options: PatchEmbeddingOptions,
): PatchEmbeddingGradients {
  const { dx, dweight, dbias, dresidual } = gradients;
  const dimages = new Float64Array(inputs.images.length);
  pixelIndices(inputs, options).forEach((index, i) => dimages[index]! += dx[i]!);
  const dposition = new Float64Array(inputs.position.length);
  dresidual.forEach((d, i) => dposition[i % dposition.length]! += d);
  return { dimages, dweight, dbias, dposition };
}
