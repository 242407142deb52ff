// Every op's f16 form, in both families: error against float64 at most twice that of a naive f16 implementation.

import { assertEquals, assertLessOrEqual } from "@std/assert";
import { attention } from "../../shaders/attention.ts";
import { NO_ROW } from "../../shaders/embedding.ts";
import { gatherRows } from "../../shaders/gather_rows.ts";
import { gelu } from "../../shaders/gelu.ts";
import { kvAppend } from "../../shaders/kv_append.ts";
import { layerNorm } from "../../shaders/layer_norm.ts";
import { linear } from "../../shaders/linear.ts";
import { linearCrossEntropy } from "../../shaders/linear_cross_entropy.ts";
import { patchify } from "../../shaders/patchify.ts";
import { pixelShuffle } from "../../shaders/pixel_shuffle.ts";
import { rmsNorm } from "../../shaders/rms_norm.ts";
import { rope, ropeTable } from "../../shaders/rope.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { swiglu } from "../../shaders/swiglu.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import {
  attention as attentionExact,
  attentionBackward,
  type AttentionOptions,
} from "../reference/attention.ts";
import {
  linearCrossEntropy as linearCrossEntropyExact,
  linearCrossEntropyBackward,
} from "../reference/cross_entropy.ts";
import { gelu as geluExact, geluBackward } from "../reference/gelu.ts";
import * as naive from "../reference/half.ts";
import { layerNorm as layerNormExact, layerNormBackward } from "../reference/layer_norm.ts";
import { linear as linearExact, linearBackward, linearBackwardAbs } from "../reference/linear.ts";
import { rmsNorm as rmsNormExact, rmsNormBackward } from "../reference/rms_norm.ts";
import { rope as ropeExact, ropeBackward } from "../reference/rope.ts";
import { swiglu as swigluExact, swigluBackward } from "../reference/swiglu.ts";
import { type OpInput, runOp, testOnDevices } from "./harness.ts";

/** f16 numbers, normally distributed. */
function normals(seed: number, length: number, deviation = 1): Float64Array {
  return naive.halves(seededRandom(seed).normal(length, deviation));
}

/** Root mean square and largest error. */
function errors(found: ArrayLike<number>, exact: Float64Array): [number, number] {
  assertEquals(found.length, exact.length);
  const all = exact.map((value, i) => Math.abs(found[i]! - value));
  // NaN stays NaN in both, and fails.
  return [Math.sqrt(all.reduce((sum, e) => sum + e * e, 0) / all.length), Math.max(...all)];
}

/** `once`: nothing but the result itself is rounded to f16. */
function assertNoWorse(
  found: ArrayLike<number>,
  exact: Float64Array,
  { name, naive, once = false }: { name: string; naive: Float64Array; once?: boolean },
): void {
  const [ours, theirs] = [errors(found, exact), errors(naive, exact)];
  ["root mean square", "largest"].forEach((kind, i) =>
    assertLessOrEqual(ours[i]!, 2 * theirs[i]!, `${kind} error of ${name}`)
  );
  if (!once) return;
  // Half a unit in the last place, of normal numbers and of the others; and room for float32's errors, 2⁻¹⁷ of the largest.
  const largest = Math.max(...exact.map(Math.abs));
  const tolerance = exact.map((value) =>
    2 ** -11 * Math.abs(value) + 2 ** -25 + 2 ** -17 * largest
  );
  assertClose(found, exact, { tolerance, name });
}

function testOnHalf(name: string, test: (device: Device) => Promise<void>): void {
  testOnDevices(name, async (device) => {
    if (!device.f16) return console.log(`skipped: ${device.description} has no shader-f16`);
    await test(device);
  });
}

const LINEAR_CASES = [
  { name: "odd widths", shape: [19, 13, 35] },
  { name: "odd widths with a bias", shape: [19, 13, 35], bias: true },
  { name: "bias and GELU", shape: [37, 64, 96], bias: true, gelu: true },
  { name: "odd widths with bias and residual", shape: [19, 13, 35], bias: true, residual: true },
  { name: "nanoVLM's down_proj", shape: [64, 1536, 64], residual: true },
] as const;

for (const { name, shape: [rows, inFeatures, outFeatures], ...fused } of LINEAR_CASES) {
  const { bias: hasBias, gelu, residual: hasResidual } = {
    ...{ bias: false, gelu: false, residual: false },
    ...fused,
  };
  testOnHalf(`linear() in f16 errs no more than twice naive f16, with ${name}`, async (device) => {
    const x = normals(1, rows * inFeatures);
    const weight = normals(2, outFeatures * inFeatures, 1 / Math.sqrt(inFeatures));
    const bias = normals(3, outFeatures);
    const residual = normals(4, rows * outFeatures);
    const dy = normals(5, rows * outFeatures);
    const inputs = {
      x: { shape: [rows, inFeatures], data: x, dtype: "f16" },
      weight: { shape: [outFeatures, inFeatures], data: weight, parameter: true },
      bias: { shape: [outFeatures], data: bias, parameter: true },
      residual: { shape: [rows, outFeatures], data: residual },
    } as const satisfies Record<string, OpInput>;
    const run = await runOp(device, inputs, (rec, given) =>
      linear(rec, given.x, {
        weight: given.weight,
        ...(hasBias ? { bias: given.bias } : {}),
        ...(hasResidual ? { residual: given.residual } : {}),
        gelu,
      }), { dy, activation: "f16" });
    assertEquals(run.y instanceof Float16Array, !hasResidual, "the residual stream is f32");
    const given = { x, weight, ...(hasBias ? { bias } : {}), ...(hasResidual ? { residual } : {}) };
    const options = { inFeatures, outFeatures, gelu };
    assertNoWorse(run.y, linearExact(given, options), {
      name: "y",
      naive: naive.linear(given, options),
      once: !gelu, // GELU is of the sum as it is kept for the backward pass, rounded
    });
    const exact = linearBackward(given, dy, options);
    const ruler = naive.linearBackward(given, dy, options);
    const names = ["x", "weight", ...(hasBias ? ["bias"] : [])] as ("x" | "weight" | "bias")[];
    for (const name of names) {
      const gradient = { name: `d${name}`, naive: ruler[`d${name}`], once: !gelu };
      assertNoWorse(run.gradients[name]!, exact[`d${name}`], gradient);
    }
    // Without GELU, whose gradient is f16, these see nothing rounded: they are as good as in float32.
    if (gelu) return;
    const sums = linearBackwardAbs(given, dy, options);
    for (const name of names.filter((name) => name !== "x")) {
      const tolerance = matmulBound(rows, sums[`d${name}`]);
      assertClose(run.gradients[name]!, exact[`d${name}`], { tolerance, name: `d${name}` });
    }
  });
}

testOnHalf("linear() in f16 adds to an f16 gradient that is there already", async (device) => {
  const [x, weight, dy] = [normals(1, 7 * 8), normals(2, 12 * 8), normals(3, 7 * 12)];
  const run = await runOp(
    device,
    {
      x: { shape: [7, 8], data: x, dtype: "f16" },
      weight: { shape: [12, 8], data: weight, parameter: true },
    },
    (rec, given) => linear(rec, given.x, given),
    { dy, existing: 3, activation: "f16" },
  );
  const { dx } = linearBackward({ x, weight }, dy, { inFeatures: 8, outFeatures: 12 });
  const expected = dx.map((value) => value + 3);
  // One rounding to f16, of 2⁻¹¹, and float32's.
  const tolerance = expected.map((value) => 2 ** -11 * Math.abs(value) + 1e-5);
  assertClose(run.gradients.x!, expected, { tolerance });
});

const ATTENTION_CASES: (AttentionOptions & { name: string })[] = [
  { name: "an odd head width and grouped heads", B: 2, T: 13, H: 6, K: 2, D: 6, causal: true },
  { name: "odd lengths, bidirectional", B: 2, T: 19, H: 3, K: 3, D: 16, causal: false },
  { name: "a key mask", B: 1, T: 27, H: 4, K: 2, D: 20, causal: true, keyMask: mask(27) },
  { name: "nanoVLM's heads", B: 1, T: 49, H: 3, K: 1, D: 64, causal: true },
];

function mask(T: number): number[] {
  return Array.from({ length: T }, (_, i) => Number(i % 9 !== 4));
}

for (const options of ATTENTION_CASES) {
  testOnHalf(
    `attention() in f16 errs no more than twice naive f16, with ${options.name}`,
    async (device) => {
      const { B, T, H, K, D, causal, keyMask } = options;
      const [q, k] = [normals(1, B * T * H * D), normals(2, B * T * K * D)];
      const [v, dy] = [normals(3, B * T * K * D), normals(4, B * T * H * D)];
      const pack = (...parts: readonly Float64Array[]) => {
        const widths = [H * D, K * D, K * D];
        const rows = Array.from(
          { length: B * T },
          (_, row) =>
            parts.flatMap((
              part,
              i,
            ) => [...part.subarray(row * widths[i]!, (row + 1) * widths[i]!)]),
        );
        return Float64Array.from(rows.flat());
      };
      const run = await runOp(device, {
        qkv: { shape: [B, T, (H + 2 * K) * D], data: pack(q, k, v), dtype: "f16" },
        position: { shape: [1], data: [0], dtype: "u32" },
        mask: { shape: [B, T], data: keyMask ?? mask(B * T), dtype: "u32" },
      }, (rec, { qkv, position, mask }) => {
        const shape = { heads: H, kvHeads: K, headWidth: D, causal, position };
        return attention(rec, qkv, keyMask ? { ...shape, mask } : shape);
      }, { dy });
      const ruler = naive.attention({ q, k, v }, dy, options);
      const exact = attentionBackward({ q, k, v }, dy, options);
      assertNoWorse(run.y, attentionExact({ q, k, v }, options), {
        name: "y",
        naive: ruler.y,
        once: true,
      });
      assertNoWorse(run.gradients.qkv!, pack(exact.dq, exact.dk, exact.dv), {
        name: "dqkv",
        naive: pack(ruler.dq, ruler.dk, ruler.dv),
      });
    },
  );
}

for (const [rows, C] of [[5, 37], [64, 576]] as const) {
  testOnHalf(`norms in f16 err no more than twice naive f16, ${rows} x ${C}`, async (device) => {
    const [x, weight, bias] = [normals(1, rows * C), normals(2, C), normals(3, C)];
    const dy = normals(4, rows * C);
    const options = { C, epsilon: 1e-5 };
    const inputs = {
      x: { shape: [rows, C], data: x },
      weight: { shape: [C], data: weight, parameter: true },
      bias: { shape: [C], data: bias, parameter: true },
    } as const;
    const run = { dy, activation: "f16" } as const;
    const rms = await runOp(
      device,
      inputs,
      (rec, { x, weight }) => rmsNorm(rec, x, weight, 1e-5),
      run,
    );
    const layer = await runOp(
      device,
      inputs,
      (rec, { x, weight, bias }) => layerNorm(rec, x, weight, bias, 1e-5),
      run,
    );
    const rmsGradients = rmsNormBackward({ x, weight }, dy, options);
    const layerGradients = layerNormBackward({ x, weight, bias }, dy, options);
    const rulers = [{ x, weight }, { x, weight, bias }].map((given) => ({
      y: naive.norm(given, options),
      ...naive.normBackward(given, dy, options),
    }));
    const check = (
      found: ArrayLike<number>,
      exact: Float64Array,
      [name, norm]: ["y" | "dx" | "dweight" | "dbias", 0 | 1],
    ) => assertNoWorse(found, exact, { name, naive: rulers[norm]![name], once: true });
    check(rms.y, rmsNormExact({ x, weight }, options), ["y", 0]);
    check(rms.gradients.x!, rmsGradients.dx, ["dx", 0]);
    check(rms.gradients.weight!, rmsGradients.dweight, ["dweight", 0]);
    check(layer.y, layerNormExact({ x, weight, bias }, options), ["y", 1]);
    check(layer.gradients.x!, layerGradients.dx, ["dx", 1]);
    check(layer.gradients.weight!, layerGradients.dweight, ["dweight", 1]);
    check(layer.gradients.bias!, layerGradients.dbias, ["dbias", 1]);
    assertEquals([rms.y, layer.y].map((y) => y instanceof Float16Array), [true, true]);
  });
}

testOnHalf("swiglu() and gelu() in f16 err no more than twice naive f16", async (device) => {
  const [gate, up, dy] = [normals(1, 77, 3), normals(2, 77), normals(3, 77)];
  const rows = Float64Array.from({ length: 154 }, (_, i) => {
    const at = Math.floor(i / 22) * 11 + i % 11;
    return (i % 22 < 11 ? gate : up)[at]!;
  });
  const run = await runOp(
    device,
    { gateUp: { shape: [7, 22], data: rows, dtype: "f16" } },
    (rec, { gateUp }) => swiglu(rec, gateUp),
    { dy },
  );
  const exact = swigluBackward({ gate, up }, dy);
  const ruler = naive.swiglu(gate, up, dy);
  assertNoWorse(run.y, swigluExact({ gate, up }), { name: "swiglu", naive: ruler.y, once: true });
  const d = Float64Array.from(run.gradients.gateUp!);
  const [dgate, dup] = [d.filter((_, i) => i % 22 < 11), d.filter((_, i) => i % 22 >= 11)];
  assertNoWorse(dgate, exact.dgate, { name: "dgate", naive: ruler.dgate, once: true });
  assertNoWorse(dup, exact.dup, { name: "dup", naive: ruler.dup, once: true });

  const x = { shape: [77], data: gate, dtype: "f16" } as const;
  const activated = await runOp(device, { x }, (rec, { x }) => gelu(rec, x), { dy });
  const geluRuler = naive.gelu(gate, dy);
  assertNoWorse(activated.y, geluExact({ x: gate }), {
    name: "gelu",
    naive: geluRuler.y,
    once: true,
  });
  assertNoWorse(activated.gradients.x!, geluBackward({ x: gate }, dy).dx, {
    name: "dx of gelu",
    naive: geluRuler.dx,
    once: true,
  });
});

testOnHalf("rope() in f16 errs no more than twice naive f16", async (device) => {
  const [T, H, D] = [37, 3, 16];
  const [x, dy] = [normals(1, T * H * D), normals(2, T * H * D)];
  const table = ropeTable(T, D, { base: 1e4, maxPositions: T, scaling: 1 });
  const shape = [T, D / 2];
  const run = await runOp(
    device,
    {
      qkv: { shape: [1, T, H * D], data: x, dtype: "f16" },
      cos: { shape, data: table.cos, needsGradient: false },
      sin: { shape, data: table.sin, needsGradient: false },
      position: { shape: [1], data: [0], dtype: "u32" },
    },
    (rec, { qkv, ...tables }) => rope(rec, qkv, { heads: H, headWidth: D, ...tables }),
    { dy },
  );
  const options = { T, H, D, cos: Float64Array.from(table.cos), sin: Float64Array.from(table.sin) };
  assertNoWorse(run.y, ropeExact({ x }, options), {
    name: "y",
    naive: naive.rope(x, options),
    once: true,
  });
  assertNoWorse(run.gradients.qkv!, ropeBackward(dy, options).dx, {
    name: "dqkv",
    naive: naive.rope(dy, options, -1),
    once: true,
  });
});

testOnHalf("linearCrossEntropy() in f16 errs no more than twice naive f16", async (device) => {
  const [rows, C, V, scale] = [23, 24, 131, 1024];
  const [hidden, weight] = [normals(1, rows * C), normals(2, V * C, 0.3)];
  const labels = seededRandom(3).integers(rows, V).map((label, r) => r % 3 === 1 ? -100 : label);
  const list = [...labels.keys()].filter((r) => labels[r] !== -100);
  const run = await runOp(
    device,
    {
      hidden: { shape: [rows, C], data: hidden, dtype: "f16" },
      weight: { shape: [V, C], data: weight, parameter: true },
      rows: { shape: [rows], data: filled(list, rows), dtype: "u32" },
      labels: { shape: [rows], data: filled(list.map((r) => labels[r]!), rows), dtype: "u32" },
      count: { shape: [1], data: [list.length], dtype: "u32" },
      lossScale: { shape: [1], data: [scale], needsGradient: false },
    },
    (rec, given) => linearCrossEntropy(rec, given.hidden, given.weight, given).loss,
    { dy: [1], activation: "f16" },
  );
  const given = { hidden, weight };
  const ruler = naive.linearCrossEntropy(given, { labels, C, scale });
  const exact = linearCrossEntropyBackward(given, scale, { labels, C });
  assertNoWorse(run.y, Float64Array.of(linearCrossEntropyExact(given, { labels, C }).loss), {
    name: "loss",
    naive: Float64Array.of(ruler.loss),
  });
  assertNoWorse(run.gradients.hidden!, exact.dhidden, { name: "dhidden", naive: ruler.dhidden });
  assertNoWorse(run.gradients.weight!, exact.dweight, { name: "dweight", naive: ruler.dweight });
});

function filled(values: readonly number[], length: number): number[] {
  return Array.from({ length }, (_, i) => values[i] ?? NO_ROW);
}

testOnHalf("ops that move numbers move f16 numbers exactly", async (device) => {
  const [x, dy] = [normals(1, 4 * 4 * 3), normals(2, 4 * 4 * 3)];
  const shuffled = await runOp(
    device,
    { x: { shape: [1, 16, 3], data: x, dtype: "f16" } },
    (rec, { x }) => pixelShuffle(rec, x, 2),
    { dy },
  );
  assertEquals(Array.from(shuffled.y).sort(), Array.from(x).sort());
  assertEquals(Array.from(shuffled.y.subarray(0, 6)), Array.from(x.subarray(0, 6)));
  assertEquals(Array.from(shuffled.gradients.x!.subarray(0, 6)), Array.from(dy.subarray(0, 6)));

  const gathered = await runOp(
    device,
    {
      x: { shape: [16, 3], data: x, dtype: "f16" },
      rows: { shape: [2], data: [7, NO_ROW], dtype: "u32" },
    },
    (rec, { x, rows }) => gatherRows(rec, x, rows),
    { dy: dy.subarray(0, 6) },
  );
  assertEquals(Array.from(gathered.y), [...x.subarray(21, 24), 0, 0, 0]);
  const dx = new Float32Array(48);
  dx.set(dy.subarray(0, 3), 21);
  assertEquals(gathered.gradients.x, dx);

  const appended = await runOp(device, {
    qkv: { shape: [1, 2, 3], data: x.subarray(0, 6), dtype: "f16" },
    position: { shape: [1], data: [1], dtype: "u32" },
    cache: { shape: [1, 3, 2], data: new Float64Array(6).fill(-1), dtype: "f16" },
  }, (rec, { qkv, position, cache }) => {
    kvAppend(rec, qkv, cache, position);
    return cache;
  });
  assertEquals(Array.from(appended.y), [-1, -1, x[1]!, x[2]!, x[4]!, x[5]!]);
});

testOnHalf("patchify() in f16 rounds pixels once", async (device) => {
  const images = seededRandom(1).uniform(3 * 4 * 4, 0, 1);
  const inputs = { images: { shape: [1, 3, 4, 4], data: images, needsGradient: false } } as const;
  const run = (activation: "f32" | "f16") =>
    runOp(device, inputs, (rec, { images }) => patchify(rec, images, 2), { activation });
  const [exact, rounded] = [await run("f32"), await run("f16")];
  assertEquals(rounded.y, Float16Array.from(exact.y));
});
