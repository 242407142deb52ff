// Pixel shuffle, float64: f x f neighbouring patches become one token of f² times the width.
// Source: nanoVLM v0.1 models/modality_projector.py, pixel_shuffle.

import { expectLength, rowCount } from "./arrays.ts";

/** N patches (a square number) of width C, gathered f by f. */
export interface PixelShuffleOptions {
  N: number;
  C: number;
  factor: number;
}

/**
 * x (B, N, C) -> (B, N / f², C f²); token (row, column), channel (row in block, column in block, c).
 *
 * @throws {TypeError} when x does not hold whole images.
 * @throws {RangeError} when N is no square or its root no multiple of the factor.
 */
export function pixelShuffle(
  { x }: { x: Float64Array },
  options: PixelShuffleOptions,
): Float64Array {
  return Float64Array.from(sourceIndices(x, options), (index) => x[index]!);
}

/**
 * dx (B, N, C) of {@linkcode pixelShuffle}, given dy (B, N / f², C f²): the inverse permutation.
 *
 * @throws {TypeError} when a length does not fit the options.
 * @throws {RangeError} when N is no square or its root no multiple of the factor.
 */
export function pixelShuffleBackward(
  { x }: { x: Float64Array },
  dy: Float64Array,
  options: PixelShuffleOptions,
): { dx: Float64Array } {
  expectLength("dy", dy, x.length);
  const dx = new Float64Array(x.length);
  sourceIndices(x, options).forEach((index, i) => dx[index] = dy[i]!);
  return { dx };
}

/** For every element of the result, in order, its index in x. */
function sourceIndices(
  x: Float64Array,
  { N, C, factor }: PixelShuffleOptions,
): number[] {
  const side = Math.sqrt(N);
  const B = rowCount("x", x, N * C);
  if (!Number.isInteger(side) || side % factor !== 0) {
    throw new RangeError(
      `Cannot shuffle ${N} patches by ${factor}: found a side of ${side}, expected a multiple of ` +
        `${factor}. Change the image size, the patch size or the factor.`,
    );
  }
  const indices: number[] = [];
  for (let b = 0; b < B; b++) {
    for (let row = 0; row < side; row += factor) {
      for (let column = 0; column < side; column += factor) {
        for (let y = row; y < row + factor; y++) {
          for (let x = column; x < column + factor; x++) {
            for (let c = 0; c < C; c++) {
              indices.push((b * N + y * side + x) * C + c);
            }
          }
        }
      }
    }
  }
  return indices;
}
