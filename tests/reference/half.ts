// A naive f16 implementation of every op that has an f16 form, as a ruler for the errors of ours.
// Naive: whatever is stored is f16, also between the elementwise steps; products and sums accumulate in float32 and are
// rounded once, as torch's do on a GPU; softmax's and the loss's exponentials are not rounded before their sum.
// Beside the float64 references, whose names and shapes it shares; source: torch without autocast, on half tensors.

import type { AttentionInputs, AttentionOptions } from "./attention.ts";
import { IGNORED_LABEL, type LinearCrossEntropyInputs } from "./cross_entropy.ts";
import { geluOf, geluSlope } from "./gelu.ts";
import type { LinearInputs } from "./linear.ts";
import type { RopeOptions } from "./rope.ts";

/** The nearest f16 number. */
export const half = (value: number): number => Math.f16round(value);

/** The nearest f16 numbers. */
export const halves = (values: Float64Array): Float64Array => values.map(half);

/** Σ of `length` terms in float32, rounded to f16 in the end. */
function sum(length: number, term: (i: number) => number): number {
  let total = 0;
  for (let i = 0; i < length; i++) total = Math.fround(total + Math.fround(term(i)));
  return half(total);
}

/** A matrix by element. */
function matrix(
  rows: number,
  columns: number,
  at: (m: number, n: number) => number,
): Float64Array {
  return Float64Array.from(
    { length: rows * columns },
    (_, i) => at(Math.floor(i / columns), i % columns),
  );
}

/** What {@linkcode linear} and its gradients need besides the inputs. */
export interface Widths {
  inFeatures: number;
  outFeatures: number;
  gelu?: boolean;
}

function preActivation({ x, weight, bias }: LinearInputs, { inFeatures, outFeatures }: Widths) {
  return matrix(x.length / inFeatures, outFeatures, (r, o) => {
    const product = sum(inFeatures, (i) => x[r * inFeatures + i]! * weight[o * inFeatures + i]!);
    return bias ? half(product + bias[o]!) : product;
  });
}

/** x Wᵀ, + bias, GELU, + residual: five roundings where all are there. */
export function linear(inputs: LinearInputs, widths: Widths): Float64Array {
  const { residual } = inputs;
  return preActivation(inputs, widths).map((pre, i) => {
    const y = widths.gelu ? half(geluOf(pre)) : pre;
    return residual ? half(y + residual[i]!) : y;
  });
}

export function linearBackward(inputs: LinearInputs, dy: Float64Array, widths: Widths) {
  const { x, weight } = inputs;
  const { inFeatures, outFeatures, gelu } = widths;
  const rows = x.length / inFeatures;
  const pre = gelu ? preActivation(inputs, widths) : dy;
  const d = gelu ? dy.map((value, i) => half(value * half(geluSlope(pre[i]!)))) : dy;
  return {
    dx: matrix(
      rows,
      inFeatures,
      (r, i) => sum(outFeatures, (o) => d[r * outFeatures + o]! * weight[o * inFeatures + i]!),
    ),
    dweight: matrix(
      outFeatures,
      inFeatures,
      (o, i) => sum(rows, (r) => d[r * outFeatures + o]! * x[r * inFeatures + i]!),
    ),
    dbias: matrix(1, outFeatures, (_, o) => sum(rows, (r) => d[r * outFeatures + o]!)),
    dresidual: dy,
  };
}

/** What both norms share: rows of C, the mean taken off first in LayerNorm. */
export interface NormInputs {
  x: Float64Array;
  weight: Float64Array;
  /** Absent in RMSNorm. */
  bias?: Float64Array;
}

export interface NormOptions {
  C: number;
  epsilon: number;
}

function normalize({ x, bias }: NormInputs, { C, epsilon }: NormOptions) {
  const rows = x.length / C;
  const n = new Float64Array(x.length);
  const inverses = new Float64Array(rows);
  for (let r = 0; r < rows; r++) {
    const row = x.subarray(r * C, (r + 1) * C);
    const mean = bias ? half(sum(C, (c) => row[c]!) / C) : 0;
    const centered = row.map((value) => half(value - mean));
    const square = half(sum(C, (c) => half(centered[c]! ** 2)) / C);
    inverses[r] = half(1 / half(Math.sqrt(half(square + epsilon))));
    n.set(centered.map((value) => half(value * inverses[r]!)), r * C);
  }
  return { rows, n, inverses };
}

/** RMSNorm, or LayerNorm where there is a bias. */
export function norm(inputs: NormInputs, options: NormOptions): Float64Array {
  const { weight, bias } = inputs;
  return normalize(inputs, options).n.map((value, i) => {
    const y = half(value * weight[i % options.C]!);
    return bias ? half(y + bias[i % options.C]!) : y;
  });
}

export function normBackward(inputs: NormInputs, dy: Float64Array, options: NormOptions) {
  const { C } = options;
  const { rows, n, inverses } = normalize(inputs, options);
  const dx = new Float64Array(dy.length);
  for (let r = 0; r < rows; r++) {
    const g = dy.subarray(r * C, (r + 1) * C).map((d, c) => half(d * inputs.weight[c]!));
    const nRow = n.subarray(r * C, (r + 1) * C);
    const mean = inputs.bias ? half(sum(C, (c) => g[c]!) / C) : 0;
    const meanGn = half(sum(C, (c) => half(g[c]! * nRow[c]!)) / C);
    g.forEach((value, c) => {
      dx[r * C + c] = half(inverses[r]! * half(half(value - mean) - half(nRow[c]! * meanGn)));
    });
  }
  const over = (term: (i: number) => number) =>
    Float64Array.from({ length: C }, (_, c) => sum(rows, (r) => term(r * C + c)));
  return { dx, dweight: over((i) => half(dy[i]! * n[i]!)), dbias: over((i) => dy[i]!) };
}

/** Scores, weights and result each rounded: softmax(q · kᵀ / √D) · v, and its gradients. */
export function attention(
  { q, k, v }: AttentionInputs,
  dy: Float64Array,
  { B, T, H, K, D, causal, keyMask }: AttentionOptions,
) {
  const y = new Float64Array(q.length);
  const [dq, dk, dv] = [q, k, v].map(({ length }) => new Float64Array(length));
  const add = (to: Float64Array, i: number, value: number) => to[i] = Math.fround(to[i]! + value);
  for (let row = 0; row < B * T * H; row++) {
    const [b, t, h] = [Math.floor(row / H / T), Math.floor(row / H) % T, row % H];
    const key = (s: number) => ((b * T + s) * K + Math.floor(h / (H / K))) * D;
    const keys = [...Array(T).keys()].filter((s) =>
      (!causal || s <= t) && (!keyMask || keyMask[b * T + s] !== 0)
    );
    const dot = (a: Float64Array, c: Float64Array, s: number) =>
      sum(D, (d) => a[row * D + d]! * c[key(s) + d]!);
    const scores = keys.map((s) => half(dot(q, k, s) / Math.sqrt(D)));
    const exponentials = scores.map((score) => Math.exp(score - Math.max(...scores)));
    const total = exponentials.reduce((a, c) => a + c, 0);
    const p = exponentials.map((e) => half(e / total));
    const dp = keys.map((s) => dot(dy, v, s));
    const delta = sum(keys.length, (j) => half(p[j]! * dp[j]!));
    const ds = p.map((weight, j) => half(half(weight * half(dp[j]! - delta)) / Math.sqrt(D)));
    for (let d = 0; d < D; d++) {
      y[row * D + d] = sum(keys.length, (j) => p[j]! * v[key(keys[j]!) + d]!);
      dq![row * D + d] = sum(keys.length, (j) => ds[j]! * k[key(keys[j]!) + d]!);
      keys.forEach((s, j) => {
        add(dk!, key(s) + d, ds[j]! * q[row * D + d]!);
        add(dv!, key(s) + d, p[j]! * dy[row * D + d]!);
      });
    }
  }
  return { y, dq: dq!, dk: halves(dk!), dv: halves(dv!) };
}

/** silu(gate) · up, and its gradients. */
export function swiglu(gate: Float64Array, up: Float64Array, dy: Float64Array) {
  const sigmoid = (g: number) => 1 / (1 + Math.exp(-g));
  const silu = gate.map((g) => half(g * sigmoid(g)));
  const slope = gate.map((g) => half(sigmoid(g) * (1 + g * (1 - sigmoid(g)))));
  return {
    y: silu.map((s, i) => half(s * up[i]!)),
    dgate: slope.map((s, i) => half(half(dy[i]! * up[i]!) * s)),
    dup: silu.map((s, i) => half(dy[i]! * s)),
  };
}

/** gelu(x), and its gradient. */
export function gelu(x: Float64Array, dy: Float64Array) {
  return { y: halves(x.map(geluOf)), dx: x.map((v, i) => half(dy[i]! * half(geluSlope(v)))) };
}

/** The rotation of {@linkcode RopeOptions}; `sign` -1 turns back. */
export function rope(x: Float64Array, { T, H, D, cos, sin }: RopeOptions, sign = 1): Float64Array {
  return x.map((value, i) => {
    const [d, t] = [i % D, Math.floor(i / (H * D)) % T];
    const isFirst = d < D / 2;
    const [c, s] = [cos, sin].map((table) => half(table[t * D / 2 + d % (D / 2)]!));
    const partner = x[isFirst ? i + D / 2 : i - D / 2]!;
    return half(half(value * c!) + half((isFirst ? -sign : sign) * partner * s!));
  });
}

/** Head and mean loss over labelled rows, with the gradients of `scale` times the loss. */
export function linearCrossEntropy(
  { hidden, weight }: LinearCrossEntropyInputs,
  { labels, C, scale }: { labels: Int32Array; C: number; scale: number },
) {
  const V = weight.length / C;
  const widths = { inFeatures: C, outFeatures: V };
  const logits = linear({ x: hidden, weight }, widths);
  const count = labels.filter((label) => label !== IGNORED_LABEL).length;
  const dlogits = new Float64Array(logits.length);
  let loss = 0;
  labels.forEach((label, r) => {
    if (label === IGNORED_LABEL) return;
    const row = logits.subarray(r * V, (r + 1) * V);
    const largest = row.reduce((a, b) => Math.max(a, b));
    const total = row.reduce((all, logit) => all + Math.exp(logit - largest), 0);
    loss += half(Math.log(total) + largest - row[label]!) / count;
    row.forEach((logit, v) => {
      const difference = Math.exp(logit - largest) / total - Number(v === label);
      dlogits[r * V + v] = half(scale / count * difference);
    });
  });
  const { dx, dweight } = linearBackward({ x: hidden, weight }, dlogits, widths);
  return { loss: half(loss), dhidden: dx, dweight };
}
