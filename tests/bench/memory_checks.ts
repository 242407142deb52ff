/**
 * Checks of memory_cases.ts: the first run's values against the float64 references, with the bounds of the kernels' tests.
 * Inputs are randomOf() of each shape, so they are made anew here. Gradients are left to tests/shaders/.
 */
import type { AdamwHyper } from "../../shaders/adamw.ts";
import type { Activation } from "../../shaders/runtime/tensor.ts";
import { assertClose, matmulBound } from "../gradcheck.ts";
import { adamw } from "../reference/adamw.ts";
import { crossEntropy } from "../reference/cross_entropy.ts";
import { geluOf } from "../reference/gelu.ts";
import { layerNorm, layerNormAbs } from "../reference/layer_norm.ts";
import { linear, linearAbs } from "../reference/linear.ts";
import { rmsNorm, rmsNormAbs } from "../reference/rms_norm.ts";
import { rope, ropeAbs } from "../reference/rope.ts";
import { argmax } from "../reference/sampling.ts";
import { randomArray, randomOf, type RandomOptions, storageError } from "./values.ts";

const U = 2 ** -24;
type Values = Float32Array | undefined;

function close(
  actual: Values,
  expected: Float64Array,
  name: string,
  bound: Float64Array,
  dtype: Activation = "f32",
): void {
  const stored = storageError(dtype, expected);
  const tolerance = bound.map((error, i) => error + (stored[i] ?? 0));
  assertClose(actual ?? [], expected, { tolerance, name });
}

function inputOf(shape: readonly number[], options?: RandomOptions): Float64Array {
  return Float64Array.from(randomOf(shape, options));
}

/** The first rows of a large result. */
const ROWS = 64;

/** y of layerNorm(). */
export function checkLayerNorm(
  y: Values,
  [rows, C]: readonly [number, number],
  { epsilon, dtype }: { epsilon: number; dtype: Activation },
): void {
  const some = Math.min(rows, ROWS) * C;
  const inputs = {
    x: inputOf([rows, C]).subarray(0, some),
    weight: inputOf([C]),
    bias: inputOf([C], { deviation: 0.5 }),
  };
  const bound = matmulBound(C, layerNormAbs(inputs, { C, epsilon }));
  close(y?.subarray(0, some), layerNorm(inputs, { C, epsilon }), "layerNorm()", bound, dtype);
}

/** y of rmsNorm(). */
export function checkRmsNorm(
  y: Values,
  [rows, C]: readonly [number, number],
  { epsilon, dtype }: { epsilon: number; dtype: Activation },
): void {
  const some = Math.min(rows, ROWS) * C;
  const inputs = { x: inputOf([rows, C]).subarray(0, some), weight: inputOf([C]) };
  const bound = matmulBound(C, rmsNormAbs(inputs, { C, epsilon }));
  close(y?.subarray(0, some), rmsNorm(inputs, { C, epsilon }), "rmsNorm()", bound, dtype);
}

/** y of gelu(); for |x| < 1.74 the bound of tests/shaders/gelu_test.ts is below 64 U |y|, beside the reference's own. */
export function checkGelu(y: Values, shape: readonly number[], dtype: Activation): void {
  const x = inputOf(shape, { dtype });
  const expected = x.map(geluOf);
  const bound = expected.map((value, i) =>
    64 * U * Math.abs(value) + 2 ** -52 * Math.abs(x[i] ?? 0)
  );
  close(y, expected, "gelu()", bound, dtype);
}

/** y of swiglu(); for |gate| < 1.74 the bound of tests/shaders/swiglu_test.ts is below 32 U |y|. */
export function checkSwiglu(
  y: Values,
  [rows, I]: readonly [number, number],
  dtype: Activation,
): void {
  const x = inputOf([rows, 2 * I], { dtype });
  const expected = new Float64Array(rows * I).map((_, i) => {
    const at = Math.floor(i / I) * 2 * I + i % I;
    const gate = x[at] ?? NaN;
    return gate / (1 + Math.exp(-gate)) * (x[at + I] ?? NaN);
  });
  const bound = expected.map((value) => 32 * U * Math.abs(value));
  close(y, expected, "swiglu()", bound, dtype);
}

/** qkv of rope(), its rotated heads. */
export function checkRope(
  y: Values,
  { shape, heads, headWidth: D, cos, sin, dtype }: {
    shape: readonly number[];
    heads: number;
    headWidth: number;
    cos: Float32Array;
    sin: Float32Array;
    dtype: Activation;
  },
): void {
  const [, T = 0, stride = 0] = shape;
  const rotated = (array: Float64Array) => array.filter((_, i) => i % stride < heads * D);
  const x = rotated(inputOf(shape, { dtype }));
  const options = { T, H: heads, D, cos: Float64Array.from(cos), sin: Float64Array.from(sin) };
  const bound = matmulBound(2, ropeAbs({ x }, options).map(Math.abs));
  close(
    Float32Array.from(rotated(Float64Array.from(y ?? []))),
    rope({ x }, options),
    "rope()",
    bound,
    dtype,
  );
}

/** y of embedding(): copies. */
export function checkEmbedding(
  y: Values,
  ids: Uint32Array,
  [V, C]: readonly [number, number],
): void {
  const table = inputOf([V, C]);
  const expected = new Float64Array(ids.length * C).map((_, i) =>
    table[(ids[Math.floor(i / C)] ?? 0) * C + i % C] ?? NaN
  );
  close(y, expected, "embedding()", new Float64Array(expected.length));
}

/** The error of a token's loss over V logits that span less than `span`: tests/shaders/cross_entropy_test.ts. */
function lossBound(V: number, span: number): number {
  const sum = U * (16 * Math.sqrt(V) + 6 + 5 * span);
  return sum + 6 * U * Math.log(V) + 2 ** -21 + 2 * U * (span + Math.log(V));
}

/** Token losses of crossEntropy(). */
export function checkCrossEntropy(
  losses: Values,
  labels: Uint32Array,
  shape: readonly [number, number],
): void {
  const V = shape[1];
  const exact = crossEntropy({ logits: inputOf(shape) }, { labels: Int32Array.from(labels), V });
  const bound = lossBound(V, 2 * Math.sqrt(3));
  close(losses, exact.tokenLosses, "crossEntropy()", exact.tokenLosses.map(() => bound));
}

/** The first rows' losses of linearCrossEntropy(): an error of all logits moves a loss by at most twice as much. */
export function checkLinearCrossEntropy(
  losses: Values,
  labels: Uint32Array,
  { V, C, dtype }: { V: number; C: number; dtype: Activation },
): void {
  const rows = Math.min(labels.length, 4);
  const hidden = inputOf([labels.length, C], { dtype }).subarray(0, rows * C);
  const weight = inputOf([V, C], { deviation: 1 / Math.sqrt(C), dtype });
  const options = { inFeatures: C, outFeatures: V };
  const logits = linear({ x: hidden, weight }, options);
  const largest = linearAbs({ x: hidden, weight }, options).reduce((a, b) => Math.max(a, b), 0);
  const exact = crossEntropy({ logits }, { labels: Int32Array.from(labels.subarray(0, rows)), V });
  const error = lossBound(V, 2 * largest) + 2 * 16 * U * Math.sqrt(C) * largest;
  const bound = exact.tokenLosses.map(() => error);
  close(losses?.subarray(0, rows), exact.tokenLosses, "linearCrossEntropy()", bound);
}

/** The first values of adamw() at step 1 from moments of zero. */
export function checkAdamw(value: Values, n: number, hyper: AdamwHyper): void {
  const few = value?.length ?? 0;
  const parameter = Float64Array.from(randomArray(n).subarray(0, few));
  const gradient = Float64Array.from(randomArray(n, 0.01).subarray(0, few));
  const zeros = new Float64Array(few);
  const state = { parameter, firstMoment: zeros, secondMoment: zeros };
  const exact = adamw(state, gradient, hyper);
  // As tests/shaders/adamw_test.ts; at step 1 the update is the learning rate.
  const bound = parameter.map((p) => U * (4 * Math.abs(p) + 32 * hyper.learningRate));
  close(value, exact.parameter, "adamw()", bound);
}

/** gradientNorm() of one gradient. */
export function checkGradientNorm(norm: Values, n: number): void {
  const exact = Math.sqrt(randomArray(n).reduce((sum, g) => sum + g * g, 0));
  assertClose(norm ?? [], Float64Array.of(exact), {
    tolerance: 16 * U * Math.sqrt(n) * exact,
    name: "gradientNorm()",
  });
}

/** The u32 in `next`'s bits. */
function tokenOf(next: Values): number {
  return new Uint32Array(next?.buffer ?? new ArrayBuffer(4))[0] ?? NaN;
}

/** The token of greedy sample(). */
export function checkGreedy(next: Values, V: number): void {
  const expected = argmax(inputOf([1, V]));
  if (tokenOf(next) === expected) return;
  throw new Error(`Cannot accept sample(): found token ${tokenOf(next)}, expected ${expected}`);
}

/** The token of random sample(): one of the topK largest logits. */
export function checkSampled(next: Values, V: number, topK: number): void {
  const logits = inputOf([1, V]);
  const least = logits.toSorted().at(-topK) ?? NaN;
  const found = logits[tokenOf(next)] ?? NaN;
  if (found >= least) return;
  throw new Error(
    `Cannot accept sample(): found token ${
      tokenOf(next)
    } of logit ${found}, expected one of at least ${least}`,
  );
}
