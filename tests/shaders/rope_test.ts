// rope() and ropeTable() against the float64 reference.
import { assertEquals, assertThrows } from "@std/assert";
import { rope, ropeTable } from "../../shaders/rope.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import { rope as reference, ropeAbs, ropeBackward, ropeTables } from "../reference/rope.ts";
import { runOp, testOnDevices } from "./harness.ts";

interface Case {
  B: number;
  T: number;
  heads: number;
  D: number;
  /** Columns of each row beyond the rotated heads. */
  rest: number;
  offset?: number;
}

/** Applies a (B, T, H, D) function to the rotated part of rows of `stride`, leaving the rest as it is. */
function onHeads(
  rows: Float64Array,
  { heads, D, rest }: Case,
  f: (x: Float64Array) => Float64Array,
): Float64Array {
  const [wide, stride] = [heads * D, heads * D + rest];
  const result = f(rows.filter((_, i) => i % stride < wide));
  return rows.map((value, i) => {
    const column = i % stride;
    return column < wide ? result[Math.floor(i / stride) * wide + column]! : value;
  });
}

async function check(device: Device, size: Case): Promise<void> {
  const { B, T, heads, D, rest, offset = 0 } = size;
  const stride = heads * D + rest;
  const random = seededRandom(T * 100 + D);
  const qkv = random.normal(B * T * stride);
  const dy = random.normal(B * T * stride);
  const length = offset + T + 2;
  const table = ropeTable(length, D, { base: 1e5, maxPositions: length, scaling: 0.8 });
  const shape = [length, D / 2];
  const run = await runOp(
    device,
    {
      qkv: { shape: [B, T, stride], data: qkv },
      cos: { shape, data: table.cos, needsGradient: false },
      sin: { shape, data: table.sin, needsGradient: false },
      position: { shape: [1], data: [offset], dtype: "u32" },
    },
    (rec, { qkv, ...tables }) => rope(rec, qkv, { heads, headWidth: D, ...tables }),
    { dy },
  );
  const rows = (part: Float32Array) =>
    Float64Array.from(part.subarray(offset * D / 2, (offset + T) * D / 2));
  const options = { T, H: heads, D, cos: rows(table.cos), sin: rows(table.sin) };
  const terms = (rows: Float64Array) =>
    onHeads(rows, size, (x) => ropeAbs({ x }, options)).map(Math.abs);
  assertClose(run.y, onHeads(qkv, size, (x) => reference({ x }, options)), {
    tolerance: matmulBound(2, terms(qkv)),
    name: "y",
  });
  assertClose(run.gradients.qkv!, onHeads(dy, size, (x) => ropeBackward(x, options).dx), {
    tolerance: matmulBound(2, terms(dy)),
    name: "dqkv",
  });
}

testOnDevices("rope() rotates queries and keys, and leaves values as they are", async (device) => {
  await check(device, { B: 2, T: 5, heads: 3, D: 6, rest: 7 });
  await check(device, { B: 1, T: 1, heads: 1, D: 2, rest: 0 });
  await check(device, { B: 1, T: 3, heads: 2, D: 8, rest: 3 });
});
testOnDevices(
  "rope() begins at the position that the GPU holds",
  (device) => check(device, { B: 3, T: 1, heads: 2, D: 8, rest: 4, offset: 17 }),
);
testOnDevices(
  "rope() matches float64 at SmolLM2's heads",
  (device) => check(device, { B: 2, T: 64, heads: 12, D: 64, rest: 192 }),
);

Deno.test("ropeTable() is float32's rounding of the reference, scaled beyond the maximum", () => {
  for (const maxPositions of [8192, 40]) {
    const options = { base: 1e5, maxPositions };
    const { cos, sin } = ropeTable(128, 64, { ...options, scaling: 0.8 });
    const exact = ropeTables({ T: 128, D: 64, ...options, attnScaling: 0.8 });
    // Two roundings: of the cosine and of its product.
    assertClose(cos, exact.cos, { tolerance: exact.cos.map((c) => 2 ** -23 * Math.abs(c)) });
    assertClose(sin, exact.sin, { tolerance: exact.sin.map((s) => 2 ** -23 * Math.abs(s)) });
    assertEquals(cos[0], Math.fround(0.8));
  }
});

Deno.test("ropeTable() refuses odd head widths", () => {
  const options = { base: 1e4, maxPositions: 8, scaling: 1 };
  assertThrows(() => ropeTable(8, 7, options), RangeError, "head width 7");
});
