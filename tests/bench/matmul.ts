// GFLOP/s of the matrix product at shapes of nanoVLM's linear layers, in all three layouts; GPU timestamps, median.
// Run: deno run -A tests/bench/matmul.ts [name filter] [f16]. With f16 operands and y are f16, but the weight's gradient is
// f32, as in mixed precision. Figures are quoted with device, driver, Deno version and commit.

import { matmul, type MatmulOptions } from "../../shaders/matmul.ts";
import { Device } from "../../shaders/runtime/device.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import { type Activation, bufferOf, persistent } from "../../shaders/runtime/tensor.ts";

type Layout = "x·Wᵀ" | "dy·W" | "dyᵀ·x";

/** rows, columns and depth of each product. */
const SHAPES:
  readonly (readonly [name: string, layout: Layout, shape: [number, number, number]])[] = [
    ["square", "x·Wᵀ", [1024, 1536, 576]],
    ["square", "dy·W", [1024, 1536, 576]],
    ["square", "dyᵀ·x", [1024, 1536, 576]],
    ["222m vision fc1", "x·Wᵀ", [392, 3072, 768]],
    ["222m vision fc1", "dy·W", [392, 768, 3072]],
    ["222m vision fc1", "dyᵀ·x", [3072, 768, 392]],
    ["tiny vision fc1", "x·Wᵀ", [4096, 256, 64]],
    ["tiny vision fc1", "dy·W", [4096, 64, 256]],
    ["tiny vision fc1", "dyᵀ·x", [256, 64, 4096]],
    ["tiny head", "x·Wᵀ", [192, 49152, 64]],
    ["tiny head", "dy·W", [192, 64, 49152]],
    ["tiny head", "dyᵀ·x", [49152, 64, 192]],
    ["decoding head", "x·Wᵀ", [1, 49152, 576]],
  ];
const RUNS = 7;
const dtype: Activation = Deno.args[1] === "f16" ? "f16" : "f32";

const device = await Device.open();
console.log(`${device.description}, Deno ${Deno.version.deno}, ${dtype}`);
for (const [name, layout, [rows, columns, depth]] of SHAPES) {
  if (Deno.args[0] && !name.includes(Deno.args[0])) continue;
  const milliseconds = await time(layout, { rows, columns, depth });
  const rate = 2 * rows * columns * depth / milliseconds / 1e6;
  console.log(
    `${name.padEnd(16)} ${layout.padEnd(6)} ${`${rows} x ${columns} x ${depth}`.padEnd(20)}` +
      `${milliseconds.toFixed(2).padStart(9)} ms ${rate.toFixed(1).padStart(6)} GFLOP/s`,
  );
}
device.destroy();

/** Median time of the product alone. */
async function time(
  layout: Layout,
  { rows, columns, depth }: { rows: number; columns: number; depth: number },
): Promise<number> {
  const random = (n: number) => {
    const values = Float32Array.from({ length: n }, () => Math.random() - 0.5);
    return dtype === "f16" ? new Float16Array(values) : values;
  };
  const lhs = persistent(device, "lhs", [rows, depth], dtype, random(rows * depth));
  const rhs = persistent(device, "rhs", [depth, columns], dtype, random(depth * columns));
  const y = persistent(device, "y", [rows, columns], layout === "dyᵀ·x" ? "f32" : dtype);
  const options: MatmulOptions = {
    lhs,
    rhs,
    y,
    rows,
    columns,
    depth,
    transposeRhs: layout === "x·Wᵀ",
    transposeLhs: layout === "dyᵀ·x",
    accumulate: layout === "dyᵀ·x",
  };
  const plan = await Plan.record(device, (rec) => matmul(rec, options));
  const times: number[] = [];
  for (let run = 0; run < RUNS + 2; run++) {
    const [kernel] = await plan.profile();
    if (run >= 2 && kernel) times.push(kernel.milliseconds);
  }
  plan.destroy();
  for (const tensor of [lhs, rhs, y]) bufferOf(tensor).destroy();
  return times.sort((a, b) => a - b)[Math.floor(times.length / 2)] ?? NaN;
}
