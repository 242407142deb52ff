// RMSNorm over the last axis, float64: the decoder's norm.
// Source: nanoVLM v0.1 models/language_model.py, RMSNorm; Zhang and Sennrich 2019.

import { expectLength, magnitudes, rowCount } from "./arrays.ts";

/** x (rows, C), weight (C). */
export interface RmsNormInputs {
  x: Float64Array;
  weight: Float64Array;
}

/** Width C and the epsilon added to the mean square, inside the square root. */
export interface RmsNormOptions {
  C: number;
  epsilon: number;
}

/** Gradients of {@linkcode RmsNormInputs}, the same shapes. */
export interface RmsNormGradients {
  dx: Float64Array;
  dweight: Float64Array;
}

/**
 * y = x / sqrt(mean(x²) + epsilon) · weight, row by row: (rows, C).
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function rmsNorm(
  { x, weight }: RmsNormInputs,
  options: RmsNormOptions,
): Float64Array {
  const { C, epsilon } = options;
  rowCount("x", x, C);
  expectLength("weight", weight, C);
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    const inverse = inverseRms(x.subarray(start, start + C), epsilon);
    for (let c = 0; c < C; c++) {
      y[start + c] = x[start + c]! * inverse * weight[c]!;
    }
  }
  return y;
}

/**
 * Gradients of {@linkcode rmsNorm}, given dy (rows, C): with g = dy · weight and n = x · inverse,
 * dx = inverse · (g - n · mean(g · n)).
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function rmsNormBackward(
  inputs: RmsNormInputs,
  dy: Float64Array,
  options: RmsNormOptions,
): RmsNormGradients {
  return gradients(inputs, dy, { ...options, sign: -1 });
}

/**
 * Σ|terms| of {@linkcode rmsNorm}, K = C for the bound: |y|, since the mean square adds only
 * positive terms.
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function rmsNormAbs(
  inputs: RmsNormInputs,
  options: RmsNormOptions,
): Float64Array {
  return magnitudes(rmsNorm(inputs, options));
}

/**
 * Σ|terms| of {@linkcode rmsNormBackward}: its formula with every term positive. K for the bound: C
 * for dx, the larger of C and rows for dweight.
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function rmsNormBackwardAbs(
  { x, weight }: RmsNormInputs,
  dy: Float64Array,
  options: RmsNormOptions,
): RmsNormGradients {
  const unsigned = { x: magnitudes(x), weight: magnitudes(weight) };
  return gradients(unsigned, magnitudes(dy), { ...options, sign: 1 });
}

/** dx = inverse · (g + sign · n · mean(g · n)), dweight = Σ over rows of dy · n. */
function gradients(
  { x, weight }: RmsNormInputs,
  dy: Float64Array,
  { C, epsilon, sign }: RmsNormOptions & { sign: number },
): RmsNormGradients {
  rowCount("x", x, C);
  expectLength("weight", weight, C);
  expectLength("dy", dy, x.length);
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(C);
  for (let start = 0; start < x.length; start += C) {
    const inverse = inverseRms(x.subarray(start, start + C), epsilon);
    let meanGN = 0;
    for (let c = 0; c < C; c++) {
      const n = x[start + c]! * inverse;
      dweight[c]! += dy[start + c]! * n;
      meanGN += dy[start + c]! * weight[c]! * n / C;
    }
    for (let c = 0; c < C; c++) {
      const n = x[start + c]! * inverse;
      dx[start + c] = inverse *
        (dy[start + c]! * weight[c]! + sign * n * meanGN);
    }
  }
  return { dx, dweight };
}

function inverseRms(row: Float64Array, epsilon: number): number {
  let meanSquare = 0;
  for (const value of row) meanSquare += value * value / row.length;
  return 1 / Math.sqrt(meanSquare + epsilon);
}
