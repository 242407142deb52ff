// SwiGLU's elementwise half, float64: silu(gate) · up, between the two linears of the decoder's MLP.
// Source: nanoVLM v0.1 models/language_model.py, LanguageModelMLP; Shazeer 2020, equation 6.

import { expectLength } from "./arrays.ts";

/** What goes into {@linkcode swiglu}: two arrays of one shape, (..., I). */
export interface SwigluInputs {
  gate: Float64Array;
  up: Float64Array;
}

/**
 * y = gate · sigmoid(gate) · up, element by element; (..., I) in and out.
 *
 * @throws {TypeError} when gate and up differ in length.
 */
export function swiglu({ gate, up }: SwigluInputs): Float64Array {
  expectLength("up", up, gate.length);
  return gate.map((g, i) => g * sigmoid(g) * up[i]!);
}

/**
 * dgate = dy · up · silu'(gate), dup = dy · silu(gate).
 *
 * @throws {TypeError} when the lengths differ.
 */
export function swigluBackward(
  { gate, up }: SwigluInputs,
  dy: Float64Array,
): { dgate: Float64Array; dup: Float64Array } {
  expectLength("up", up, gate.length);
  expectLength("dy", dy, gate.length);
  const dgate = gate.map((g, i) => dy[i]! * up[i]! * sigmoid(g) * (1 + g * (1 - sigmoid(g))));
  const dup = gate.map((g, i) => dy[i]! * g * sigmoid(g));
  return { dgate, dup };
}

function sigmoid(x: number): number {
  return 1 / (1 + Math.exp(-x));
}
