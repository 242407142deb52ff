/**
 * The workloads on which WebGPU libraries are compared: sizes, data, and what must come out.
 *
 * Under ours.ts, which computes them, and outcome.ts, which judges everybody's results. Sizes and data are those of the
 * peers' harness (its lib.ts): every library gets the same numbers.
 */

/** Product of f32 matrices (M, K) and (K, N). */
export const MATMUL = { M: 1024, K: 768, N: 3072 } as const;
/** Attention of H heads over T positions, D wide; queries, keys and values are each (T, H, D). */
export const ATTENTION = { H: 9, T: 128, D: 64 } as const;
/** A Llama-style language model of 1.97M parameters with tied embeddings, B rows of T tokens a step. */
export const LANGUAGE_MODEL = {
  width: 192,
  blocks: 4,
  heads: 3,
  inner: 512,
  vocabulary: 1024,
  T: 128,
  B: 8,
} as const;
/** AdamW's settings; weights of all kinds decay. */
export const ADAMW = {
  learningRate: 1e-3,
  beta1: 0.9,
  beta2: 0.95,
  epsilon: 1e-8,
  weightDecay: 0.01,
} as const;
/** Steps taken: two to warm up, seven timed. */
export const TRAINING_STEPS = 9;
/** Losses of those steps, on which jax-js and TensorFlow.js agree. */
export const TRAINING_LOSSES: readonly number[] = [
  7.0147,
  6.6630,
  6.4252,
  6.2260,
  6.0326,
  5.8319,
  5.6241,
  5.4951,
  5.3237,
];

/** Seeds of the operands. */
const SEEDS = { lhs: 1, rhs: 2, q: 3, k: 4, v: 5, tokens: 77 } as const;

/** `length` numbers in [-scale, scale) by a 32-bit xorshift. */
export function random(length: number, seed: number, scale = 1): Float32Array<ArrayBuffer> {
  let state = seed >>> 0 || 1;
  return Float32Array.from({ length }, () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    state >>>= 0;
    return (state / 2 ** 32 * 2 - 1) * scale;
  });
}

/** The factors of the matrix product. */
export function matmulData(): Record<"lhs" | "rhs", Float32Array<ArrayBuffer>> {
  const { M, K, N } = MATMUL;
  return { lhs: random(M * K, SEEDS.lhs), rhs: random(K * N, SEEDS.rhs) };
}

/** Queries, keys and values, each (T, H, D). */
export function attentionData(): Record<"q" | "k" | "v", Float32Array<ArrayBuffer>> {
  const length = ATTENTION.T * ATTENTION.H * ATTENTION.D;
  return {
    q: random(length, SEEDS.q),
    k: random(length, SEEDS.k),
    v: random(length, SEEDS.v),
  };
}

/** B·T tokens, and what follows each. */
export function tokens(): Record<"ids" | "labels", Uint32Array<ArrayBuffer>> {
  const { B, T, vocabulary } = LANGUAGE_MODEL;
  const drawn = random(B * T + 1, SEEDS.tokens, 0.5);
  const all = Uint32Array.from(drawn, (x) => Math.floor((x + 0.5) * vocabulary));
  return { ids: all.slice(0, -1), labels: all.slice(1) };
}

/** A number of the result, and how far float32 may be from it. */
export interface Expected {
  readonly value: number;
  readonly tolerance: number;
}

/** Float32's unit roundoff. */
const ROUNDOFF = 2 ** -24;

/**
 * What a sum of float32 products may be off by: each of K additions rounds a partial sum about as large as the root of the
 * terms' squares, up or down by chance; 16 times that walk's expectation.
 */
function walk(terms: readonly number[]): number {
  return 16 * ROUNDOFF * Math.sqrt(terms.length) * Math.hypot(...terms);
}

function sum(terms: readonly number[]): number {
  return terms.reduce((total, term) => total + term, 0);
}

/** Element i of the matrix product, in float64. */
export function expectedProduct(i: number): Expected {
  const { K, N } = MATMUL;
  const { lhs, rhs } = matmulData();
  const [m, n] = [Math.floor(i / N), i % N];
  const terms = Array.from({ length: K }, (_, k) => (lhs[m * K + k] ?? 0) * (rhs[k * N + n] ?? 0));
  return { value: sum(terms), tolerance: walk(terms) };
}

/**
 * Element i of attention's result (T, H, D), in float64. The scores' errors shift each weight by as large a share, and so
 * does the sum that divides them.
 */
export function expectedAttention(i: number, causal: boolean): Expected {
  const { T, H, D } = ATTENTION;
  const { q, k, v } = attentionData();
  const [t, head, d] = [Math.floor(i / (H * D)), Math.floor(i / D) % H, i % D];
  const keys = Array.from({ length: causal ? t + 1 : T }, (_, key) => key);
  const row = (x: Float32Array, position: number) =>
    x.subarray((position * H + head) * D, (position * H + head + 1) * D);
  const terms = keys.map((key) => Array.from(row(q, t), (x, j) => x * (row(k, key)[j] ?? 0)));
  const weights = terms.map((of) => Math.exp(sum(of) / Math.sqrt(D)));
  const shares = weights.map((weight) => weight / sum(weights));
  const parts = shares.map((share, key) => share * (row(v, key)[d] ?? 0));
  const scoreError = Math.max(...terms.map(walk)) / Math.sqrt(D);
  return {
    value: sum(parts),
    tolerance: walk(parts) + 2 * scoreError * sum(parts.map(Math.abs)),
  };
}
