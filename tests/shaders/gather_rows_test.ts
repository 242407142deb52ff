// Rows by index, and appending to a decoding cache: exact copies, checked element by element.

import { assertEquals } from "@std/assert";
import { NO_ROW } from "../../shaders/embedding.ts";
import { gatherRows } from "../../shaders/gather_rows.ts";
import { kvAppend } from "../../shaders/kv_append.ts";
import { seededRandom } from "../gradcheck.ts";
import { runOp, testOnDevices } from "./harness.ts";

testOnDevices("gatherRows() takes rows by index and hands their gradients back", async (device) => {
  const x = seededRandom(1).normal(9 * 5);
  const dy = seededRandom(2).normal(4 * 5);
  const rows = [7, NO_ROW, 0, 3];
  const run = await runOp(
    device,
    {
      x: { shape: [9, 5], data: x },
      rows: { shape: [4], data: rows, dtype: "u32" },
    },
    (rec, given) => gatherRows(rec, given.x, given.rows),
    { dy },
  );
  const expected = new Float32Array(20);
  const gradient = new Float32Array(45);
  rows.forEach((row, i) => {
    if (row === NO_ROW) return;
    expected.set(x.subarray(row * 5, row * 5 + 5), i * 5);
    gradient.set(dy.subarray(i * 5, i * 5 + 5), row * 5);
  });
  assertEquals(run.y, expected);
  assertEquals(run.gradients.x, gradient);
});

testOnDevices("gatherRows() adds to a gradient that is there already", async (device) => {
  const run = await runOp(
    device,
    {
      x: { shape: [3, 1], data: [1, 2, 3] },
      rows: { shape: [2], data: [2, 1], dtype: "u32" },
    },
    (rec, given) => gatherRows(rec, given.x, given.rows),
    { dy: [10, 20], existing: 1 },
  );
  assertEquals(run.gradients.x, Float32Array.of(1, 21, 11));
});

testOnDevices(
  "kvAppend() writes at the position and drops what is past the end",
  async (device) => {
    // Two sequences of three rows: one query float, then two of keys and values; a cache of five rows.
    const qkv = Float32Array.from({ length: 18 }, (_, i) => i);
    const run = await runOp(device, {
      qkv: { shape: [2, 3, 3], data: qkv },
      position: { shape: [1], data: [3], dtype: "u32" },
      cache: { shape: [2, 5, 2], data: new Float32Array(20).fill(-1) },
    }, (rec, given) => {
      kvAppend(rec, given.qkv, given.cache, given.position);
      return given.cache;
    });
    const kept = [-1, -1, -1, -1, -1, -1];
    assertEquals(run.inputs.cache, Float32Array.of(...kept, 1, 2, 4, 5, ...kept, 10, 11, 13, 14));
  },
);

testOnDevices("kvAppend() takes a position for each sequence", async (device) => {
  const run = await runOp(device, {
    qkv: { shape: [2, 1, 3], data: [0, 1, 2, 3, 4, 5] },
    position: { shape: [2], data: [2, 0], dtype: "u32" },
    cache: { shape: [2, 3, 2], data: new Float32Array(12) },
  }, (rec, given) => {
    kvAppend(rec, given.qkv, given.cache, given.position);
    return given.cache;
  });
  assertEquals(run.inputs.cache, Float32Array.of(0, 0, 0, 0, 1, 2, 4, 5, 0, 0, 0, 0));
});

testOnDevices("kvAppend() moves rows of fours behind any queries", async (device) => {
  // Rows of eight keys and values, behind four queries (whole quads) or one.
  for (const queries of [4, 1]) {
    const [B, T, S, width] = [2, 3, 4, 8];
    const stride = queries + width;
    const qkv = Float32Array.from({ length: B * T * stride }, (_, i) => i);
    const run = await runOp(device, {
      qkv: { shape: [B, T, stride], data: qkv },
      position: { shape: [1], data: [1], dtype: "u32" },
      cache: { shape: [B, S, width], data: new Float32Array(B * S * width).fill(-1) },
    }, (rec, given) => {
      kvAppend(rec, given.qkv, given.cache, given.position);
      return given.cache;
    });
    const expected = new Float32Array(B * S * width).fill(-1);
    for (let row = 0; row < B * T; row++) {
      const [b, t] = [Math.floor(row / T), row % T];
      expected.set(
        qkv.subarray(row * stride + queries, (row + 1) * stride),
        (b * S + 1 + t) * width,
      );
    }
    assertEquals(run.inputs.cache, expected);
  }
});
