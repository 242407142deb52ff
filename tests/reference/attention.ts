// Scaled dot-product attention with grouped queries, float64: both towers' attention, and decoding.
// Source: Vaswani et al. 2017, section 3.2.1, as nanoVLM v0.1 uses it (models/vision_transformer.py,
// models/language_model.py); grouped queries: Ainslie et al. 2023.

import { expectLength, magnitudes } from "./arrays.ts";

/** q (B, T, H, D), k and v (B, S, K, D). */
export interface AttentionInputs {
  q: Float64Array;
  k: Float64Array;
  v: Float64Array;
}

/** Shapes and masks of one attention. */
export interface AttentionOptions {
  B: number;
  /** Number of queries. */
  T: number;
  /** Number of keys; T when absent. */
  S?: number;
  H: number;
  /** Key/value heads; query head h reads key head floor(h / (H / K)). */
  K: number;
  D: number;
  /** Whether the query at position p sees only keys 0 .. p. */
  causal: boolean;
  /** Position of the first query, for decoding with a cache; 0 when absent. */
  offset?: number;
  /** (B, S), 1 = visible, 0 = masked. */
  keyMask?: ArrayLike<number>;
}

/** Gradients of {@linkcode AttentionInputs}, the same shapes. */
export interface AttentionGradients {
  dq: Float64Array;
  dk: Float64Array;
  dv: Float64Array;
}

/** One query row of one head: where it starts in q, where key s starts in k, and its weights. */
interface QueryRow {
  qStart: number;
  kStart: (s: number) => number;
  probabilities: Float64Array;
}

/**
 * y = softmax(q kᵀ / sqrt(D)) v over the visible keys: (B, T, H, D). A row that sees no key is 0.
 *
 * Differs from nanoVLM: there a fully masked row averages the keys up to its own position, and v0.1
 * zeroes every padding query. Such rows are padding; neither loss nor gradients depend on them.
 *
 * @throws {TypeError} when a length does not fit the options.
 * @throws {RangeError} when H is no multiple of K.
 */
export function attention(
  inputs: AttentionInputs,
  options: AttentionOptions,
): Float64Array {
  const { D } = options;
  const y = new Float64Array(inputs.q.length);
  for (const { qStart, kStart, probabilities } of queryRows(inputs, options)) {
    probabilities.forEach((p, s) => {
      for (let d = 0; d < D; d++) {
        y[qStart + d]! += p * inputs.v[kStart(s) + d]!;
      }
    });
  }
  return y;
}

/**
 * Gradients of {@linkcode attention}, given dy (B, T, H, D). With p the weights of a row,
 * dp = dy · v and dscore = p (dp - Σ p dp).
 *
 * @throws {TypeError} when a length does not fit the options.
 * @throws {RangeError} when H is no multiple of K.
 */
export function attentionBackward(
  inputs: AttentionInputs,
  dy: Float64Array,
  options: AttentionOptions,
): AttentionGradients {
  const { q, k, v } = inputs;
  const { D } = options;
  expectLength("dy", dy, q.length);
  const [dq, dk, dv] = zerosLike(inputs);
  for (const { qStart, kStart, probabilities } of queryRows(inputs, options)) {
    const dp = probabilities.map((_, s) => dot(dy, qStart, { with: v, at: kStart(s), D }));
    const mean = probabilities.reduce((sum, p, s) => sum + p * dp[s]!, 0);
    probabilities.forEach((p, s) => {
      const dscore = p * (dp[s]! - mean) / Math.sqrt(D);
      for (let d = 0; d < D; d++) {
        dq[qStart + d]! += dscore * k[kStart(s) + d]!;
        dk[kStart(s) + d]! += dscore * q[qStart + d]!;
        dv[kStart(s) + d]! += p * dy[qStart + d]!;
      }
    });
  }
  return { dq, dk, dv };
}

/**
 * Σ|terms| of {@linkcode attention}, K = the larger of S and D for the bound: (B, T, H, D).
 *
 * With e the bound of the row's score errors (its largest Σ|q k| / sqrt(D)), each weight
 * exp(score) / Σ exp(score) is off by at most 2 e relatively, so y by Σ p |v| (1 + 2 e).
 *
 * @throws {TypeError} when a length does not fit the options.
 * @throws {RangeError} when H is no multiple of K.
 */
export function attentionAbs(
  inputs: AttentionInputs,
  options: AttentionOptions,
): Float64Array {
  const { D } = options;
  const y = new Float64Array(inputs.q.length);
  for (const row of queryRows(inputs, options)) {
    const factor = 1 + 2 * scoreAbs(inputs, row, D);
    row.probabilities.forEach((p, s) => {
      for (let d = 0; d < D; d++) {
        y[row.qStart + d]! += factor * p *
          Math.abs(inputs.v[row.kStart(s) + d]!);
      }
    });
  }
  return y;
}

/**
 * Σ|terms| of {@linkcode attentionBackward}: its formulas with every term positive, times 1 + 2 e for
 * each weight in them (one in dv, two in dscore). K for the bound: the largest of S, D and, for dk
 * and dv, T H / K, the number of rows that read a key.
 *
 * @throws {TypeError} when a length does not fit the options.
 * @throws {RangeError} when H is no multiple of K.
 */
export function attentionBackwardAbs(
  inputs: AttentionInputs,
  dy: Float64Array,
  options: AttentionOptions,
): AttentionGradients {
  const { D } = options;
  const [q, k, v, dyAbs] = [inputs.q, inputs.k, inputs.v, dy].map(magnitudes);
  expectLength("dy", dy, inputs.q.length);
  const [dq, dk, dv] = zerosLike(inputs);
  for (const row of queryRows(inputs, options)) {
    const { qStart, kStart, probabilities } = row;
    const factor = 1 + 2 * scoreAbs(inputs, row, D);
    const dp = probabilities.map((_, s) => dot(dyAbs!, qStart, { with: v!, at: kStart(s), D }));
    const mean = probabilities.reduce((sum, p, s) => sum + p * dp[s]!, 0);
    probabilities.forEach((p, s) => {
      const dscore = factor ** 2 * p * (dp[s]! + mean) / Math.sqrt(D);
      for (let d = 0; d < D; d++) {
        dq[qStart + d]! += dscore * k![kStart(s) + d]!;
        dk[kStart(s) + d]! += dscore * q![qStart + d]!;
        dv[kStart(s) + d]! += factor * p * dyAbs![qStart + d]!;
      }
    });
  }
  return { dq, dk, dv };
}

/** Every query row of every head, with its softmax weights over the S keys (0 where masked). */
function* queryRows(
  inputs: AttentionInputs,
  options: AttentionOptions,
): Generator<QueryRow> {
  const { B, T, S = T, H, K, D } = options;
  checkShapes(inputs, options);
  for (let b = 0; b < B; b++) {
    for (let t = 0; t < T; t++) {
      for (let h = 0; h < H; h++) {
        const keyHead = Math.floor(h / (H / K));
        const qStart = ((b * T + t) * H + h) * D;
        const kStart = (s: number) => ((b * S + s) * K + keyHead) * D;
        const scores = new Float64Array(S).fill(-Infinity);
        for (let s = 0; s < S; s++) {
          if (!isVisible(options, { b, t, s })) continue;
          scores[s] = dot(inputs.q, qStart, { with: inputs.k, at: kStart(s), D }) /
            Math.sqrt(D);
        }
        yield { qStart, kStart, probabilities: softmaxOrZeros(scores) };
      }
    }
  }
}

function isVisible(
  options: AttentionOptions,
  at: { b: number; t: number; s: number },
): boolean {
  const { T, S = T, causal, offset = 0, keyMask } = options;
  if (causal && at.s > offset + at.t) return false;
  return keyMask === undefined || keyMask[at.b * S + at.s] !== 0;
}

/** exp(score - max) / Σ; all zeros when every score is -Infinity. */
function softmaxOrZeros(scores: Float64Array): Float64Array {
  const max = scores.reduce((a, b) => Math.max(a, b), -Infinity);
  if (max === -Infinity) return new Float64Array(scores.length);
  const exponentials = scores.map((score) => Math.exp(score - max));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}

/** The largest Σ|q k| / sqrt(D) among the keys that the row sees. */
function scoreAbs({ q, k }: AttentionInputs, row: QueryRow, D: number): number {
  let largest = 0;
  row.probabilities.forEach((p, s) => {
    if (p === 0) return;
    let sum = 0;
    for (let d = 0; d < D; d++) {
      sum += Math.abs(q[row.qStart + d]! * k[row.kStart(s) + d]!);
    }
    largest = Math.max(largest, sum / Math.sqrt(D));
  });
  return largest;
}

function dot(
  left: Float64Array,
  start: number,
  right: { with: Float64Array; at: number; D: number },
): number {
  let sum = 0;
  for (let d = 0; d < right.D; d++) {
    sum += left[start + d]! * right.with[right.at + d]!;
  }
  return sum;
}

function zerosLike(
  { q, k, v }: AttentionInputs,
): [Float64Array, Float64Array, Float64Array] {
  return [
    new Float64Array(q.length),
    new Float64Array(k.length),
    new Float64Array(v.length),
  ];
}

function checkShapes(
  { q, k, v }: AttentionInputs,
  options: AttentionOptions,
): void {
  const { B, T, S = T, H, K, D, keyMask } = options;
  if (H % K !== 0) {
    throw new RangeError(
      `Cannot group ${H} query heads: found ${K} key heads, expected a divisor of ${H}. ` +
        `Check the head counts.`,
    );
  }
  expectLength("q", q, B * T * H * D);
  expectLength("k", k, B * S * K * D);
  expectLength("v", v, B * S * K * D);
  if (keyMask) expectLength("keyMask", keyMask, B * S);
}
