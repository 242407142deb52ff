// Attention's kernels against the float64 reference, in both families and with both kinds of loads.

import { assertThrows } from "@std/assert";
import { attention } from "../../shaders/attention.ts";
import { persistent } from "../../shaders/runtime/tensor.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import {
  attention as reference,
  attentionAbs,
  attentionBackward,
  attentionBackwardAbs,
  type AttentionInputs,
  type AttentionOptions,
} from "../reference/attention.ts";
import { runOp, testOnDevices } from "./harness.ts";

interface Case extends AttentionOptions {
  name: string;
  deviation?: number;
}

const CASES: Case[] = [
  { name: "size 1", B: 1, T: 1, H: 1, K: 1, D: 1, causal: true },
  { name: "an odd head width and grouped heads", B: 2, T: 13, H: 6, K: 2, D: 6, causal: true },
  { name: "odd lengths, bidirectional", B: 2, T: 19, H: 3, K: 3, D: 16, causal: false },
  { name: "peaked scores", B: 1, T: 33, H: 2, K: 1, D: 32, causal: true, deviation: 3 },
  { name: "head width 128", B: 1, T: 21, H: 2, K: 1, D: 128, causal: true },
  { name: "a key mask", B: 2, T: 27, H: 4, K: 2, D: 20, causal: true, keyMask: mask(2, 27) },
  { name: "nanoVLM's language model", B: 1, T: 128, H: 9, K: 3, D: 64, causal: true },
  { name: "nanoVLM's vision tower", B: 1, T: 196, H: 2, K: 2, D: 64, causal: false },
];

/** Row 0 hides its first key (so query 0 sees none) and one in the middle, row 1 nothing. */
function mask(B: number, T: number): number[] {
  return Array.from({ length: B * T }, (_, i) => i === 0 || i === 9 ? 0 : 1);
}

for (const options of CASES) {
  testOnDevices(
    `attention() and its gradients match float64 for ${options.name}`,
    async (device) => {
      const { B, T, H, K, D, causal } = options;
      const inputs = randomInputs(options);
      const dy = seededRandom(2).normal(inputs.q.length);
      const run = await runOp(device, {
        qkv: { shape: [B, T, (H + 2 * K) * D], data: pack(inputs, options) },
        position: { shape: [1], data: [0], dtype: "u32" },
        mask: { shape: [B, T], data: options.keyMask ?? new Uint32Array(B * T), dtype: "u32" },
      }, (rec, { qkv, position, mask }) => {
        const shape = { heads: H, kvHeads: K, headWidth: D, causal, position };
        return attention(rec, qkv, options.keyMask ? { ...shape, mask } : shape);
      }, { dy });
      const abs = attentionAbs(inputs, options);
      assertClose(run.y, reference(inputs, options), {
        tolerance: matmulBound(Math.max(T, D), abs),
        name: "y",
      });
      const reduction = Math.max(T, D, T * H / K);
      const sums = attentionBackwardAbs(inputs, dy, options);
      const gradients = attentionBackward(inputs, dy, options);
      const packed = (g: { dq: Float64Array; dk: Float64Array; dv: Float64Array }) =>
        pack({ q: g.dq, k: g.dk, v: g.dv }, options);
      assertClose(run.gradients.qkv!, packed(gradients), {
        tolerance: matmulBound(reduction, packed(sums)),
        name: "dqkv",
      });
    },
  );
}

testOnDevices("attention() adds to a gradient that is there already", async (device) => {
  const options = { B: 1, T: 11, H: 2, K: 1, D: 8, causal: true };
  const inputs = randomInputs(options);
  const dy = seededRandom(3).normal(inputs.q.length);
  const run = await runOp(
    device,
    {
      qkv: { shape: [1, 11, 32], data: pack(inputs, options) },
      position: { shape: [1], data: [0], dtype: "u32" },
    },
    (rec, { qkv, position }) =>
      attention(rec, qkv, { heads: 2, kvHeads: 1, headWidth: 8, causal: true, position }),
    {
      dy,
      existing: 100,
    },
  );
  const { dq, dk, dv } = attentionBackward(inputs, dy, options);
  const expected = pack({ q: dq, k: dk, v: dv }, options).map((value) => value + 100);
  assertClose(run.gradients.qkv!, expected, { tolerance: 200 * 2 ** -23, name: "dqkv" });
});

testOnDevices("attention() decodes from a cache at the position on the GPU", async (device) => {
  const options = { B: 2, T: 1, S: 37, H: 4, K: 2, D: 16, causal: true, offset: 22 };
  const inputs = randomInputs(options);
  const run = await runOp(
    device,
    {
      qkv: { shape: [2, 1, 8 * 16], data: pack(inputs, { ...options, S: 1 }) },
      cache: { shape: [2, 37, 2 * 2 * 16], data: packCache(inputs, options) },
      position: { shape: [1], data: [22], dtype: "u32" },
    },
    (rec, { qkv, cache, position }) =>
      attention(rec, qkv, { heads: 4, kvHeads: 2, headWidth: 16, causal: true, position, cache }),
  );
  assertClose(run.y, reference(inputs, options), {
    tolerance: matmulBound(37, attentionAbs(inputs, options)),
    name: "y",
  });
});

testOnDevices("attention() decodes each sequence at its own position", async (device) => {
  const options = { B: 2, T: 1, S: 29, H: 2, K: 1, D: 16, causal: true };
  const inputs = randomInputs(options);
  const offsets = [5, 27];
  const run = await runOp(
    device,
    {
      qkv: { shape: [2, 1, 4 * 16], data: pack(inputs, { ...options, S: 1 }) },
      cache: { shape: [2, 29, 2 * 16], data: packCache(inputs, options) },
      position: { shape: [2], data: offsets, dtype: "u32" },
    },
    (rec, { qkv, cache, position }) =>
      attention(rec, qkv, { heads: 2, kvHeads: 1, headWidth: 16, causal: true, position, cache }),
  );
  offsets.forEach((offset, b) => {
    const row = (values: Float64Array | Float32Array) => values.slice(b * 32, (b + 1) * 32);
    const expected = reference(inputs, { ...options, offset });
    const tolerance = matmulBound(29, attentionAbs(inputs, { ...options, offset }));
    assertClose(row(run.y as Float32Array), Float64Array.from(row(expected)), {
      tolerance: Float64Array.from(row(tolerance)),
      name: `y of sequence ${b}`,
    });
  });
});

testOnDevices("attention() refuses shapes that do not fit", (device) => {
  const qkv = persistent(device, "qkv", [1, 4, 24]);
  const position = persistent(device, "position", [1], "u32");
  const shape = { heads: 2, kvHeads: 1, headWidth: 8, causal: true, position };
  assertThrows(
    () => attention(undefined as unknown as Recorder, qkv, shape),
    TypeError,
    "expected 2 query",
  );
  return Promise.resolve();
});

function randomInputs(
  { B, T, S = T, H, K, D, deviation = 1 }: AttentionOptions & { deviation?: number },
): AttentionInputs {
  const random = seededRandom(1);
  return {
    q: random.normal(B * T * H * D, deviation),
    k: random.normal(B * S * K * D, deviation),
    v: random.normal(B * S * K * D),
  };
}

/** q, k and v side by side: (B, T, (H + 2K)·D); keys and values past T are left out. */
function pack({ q, k, v }: AttentionInputs, { B, T, H, K, D }: AttentionOptions): Float64Array {
  const stride = (H + 2 * K) * D;
  const packed = new Float64Array(B * T * stride);
  for (let row = 0; row < B * T; row++) {
    packed.set(q.subarray(row * H * D, (row + 1) * H * D), row * stride);
    packed.set(k.subarray(row * K * D, (row + 1) * K * D), row * stride + H * D);
    packed.set(v.subarray(row * K * D, (row + 1) * K * D), row * stride + (H + K) * D);
  }
  return packed;
}

function packCache({ k, v }: AttentionInputs, { B, S = 0, K, D }: AttentionOptions): Float64Array {
  const packed = new Float64Array(B * S * 2 * K * D);
  for (let row = 0; row < B * S; row++) {
    packed.set(k.subarray(row * K * D, (row + 1) * K * D), row * 2 * K * D);
    packed.set(v.subarray(row * K * D, (row + 1) * K * D), (row * 2 + 1) * K * D);
  }
  return packed;
}
