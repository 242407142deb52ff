// GELU in its tanh form, float64: the activation of the vision encoder's MLP.
// Source: nanoVLM v0.1 models/vision_transformer.py, ViTMLP; Hendrycks and Gimpel 2016, section 2.

import { expectLength } from "./arrays.ts";

const SCALE = Math.sqrt(2 / Math.PI);
const CUBIC = 0.044715;

/** Largest |GELU'|, rounded up (it is 1.1289 near x = 1.5): for error bounds. */
export const GELU_SLOPE_MAX = 1.13;
/** Largest |GELU''|, rounded up (it is SCALE = 0.798 at x = 0): for error bounds. */
export const GELU_CURVATURE_MAX = 0.8;

/** 0.5 x (1 + tanh(sqrt(2/π) (x + 0.044715 x³))) of one number. */
export function geluOf(x: number): number {
  return 0.5 * x * (1 + Math.tanh(SCALE * (x + CUBIC * x ** 3)));
}

/** Derivative of {@linkcode geluOf} at one number. */
export function geluSlope(x: number): number {
  const tanh = Math.tanh(SCALE * (x + CUBIC * x ** 3));
  return 0.5 * (1 + tanh) +
    0.5 * x * (1 - tanh * tanh) * SCALE * (1 + 3 * CUBIC * x * x);
}

/** GELU(tanh), element by element; any shape in, the same out. */
export function gelu({ x }: { x: Float64Array }): Float64Array {
  return x.map(geluOf);
}

/**
 * dx = dy · GELU'(x), element by element.
 *
 * @throws {TypeError} when dy and x differ in length.
 */
export function geluBackward(
  { x }: { x: Float64Array },
  dy: Float64Array,
): { dx: Float64Array } {
  expectLength("dy", dy, x.length);
  return { dx: x.map((value, i) => dy[i]! * geluSlope(value)) };
}
