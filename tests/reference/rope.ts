// Rotary positions by halves, float64: applied to queries and keys before the decoder's attention.
// Source: nanoVLM v0.1 models/language_model.py, RotaryEmbedding and apply_rotary_pos_embd; Su et al. 2021.

import { expectLength, magnitudes, rowCount } from "./arrays.ts";

/** What {@linkcode ropeTables} needs to know. */
export interface RopeTableOptions {
  /** Number of consecutive positions. */
  T: number;
  /** Head width, even. */
  D: number;
  /** Position of the first row; 0 unless decoding with a cache. */
  offset?: number;
  /** lm_re_base. */
  base: number;
  /** lm_max_position_embeddings: beyond it all frequencies are divided by (offset + T) / maximum. */
  maxPositions: number;
  /** lm_attn_scaling: multiplies cos and sin, so it scales scores by its square. */
  attnScaling?: number;
}

/** cos and sin, each (T, D/2). */
export interface RopeTables {
  cos: Float64Array;
  sin: Float64Array;
}

/** H heads of width D at each of T positions: x is (B, T, H, D). */
export interface RopeOptions extends RopeTables {
  T: number;
  H: number;
  D: number;
}

/**
 * 1 / base^(2i / D) for i < D/2, each operation rounded to float32 as torch does: (D/2).
 *
 * @throws {RangeError} when D is odd.
 */
export function inverseFrequencies(D: number, base: number): Float64Array {
  if (D % 2 !== 0) {
    throw new RangeError(
      `Cannot rotate heads by halves: found width ${D}, expected an even one. Choose another head count.`,
    );
  }
  const frequencies = new Float64Array(D / 2);
  for (let i = 0; i < D / 2; i++) {
    const exponent = Math.fround(2 * i / D);
    frequencies[i] = Math.fround(1 / Math.fround(base ** exponent));
  }
  return frequencies;
}

/**
 * cos and sin of position · frequency. The frequencies, their scaling and the angles are rounded to
 * float32 as in torch (at position 8191 that moves an angle by up to 2.4e-4); cos and sin are exact.
 *
 * @throws {RangeError} when D is odd.
 */
export function ropeTables(options: RopeTableOptions): RopeTables {
  const { T, D, base, maxPositions, offset = 0, attnScaling = 1 } = options;
  const half = D / 2;
  const scale = Math.max(1, Math.fround((offset + T) / maxPositions));
  const frequencies = inverseFrequencies(D, base).map((f) => Math.fround(f / scale));
  const cos = new Float64Array(T * half);
  const sin = new Float64Array(T * half);
  for (let t = 0; t < T; t++) {
    for (let i = 0; i < half; i++) {
      const angle = Math.fround((offset + t) * frequencies[i]!);
      cos[t * half + i] = Math.cos(angle) * attnScaling;
      sin[t * half + i] = Math.sin(angle) * attnScaling;
    }
  }
  return { cos, sin };
}

/**
 * Rotates each pair (x[i], x[i + D/2]) by its position's angle: (B, T, H, D) in and out.
 *
 * @throws {TypeError} when a length does not fit the options.
 */
export function rope(
  { x }: { x: Float64Array },
  options: RopeOptions,
): Float64Array {
  return rotate(x, options.sin.map((value) => -value), options);
}

/**
 * dx of {@linkcode rope}: the rotation by the negative angle, since its matrix is orthogonal up to
 * the scaling that both tables carry.
 *
 * @throws {TypeError} when a length does not fit the options.
 */
export function ropeBackward(
  dy: Float64Array,
  options: RopeOptions,
): { dx: Float64Array } {
  return { dx: rotate(dy, options.sin, options) };
}

/**
 * Σ|terms| of {@linkcode rope}, and of {@linkcode ropeBackward} when given dy; K = 2 for the bound.
 *
 * @throws {TypeError} when a length does not fit the options.
 */
export function ropeAbs(
  { x }: { x: Float64Array },
  options: RopeOptions,
): Float64Array {
  const half = options.D / 2;
  return magnitudes(x).map((value, i, all) => {
    const d = i % options.D;
    const t = Math.floor(i / (options.H * options.D)) % options.T;
    const partner = all[d < half ? i + half : i - half]!;
    const [c, s] = [options.cos, options.sin].map((table) => Math.abs(table[t * half + d % half]!));
    return value * c! + partner * s!;
  });
}

/** first' = first · cos + second · sine, second' = second · cos - first · sine, in every head. */
function rotate(
  x: Float64Array,
  sine: Float64Array,
  options: RopeOptions,
): Float64Array {
  const { T, H, D, cos } = options;
  const half = D / 2;
  rowCount("x", x, T * H * D);
  expectLength("cos", cos, T * half);
  expectLength("sin", sine, T * half);
  const y = new Float64Array(x.length);
  for (let head = 0; head < x.length / D; head++) {
    const t = Math.floor(head / H) % T;
    for (let i = 0; i < half; i++) {
      const [c, s] = [cos[t * half + i]!, sine[t * half + i]!];
      const [first, second] = [x[head * D + i]!, x[head * D + half + i]!];
      y[head * D + i] = first * c + second * s;
      y[head * D + half + i] = second * c - first * s;
    }
  }
  return y;
}
