/**
 * Flash attention of both towers at a model's shapes, recorded by attention(), forward and its two backward kernels.
 */
import { patchesPerSide, type VLMConfig } from "../../model/config.ts";
import { imageTokens } from "../../model/inputs.ts";
import { attention } from "../../shaders/attention.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import {
  type Activation,
  bufferOf,
  elementBytes,
  persistent,
} from "../../shaders/runtime/tensor.ts";
import { assertClose, matmulBound } from "../gradcheck.ts";
import {
  attention as reference,
  attentionAbs,
  attentionBackward,
  attentionBackwardAbs,
  type AttentionOptions,
} from "../reference/attention.ts";
import type { KernelCase, PreparedCase, Work } from "./kernels.ts";
import { type NaiveAnswers, naiveAttention } from "./naive_attention.ts";
import { alias } from "./timing.ts";
import { randomOf, randomTensor, storageError } from "./values.ts";

interface Shape {
  readonly batch: number;
  readonly T: number;
  readonly heads: number;
  readonly kvHeads: number;
  readonly width: number;
  readonly causal: boolean;
  /** "f16": queries, keys, values, y and their gradients are f16. */
  readonly dtype: Activation;
}

/** Both towers of `config`, by batch size. */
export function attentionCases(
  preset: string,
  config: VLMConfig,
  { batches, dtype }: { batches: readonly number[]; dtype: Activation },
): KernelCase[] {
  const { vit_n_heads, vit_hidden_dim, lm_n_heads, lm_n_kv_heads, lm_hidden_dim } = config;
  const vision = {
    T: patchesPerSide(config) ** 2,
    heads: vit_n_heads,
    kvHeads: vit_n_heads,
    width: vit_hidden_dim / vit_n_heads,
    causal: false,
  };
  const text = {
    T: imageTokens(config) + config.lm_max_length,
    heads: lm_n_heads,
    kvHeads: lm_n_kv_heads,
    width: lm_hidden_dim / lm_n_heads,
    causal: true,
  };
  return batches.flatMap((batch) =>
    Object.entries({ vision, text }).map(([tower, shape]): KernelCase => ({
      name: `${preset} ${tower} attention, batch ${batch}`,
      section: "attention",
      dtype,
      prepare: (device) => prepare(device, { batch, ...shape, dtype }),
    }))
  );
}

async function prepare(device: Device, shape: Shape): Promise<PreparedCase> {
  const { batch, T, heads, kvHeads, width, causal, dtype } = shape;
  const packed = [batch, T, (heads + 2 * kvHeads) * width];
  const wide = [batch, T, heads * width];
  const [qkv, dy] = [packed, wide].map((dims) => randomTensor(device, dims, { dtype }));
  // The naive kernels read f32, holding the same numbers.
  const [naiveQkv, naiveDy] = [packed, wide].map((dims) =>
    persistent(device, "naive operand", dims, "f32", randomOf(dims, { dtype }))
  );
  if (!qkv || !dy || !naiveQkv || !naiveDy) throw new TypeError("Cannot make attention's inputs");
  const position = persistent(device, "position", [1], "u32");
  // As in nanoVLM, padding hides keys of the text; more of them in later rows.
  const visible = maskOf(shape);
  const mask = causal ? persistent(device, "mask", [batch, T], "u32", visible) : undefined;
  const options = { heads, kvHeads, width, causal, ...(mask ? { mask } : {}) };
  const { answers, times } = await naiveAttention(device, {
    qkv: naiveQkv,
    dy: naiveDy,
    ...options,
  });
  for (const tensor of [naiveQkv, naiveDy]) bufferOf(tensor).destroy();
  const record = (rec: Recorder, mark: (part: string | undefined) => void) => {
    mark("all");
    const input = alias(qkv, { gradient: true });
    const y = attention(rec, input, {
      heads,
      kvHeads,
      headWidth: width,
      causal,
      position,
      ...(mask ? { mask } : {}),
    });
    rec.backprop(y, dy);
    const dqkv = rec.gradientOf(input);
    if (!dqkv) throw new TypeError(`Cannot bench attention over ${qkv}: it gave no gradient`);
    return [y, dqkv];
  };
  return {
    subject: {
      build: record,
      check: (outputs) => check(outputs, answers, shape),
      // "attention.backward_q.vec4.subgroup"
      partOf: (_, kernel) => kernel.split(".")[1] ?? kernel,
    },
    parts: partsOf(shape),
    naive: times,
    tensors: [qkv, dy, position, ...(mask ? [mask] : [])],
  };
}

/** (B, T): row b hides 3 + 2·b keys behind the first third, at most a third of the row. */
function maskOf({ batch, T }: Shape): Uint32Array<ArrayBuffer> {
  const first = Math.floor(T / 3);
  return Uint32Array.from({ length: batch * T }, (_, i) => {
    const hidden = Math.min(first, 3 + 2 * Math.floor(i / T));
    return Number(i % T < first || i % T >= first + hidden);
  });
}

/**
 * Two products of a query and a key in the forward kernel, three in backward_q (scores, dp, dq), four in backward_kv
 * (scores, dp, dk, dv); with causality only pairs that see each other, whether or not a mask hides them.
 */
function partsOf({ batch, T, heads, kvHeads, width, causal, dtype }: Shape): Record<string, Work> {
  const pairs = batch * heads * (causal ? T * (T + 1) / 2 : T * T);
  const rows = elementBytes(dtype) * batch * T * width; // bytes of one head
  const shape = `${batch * heads} x ${T} x ${width}`;
  const qkv = heads + 2 * kvHeads;
  return {
    forward: { shape, flops: 4 * pairs * width, bytes: rows * (qkv + heads) },
    backward_q: { shape, flops: 6 * pairs * width, bytes: rows * (qkv + 3 * heads) },
    backward_kv: { shape, flops: 8 * pairs * width, bytes: rows * (qkv + heads + 2 * kvHeads) },
  };
}

/**
 * Compares the last sequence's values, ours and the naive ones, with the float64 reference. In f16 a value is rounded when it
 * is stored, and gradients also see y's rounding in Σ dy·y, whose terms are among theirs.
 */
function check(
  [y = new Float32Array(), dqkv = new Float32Array()]: readonly Float32Array[],
  naive: NaiveAnswers,
  shape: Shape,
): void {
  const { batch, T, heads: H, kvHeads: K, width: D, causal, dtype } = shape;
  const stride = (H + 2 * K) * D;
  const last = (array: Float32Array) => array.subarray(array.length - array.length / batch);
  const packed = last(randomOf([batch, T, stride], { dtype }));
  const dy = Float64Array.from(last(randomOf([batch, T, H * D], { dtype })));
  const part = (array: ArrayLike<number>, column: number, heads: number) =>
    Float64Array.from(
      { length: T * heads * D },
      (_, i) => array[Math.floor(i / heads / D) * stride + column * D + i % (heads * D)] ?? NaN,
    );
  const split = (array: ArrayLike<number>) => ({
    q: part(array, 0, H),
    k: part(array, H, K),
    v: part(array, H + K, K),
  });
  const keyMask = last(Float32Array.from(maskOf(shape)));
  const options: AttentionOptions = { B: 1, T, H, K, D, causal, ...(causal ? { keyMask } : {}) };
  const inputs = split(packed);
  const bound = matmulBound(Math.max(T, D), attentionAbs(inputs, options));
  const expected = reference(inputs, options);
  const terms = attentionBackwardAbs(inputs, dy, options);
  const exact = attentionBackward(inputs, dy, options);
  const depth = Math.max(T, D, T * H / K);
  const ours = split(last(dqkv));
  const byRows = (array: Float32Array, heads: number) => headsToRows(array, { T, H, D }, heads);
  const stored = (bound: Float64Array, sizes: Float64Array, times: number) => {
    const rounding = storageError(dtype, sizes);
    return bound.map((error, i) => error + times * (rounding[i] ?? 0));
  };
  assertClose(last(y), expected, { tolerance: stored(bound, expected, 1), name: "attention's y" });
  assertClose(byRows(naive.y, H), expected, { tolerance: bound, name: "naive attention's y" });
  for (const name of ["q", "k", "v"] as const) {
    const sizes = terms[`d${name}`];
    const tolerance = matmulBound(depth, sizes);
    const gradient = exact[`d${name}`];
    assertClose(ours[name], gradient, {
      tolerance: stored(tolerance, sizes, 2),
      name: `attention's d${name}`,
    });
    const naiveRows = byRows(naive[`d${name}`], name === "q" ? H : K);
    assertClose(naiveRows, gradient, { tolerance, name: `naive attention's d${name}` });
  }
}

/** (H, T, D) as (T, heads, D), summed over the heads that share one. */
function headsToRows(
  array: Float32Array,
  { T, H, D }: { T: number; H: number; D: number },
  heads: number,
): Float64Array {
  const rows = new Float64Array(T * heads * D);
  array.forEach((value, i) => {
    const [head, t, d] = [Math.floor(i / (T * D)), Math.floor(i / D) % T, i % D];
    const at = (t * heads + Math.floor(head / (H / heads))) * D + d;
    rows[at] = (rows[at] ?? 0) + value;
  });
  return rows;
}
