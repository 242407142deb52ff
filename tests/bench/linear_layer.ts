/**
 * Layers as linear_cases.ts benches them, and the check of their products against the naive one.
 */
import type { Activation } from "../../shaders/runtime/tensor.ts";
import { assertClose, matmulBound } from "../gradcheck.ts";
import { GELU_SLOPE_MAX, geluOf } from "../reference/gelu.ts";
import type { NaiveProduct } from "./naive_product.ts";
import { randomOf, storageError } from "./values.ts";

/** One layer: y (rows, columns) = x (rows, depth) · Wᵀ and what is fused to it. */
export interface Layer {
  readonly name: string;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly bias?: boolean;
  readonly gelu?: boolean;
  readonly residual?: boolean;
  /** y and dy are f32 in mixed precision too: logits, and what joins the residual stream. */
  readonly wide?: boolean;
  /** Forward only. */
  readonly decoding?: boolean;
  /** "f16": x and the weight's copy are f16, and y and dy unless they are wide. */
  readonly dtype: Activation;
}

/** A layer of a model, without its element type. */
export type Shape = Omit<Layer, "dtype">;

/** A layer's products. */
export const FORWARD = "x·Wᵀ";
export const DX = "dy·W";
export const DWEIGHT = "dyᵀ·x";
/** What y and dy are. */
export function outputOf({ wide = false, dtype }: Layer): Activation {
  return wide ? "f32" : dtype;
}

/**
 * Compares the rows that the naive kernels computed. Both are off the exact sum by at most the bound of rule 21 of the
 * style guide; an error before GELU is at most GELU_SLOPE_MAX times as large after it, whose own evaluation adds
 * 64 roundings at most for arguments below 4 (tests/shaders/gelu_test.ts) and is of the size of its argument. What is
 * stored in f16 is rounded once more, with GELU its argument too.
 */
export function checkProducts(
  outputs: readonly Float32Array[],
  layer: Layer,
  products: ReadonlyMap<string, NaiveProduct>,
): void {
  [...products].forEach(([part, product], index) => {
    const { rows, values } = product;
    const output = outputs[index] ?? new Float32Array();
    const columns = values.length / rows.length;
    const at = (i: number) => (rows[Math.floor(i / columns)] ?? 0) * columns + i % columns;
    const { expected, terms, depth, dtype } = part === FORWARD
      ? forwardOf(layer, product, at)
      : gradientOf(layer, product, part);
    const rounding = storageError(dtype, layer.gelu && part === FORWARD ? terms : expected);
    assertClose(Float32Array.from(values, (_, i) => output[at(i)] ?? NaN), expected, {
      tolerance: matmulBound(depth, terms).map((bound, i) => 2 * bound + (rounding[i] ?? 0)),
      name: `${layer.name} ${part} against the naive product`,
    });
  });
}

/** What a product should be, Σ |terms| for its bound, its depth, and what it is stored as. */
interface Expected {
  readonly expected: Float64Array;
  readonly terms: Float64Array;
  readonly depth: number;
  readonly dtype: Activation;
}

/** The naive product with bias, GELU and residual, at the elements `at` of y. */
function forwardOf(
  layer: Layer,
  { values, magnitudes }: NaiveProduct,
  at: (i: number) => number,
): Expected {
  const { rows, columns, gelu = false } = layer;
  const bias = layer.bias ? randomOf([columns]) : undefined;
  const residual = layer.residual ? randomOf([rows, columns]) : undefined;
  const slope = gelu ? GELU_SLOPE_MAX + 4 : 1;
  return {
    expected: Float64Array.from(values, (value, i) => {
      const sum = value + (bias?.[i % columns] ?? 0);
      return (gelu ? geluOf(sum) : sum) + (residual?.[at(i)] ?? 0);
    }),
    terms: Float64Array.from(
      magnitudes,
      (sum, i) =>
        slope * (sum + Math.abs(bias?.[i % columns] ?? 0)) + Math.abs(residual?.[at(i)] ?? 0),
    ),
    depth: layer.depth,
    dtype: outputOf(layer),
  };
}

/** The naive product as it is: dx has x's element type, and a weight's gradient is f32. */
function gradientOf(
  { rows, columns, dtype }: Layer,
  { values, magnitudes }: NaiveProduct,
  part: string,
): Expected {
  const isDx = part === DX;
  return {
    expected: Float64Array.from(values),
    terms: Float64Array.from(magnitudes),
    depth: isDx ? columns : rows,
    dtype: isDx ? dtype : "f32",
  };
}
