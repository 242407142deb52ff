// What is computed again in the backward pass: the same bits, less memory, and nothing without a use.

import { assertEquals, assertLess } from "@std/assert";
import { linear } from "../../../shaders/linear.ts";
import type { Device } from "../../../shaders/runtime/device.ts";
import { Plan } from "../../../shaders/runtime/plan.ts";
import type { Recompute, Recorder } from "../../../shaders/runtime/recorder.ts";
import {
  type Activation,
  type Parameter,
  persistent,
  readAll,
  type Tensor,
} from "../../../shaders/runtime/tensor.ts";
import { layerNorm } from "../../../shaders/layer_norm.ts";
import { seededRandom } from "../../gradcheck.ts";
import { testOnDevices } from "../harness.ts";

const [ROWS, WIDTH, INNER, BLOCKS] = [19, 12, 20, 3] as const;

interface Block {
  readonly norm: Parameter;
  readonly shift: Parameter;
  readonly up: Parameter;
  readonly upBias: Parameter;
  readonly down: Parameter;
}

function makeBlocks(device: Device): Block[] {
  const random = seededRandom(3);
  const parameter = (...shape: number[]) => {
    const length = shape.reduce((a, b) => a * b);
    const data = Float32Array.from(random.normal(length, 0.5));
    return {
      value: persistent(device, "w", shape, "f32", data),
      gradient: persistent(device, "dw", shape, "f32", new Float32Array(length)),
      half: device.f16
        ? persistent(device, "w f16", shape, "f16", new Float16Array(data))
        : undefined,
    };
  };
  return Array.from({ length: BLOCKS }, () => ({
    norm: parameter(WIDTH),
    shift: parameter(WIDTH),
    up: parameter(INNER, WIDTH),
    upBias: parameter(INNER),
    down: parameter(WIDTH, INNER),
  }));
}

/** x + down(gelu(up(norm(x)))), a transformer's MLP. */
function forward(rec: Recorder, x: Tensor, block: Block): Tensor {
  const normed = layerNorm(rec, x, block.norm, block.shift, 1e-5);
  const inner = linear(rec, normed, { weight: block.up, bias: block.upBias, gelu: true });
  return linear(rec, inner, { weight: block.down, residual: x });
}

async function run(device: Device, recompute: Recompute, activation: Activation = "f32") {
  const blocks = makeBlocks(device);
  const random = seededRandom(4);
  const data = () => Float32Array.from(random.normal(ROWS * WIDTH));
  const x = persistent(device, "x", [ROWS, WIDTH], "f32", data());
  const seed = persistent(device, "dy", [ROWS, WIDTH], "f32", data());
  x.needsGradient = true;
  const plan = await Plan.record(device, (rec) => {
    let y = x;
    for (const block of blocks) {
      const input = y;
      y = rec.checkpoint(() => forward(rec, input, block));
    }
    rec.keep(y);
    rec.backprop(y, seed);
    return { y, dx: rec.keep(rec.gradientOf(x)!) };
  }, { training: true, recompute, activation });
  plan.run();
  const gradients = blocks.flatMap((block) => Object.values(block).map((p) => p.gradient!));
  const values = await readAll(device, [plan.result.y, plan.result.dx, ...gradients]);
  return { values, size: plan.size };
}

for (const activation of ["f32", "f16"] as const) {
  const name = `gradients have the same bits whatever is computed again, in ${activation}`;
  testOnDevices(name, async (device) => {
    if (activation === "f16" && !device.f16) {
      return console.log(`skipped: ${device.description} has no shader-f16`);
    }
    const off = await run(device, "off", activation);
    assertEquals((await run(device, "on", activation)).values, off.values);
  });
}

testOnDevices(
  "computing again keeps less from the forward to the backward pass",
  async (device) => {
    const bytes = async (recompute: Recompute) =>
      (await run(device, recompute)).size.activationBytes;
    const [row, wide] = [4 * ROWS * WIDTH, 4 * ROWS * INNER];
    const statistics = 4 * ROWS * 2;
    // The first block's input is persistent, and y is kept.
    const blocks = (each: number) => BLOCKS * each + BLOCKS * row;
    // The norm's result is made again from the block's input, and GELU's from what it was given.
    assertEquals(await bytes("off"), blocks(statistics + wide));
    assertEquals(await bytes("on"), blocks(0));
  },
);

testOnDevices("a block that is recorded again ends before its last product", async (device) => {
  const [off, on] = [await run(device, "off"), await run(device, "on")];
  // Again: the norm and the first product, GELU in it; without, the norm and GELU.
  assertEquals(on.size.dispatches, off.size.dispatches);
  assertEquals(on.size.flops - off.size.flops, BLOCKS * 2 * ROWS * WIDTH * INNER);
});

testOnDevices("a result that is read twice is made again once", async (device) => {
  const x = persistent(device, "x", [ROWS, WIDTH]);
  const [block] = makeBlocks(device);
  const count = async (readers: number) => {
    const { dispatches } = await Plan.record(device, (rec) => {
      const normed = layerNorm(rec, x, block!.norm, block!.shift, 1e-5);
      const seed = persistent(device, "dy", [ROWS, INNER]);
      for (let i = 0; i < readers; i++) {
        rec.backprop(linear(rec, normed, { weight: block!.up }), seed);
      }
      return normed;
    }, { training: true });
    return dispatches;
  };
  // Each reader adds its product and that product's two gradients, the first also what comes before.
  assertEquals(await count(3) - await count(2), 3);
  assertLess(await count(2), 2 * await count(1));
});
