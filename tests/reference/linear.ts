// y = x Wᵀ + b with its optional GELU and residual, float64: every projection of the model.
// Source: torch.nn.Linear as nanoVLM v0.1 uses it (models/*.py); the fused forms are ours.

import { expectLength, magnitudes, rowCount } from "./arrays.ts";
import { GELU_CURVATURE_MAX, GELU_SLOPE_MAX, geluOf, geluSlope } from "./gelu.ts";

/** x (rows, in), weight (out, in), bias (out), residual (rows, out). */
export interface LinearInputs {
  x: Float64Array;
  weight: Float64Array;
  bias?: Float64Array;
  residual?: Float64Array;
}

/** Widths of the two sides, and whether GELU(tanh) follows the sum (before the residual). */
export interface LinearOptions {
  inFeatures: number;
  outFeatures: number;
  gelu?: boolean;
}

/** Gradients of {@linkcode LinearInputs}, the same shapes; dbias and dresidual are always filled. */
export interface LinearGradients {
  dx: Float64Array;
  dweight: Float64Array;
  dbias: Float64Array;
  dresidual: Float64Array;
}

/**
 * y = act(x Wᵀ + bias) + residual, act being GELU(tanh) or nothing: (rows, in) -> (rows, out).
 *
 * @throws {TypeError} when a length does not fit the widths.
 */
export function linear(
  inputs: LinearInputs,
  options: LinearOptions,
): Float64Array {
  const { residual } = inputs;
  const y = preActivation(inputs, options);
  for (let i = 0; i < y.length; i++) {
    if (options.gelu) y[i] = geluOf(y[i]!);
    if (residual) y[i]! += residual[i]!;
  }
  return y;
}

/**
 * Gradients of {@linkcode linear}, given dy (rows, out).
 *
 * @throws {TypeError} when a length does not fit the widths.
 */
export function linearBackward(
  inputs: LinearInputs,
  dy: Float64Array,
  options: LinearOptions,
): LinearGradients {
  const sum = preActivation(inputs, options);
  expectLength("dy", dy, sum.length);
  const dsum = options.gelu ? dy.map((d, i) => d * geluSlope(sum[i]!)) : dy;
  return { ...productGradients(inputs, dsum, options), dresidual: dy.slice() };
}

/**
 * Σ|terms| of every element of {@linkcode linear}, for `matmulBound(inFeatures, …)`: (rows, out).
 * An error e before GELU is at most GELU_SLOPE_MAX · e after it.
 *
 * @throws {TypeError} when a length does not fit the widths.
 */
export function linearAbs(
  inputs: LinearInputs,
  options: LinearOptions,
): Float64Array {
  const { residual } = inputs;
  const slope = options.gelu ? GELU_SLOPE_MAX : 1;
  return preActivation(magnitudesOf(inputs), options)
    .map((sum, i) => slope * sum + (residual ? Math.abs(residual[i]!) : 0));
}

/**
 * Σ|terms| of every gradient of {@linkcode linearBackward}. K for the bound: outFeatures for dx, rows
 * for dweight and dbias; with GELU the largest of the three widths, because the sum before GELU
 * (error ∝ √in) is in every term: |Δ(dy GELU'(s))| ≤ |dy| (max|GELU'| + max|GELU''| Σ|terms of s|).
 *
 * @throws {TypeError} when a length does not fit the widths.
 */
export function linearBackwardAbs(
  inputs: LinearInputs,
  dy: Float64Array,
  options: LinearOptions,
): LinearGradients {
  const sums = preActivation(magnitudesOf(inputs), options);
  expectLength("dy", dy, sums.length);
  const dsum = dy.map((d, i) =>
    Math.abs(d) *
    (options.gelu ? GELU_SLOPE_MAX + GELU_CURVATURE_MAX * sums[i]! : 1)
  );
  return {
    ...productGradients(magnitudesOf(inputs), dsum, options),
    dresidual: magnitudes(dy),
  };
}

/** x Wᵀ + bias, before GELU and residual: (rows, out). */
function preActivation(
  inputs: LinearInputs,
  options: LinearOptions,
): Float64Array {
  const { x, weight, bias, residual } = inputs;
  const { inFeatures, outFeatures } = options;
  const rows = rowCount("x", x, inFeatures);
  expectLength("weight", weight, outFeatures * inFeatures);
  if (bias) expectLength("bias", bias, outFeatures);
  if (residual) expectLength("residual", residual, rows * outFeatures);
  const y = new Float64Array(rows * outFeatures);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outFeatures; o++) {
      let sum = bias ? bias[o]! : 0;
      for (let i = 0; i < inFeatures; i++) {
        sum += x[r * inFeatures + i]! * weight[o * inFeatures + i]!;
      }
      y[r * outFeatures + o] = sum;
    }
  }
  return y;
}

/** Gradients of x Wᵀ + bias, given dsum (rows, out). */
function productGradients(
  { x, weight }: LinearInputs,
  dsum: Float64Array,
  { inFeatures, outFeatures }: LinearOptions,
): { dx: Float64Array; dweight: Float64Array; dbias: Float64Array } {
  const rows = rowCount("x", x, inFeatures);
  const dx = new Float64Array(x.length);
  const dweight = new Float64Array(weight.length);
  const dbias = new Float64Array(outFeatures);
  for (let r = 0; r < rows; r++) {
    for (let o = 0; o < outFeatures; o++) {
      const d = dsum[r * outFeatures + o]!;
      dbias[o]! += d;
      for (let i = 0; i < inFeatures; i++) {
        dx[r * inFeatures + i]! += d * weight[o * inFeatures + i]!;
        dweight[o * inFeatures + i]! += d * x[r * inFeatures + i]!;
      }
    }
  }
  return { dx, dweight, dbias };
}

/** x, weight and bias without signs; the residual plays no part in the product. */
function magnitudesOf({ x, weight, bias }: LinearInputs): LinearInputs {
  const unsigned = { x: magnitudes(x), weight: magnitudes(weight) };
  return bias ? { ...unsigned, bias: magnitudes(bias) } : unsigned;
}
