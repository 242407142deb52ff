// LayerNorm over the last axis, float64: the vision encoder's norm.
// Source: torch.nn.LayerNorm as in nanoVLM v0.1 models/vision_transformer.py; Ba et al. 2016.

import { expectLength, rowCount } from "./arrays.ts";

/** x (rows, C), weight (C), bias (C). */
export interface LayerNormInputs {
  x: Float64Array;
  weight: Float64Array;
  bias: Float64Array;
}

/** Width C and the epsilon added to the variance, inside the square root. */
export interface LayerNormOptions {
  C: number;
  epsilon: number;
}

/** Gradients of {@linkcode LayerNormInputs}, the same shapes. */
export interface LayerNormGradients {
  dx: Float64Array;
  dweight: Float64Array;
  dbias: Float64Array;
}

/**
 * y = (x - mean) / sqrt(variance + epsilon) · weight + bias, row by row: (rows, C); the variance
 * divides by C.
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function layerNorm(
  inputs: LayerNormInputs,
  options: LayerNormOptions,
): Float64Array {
  const { x, weight, bias } = inputs;
  const { C } = options;
  checkShapes(inputs, C);
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    const { normalized } = normalize(
      x.subarray(start, start + C),
      options.epsilon,
    );
    for (let c = 0; c < C; c++) {
      y[start + c] = normalized[c]! * weight[c]! + bias[c]!;
    }
  }
  return y;
}

/**
 * Gradients of {@linkcode layerNorm}, given dy (rows, C): with g = dy · weight and n the normalized
 * row, dx = (g - mean(g) - n · mean(g · n)) / sqrt(variance + epsilon).
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function layerNormBackward(
  inputs: LayerNormInputs,
  dy: Float64Array,
  options: LayerNormOptions,
): LayerNormGradients {
  const { x, weight } = inputs;
  const { C } = options;
  checkShapes(inputs, C);
  expectLength("dy", dy, x.length);
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(C);
  const dbias = new Float64Array(C);
  for (let start = 0; start < x.length; start += C) {
    const { normalized, inverse } = normalize(
      x.subarray(start, start + C),
      options.epsilon,
    );
    let meanG = 0;
    let meanGN = 0;
    for (let c = 0; c < C; c++) {
      const d = dy[start + c]!;
      dweight[c]! += d * normalized[c]!;
      dbias[c]! += d;
      meanG += d * weight[c]! / C;
      meanGN += d * weight[c]! * normalized[c]! / C;
    }
    for (let c = 0; c < C; c++) {
      const g = dy[start + c]! * weight[c]!;
      dx[start + c] = inverse * (g - meanG - normalized[c]! * meanGN);
    }
  }
  return { dx, dweight, dbias };
}

/**
 * Σ|terms| of {@linkcode layerNorm}, K = C for the bound: (rows, C).
 *
 * With a = |x| + mean|x| bounding the terms of x - mean, the inverse deviation's relative error is at
 * most that of the variance by two, so at most inverse · rms(a) (Cauchy-Schwarz); the normalized row's
 * error is then at most inverse · (a + |n| rms(a)).
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function layerNormAbs(
  inputs: LayerNormInputs,
  options: LayerNormOptions,
): Float64Array {
  const { x, weight, bias } = inputs;
  const { C } = options;
  checkShapes(inputs, C);
  const y = new Float64Array(x.length);
  for (let start = 0; start < x.length; start += C) {
    const { normalizedAbs } = normalizeAbs(
      x.subarray(start, start + C),
      options.epsilon,
    );
    for (let c = 0; c < C; c++) {
      y[start + c] = normalizedAbs[c]! * Math.abs(weight[c]!) +
        Math.abs(bias[c]!);
    }
  }
  return y;
}

/**
 * Σ|terms| of {@linkcode layerNormBackward}: the product rule over its formula, with the errors that
 * {@linkcode layerNormAbs} derives. K for the bound: C for dx; the larger of C and rows for dweight.
 *
 * @throws {TypeError} when a length does not fit C.
 */
export function layerNormBackwardAbs(
  inputs: LayerNormInputs,
  dy: Float64Array,
  options: LayerNormOptions,
): LayerNormGradients {
  const { x, weight } = inputs;
  const { C } = options;
  const exact = layerNormBackward(inputs, dy, options);
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(C);
  const dbias = new Float64Array(C);
  for (let start = 0; start < x.length; start += C) {
    const row = normalizeAbs(x.subarray(start, start + C), options.epsilon);
    const means = { g: 0, gn: 0, gnAbs: 0 };
    for (let c = 0; c < C; c++) {
      const d = Math.abs(dy[start + c]!);
      const g = d * Math.abs(weight[c]!) / C;
      dweight[c]! += d * row.normalizedAbs[c]!;
      dbias[c]! += d;
      means.g += g;
      means.gn += g * Math.abs(row.normalized[c]!);
      means.gnAbs += g * row.normalizedAbs[c]!;
    }
    for (let c = 0; c < C; c++) {
      const i = start + c;
      const n = Math.abs(row.normalized[c]!);
      const g = Math.abs(dy[i]! * weight[c]!);
      const terms = g + means.g + row.normalizedAbs[c]! * means.gn +
        n * means.gnAbs;
      dx[i] = row.inverse * terms + Math.abs(exact.dx[i]!) * row.inverseAbs;
    }
  }
  return { dx, dweight, dbias };
}

function checkShapes({ x, weight, bias }: LayerNormInputs, C: number): void {
  rowCount("x", x, C);
  expectLength("weight", weight, C);
  expectLength("bias", bias, C);
}

/** One row minus its mean, times the inverse deviation. */
function normalize(row: Float64Array, epsilon: number) {
  const mean = average(row);
  const centered = row.map((value) => value - mean);
  const variance = average(centered.map((value) => value * value));
  const inverse = 1 / Math.sqrt(variance + epsilon);
  return { normalized: centered.map((value) => value * inverse), inverse };
}

/** The same with the error terms: of each normalized element, and relative ones of the inverse. */
function normalizeAbs(row: Float64Array, epsilon: number) {
  const { normalized, inverse } = normalize(row, epsilon);
  const meanAbs = average(row.map(Math.abs));
  const terms = row.map((value) => Math.abs(value) + meanAbs);
  const inverseAbs = inverse *
    Math.sqrt(average(terms.map((value) => value * value)));
  const normalizedAbs = terms.map((a, c) => inverse * a + Math.abs(normalized[c]!) * inverseAbs);
  return { normalized, inverse, normalizedAbs, inverseAbs };
}

function average(values: Float64Array): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
