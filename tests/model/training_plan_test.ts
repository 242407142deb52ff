// Plans of training: equal to what is then allocated, made without it, and what is chosen to fit.

import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertGreater,
  assertGreaterOrEqual,
  assertLess,
  assertLessOrEqual,
} from "@std/assert";
import { presets, type VLMConfig } from "../../model/config.ts";
import type { HostBatch } from "../../model/inputs.ts";
import { AdamW } from "../../model/optimizer.ts";
import { type Choice, choosePlan, type MemoryRequest } from "../../model/plan_choice.ts";
import { planTraining, type StepShape } from "../../model/training_plan.ts";
import { Trainer } from "../../model/training_step.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { Device } from "../../shaders/runtime/device.ts";
import { DEVICES, testOnGpu } from "../shaders/harness.ts";
import { SMALL } from "./small_model.ts";

const TINY = presets.tiny.vlm;
const LARGE = presets["222m"].vlm;

/** Rows without padding, whose every token but the last has a label. */
function fullBatch(config: VLMConfig, size: number): HostBatch {
  const { lm_max_length: length, vit_img_size: side } = config;
  return {
    size,
    length,
    inputIds: new Int32Array(size * length).fill(1),
    attentionMask: new Int32Array(size * length).fill(1),
    labels: new Int32Array(size * length).fill(1),
    images: new Float32Array(size * 3 * side * side),
  };
}

const SHAPES: StepShape[] = [
  { batchSize: 4, microBatchSize: 4, recompute: "off" },
  { batchSize: 4, microBatchSize: 4, recompute: "on" },
  { batchSize: 5, microBatchSize: 2, recompute: "on" },
  { batchSize: 5, microBatchSize: 3, recompute: "off", dtype: "f16" },
  { batchSize: 4, microBatchSize: 4, recompute: "off", frozen: ["vision"] },
  { batchSize: 4, microBatchSize: 4, recompute: "on", frozen: ["language", "vision"] },
];

for (const shape of SHAPES) {
  testOnGpu(
    `the peak of allocated memory is the plan's total: ${JSON.stringify(shape)}`,
    async (shared) => {
      const { dtype = "f32", frozen = [] } = shape;
      if (dtype === "f16" && !shared.f16) {
        return console.log(`skipped: ${shared.description} has no shader-f16`);
      }
      const plan = await planTraining(shared, TINY, shape);
      const device = await Device.open(shared.options);
      const model = new VisionLanguageModel(device, TINY, { training: true, dtype, frozen });
      const trainer = new Trainer(model, new AdamW(model.store), shape);
      const batch = fullBatch(TINY, shape.batchSize);
      for (let i = 0; i < 2; i++) await trainer.step(batch, { projector: 0, backbones: 0 });
      await trainer.results();
      assertLess(Math.abs(device.peakBytes / plan.totalBytes - 1), 0.01);
      assertEquals(await trainer.dispatches(batch), plan.dispatchesPerStep);
      device.destroy();
    },
  );
}

testOnGpu("the parts of a plan add up, and most of them are known by hand", async (device) => {
  const plan = await planTraining(device, LARGE, SHAPES[0]!);
  const parts = [plan.parametersBytes, plan.gradientsBytes, plan.momentsBytes];
  parts.push(plan.activationsBytes, plan.workspaceBytes);
  assertEquals(parts.reduce((a, b) => a + b), plan.totalBytes);
  assert(parts.every((bytes) => bytes > 0));
  // Alignment adds less than 64 values a parameter.
  assertAlmostEquals(plan.parametersBytes / (4 * plan.parameters), 1, 1e-3);
  assertEquals(plan.momentsBytes, 2 * plan.gradientsBytes);
  assertEquals(plan.length, 128);
});

testOnGpu("plans of 222m in f16 are within the memory that they must be", async (device) => {
  if (!device.f16) return console.log(`skipped: ${device.description} has no shader-f16`);
  const figures = [[1, "off", 4449], [16, "off", 6800], [64, "off", 14000], [256, "off", 30000], [
    256,
    "on",
    15000,
  ]] as const;
  for (const [batchSize, recompute, megabytes] of figures) {
    const shape = { batchSize, microBatchSize: batchSize, recompute, dtype: "f16" } as const;
    const plan = await planTraining(device, LARGE, shape);
    assertLess(plan.totalBytes, megabytes * 1e6, `batch size ${batchSize}`);
    assertEquals(plan.parametersBytes, 1.5 * plan.gradientsBytes); // f32, and the f16 copies
    assertEquals(plan.momentsBytes, 2 * plan.gradientsBytes);
  }
});

testOnGpu("a plan counts the products' arithmetic", async (device) => {
  const plan = await planTraining(device, SMALL, SHAPES[0]!);
  const { vit_hidden_dim: C, vit_inter_dim: I, lm_hidden_dim: c, lm_inter_dim: i } = SMALL;
  const [patches, length] = [4 * 16, 4 * 16]; // 16 a picture; 4 image and 12 text tokens a row
  const kv = 2 * c / 2; // keys and values of half the heads
  const vision = 2 * (4 * C * C + 2 * C * I) + 48 * C;
  const text = 2 * (2 * c * c + c * kv + 3 * c * i);
  const attention = 2 * 2 * (2 * 16 * patches * C + 16 * length * c); // causal: half
  const head = 64 * c * SMALL.lm_vocab_size; // 48 labels in room for 64
  const projector = 4 * 4 * 4 * C * c;
  const products = patches * vision + length * text + head + projector;
  // Forward and both gradients, of the patches' product one: pictures have none. Attention's backward pass has seven
  // products where the forward pass has two.
  const linear = 2 * (3 * products - patches * 48 * C);
  assertEquals(plan.flopsPerStep, linear + attention * (1 + 7 / 2));
});

testOnGpu(
  "plans of 222m at batch 256 need no memory, and recompute saves what it should",
  async (device) => {
    const before = device.bytes;
    const shape = { batchSize: 256, microBatchSize: 256 };
    const [off, on] = await Promise.all(
      (["off", "on"] as const).map((recompute) =>
        planTraining(device, LARGE, { ...shape, recompute })
      ),
    );
    assertEquals(device.bytes, before);
    assertLess(on!.totalBytes, 15e9);
    // What a block is given, in float32: all that is left between the passes, but for a few small things.
    const inputs = 4 * 256 * (12 * 196 * 768 + 30 * 128 * 576);
    assertGreater(on!.activationsBytes, inputs);
    assertLess(on!.activationsBytes, 1.15 * inputs);
    // All forward products but the last of each block are done twice.
    assertGreater(on!.flopsPerStep / off!.flopsPerStep, 1.2);
    assertLess(on!.flopsPerStep / off!.flopsPerStep, 4 / 3);
  },
);

testOnGpu("head and loss take under 64 MB beside the model at any batch", async (device) => {
  // A model of one token's vocabulary is the same without its head's logits.
  const totals = [];
  for (const lm_vocab_size of [LARGE.lm_vocab_size, 64]) {
    const config = { ...LARGE, vit_n_blocks: 0, lm_n_blocks: 0, lm_vocab_size };
    const shape = { batchSize: 256, microBatchSize: 256, recompute: "off" } as const;
    const plan = await planTraining(device, config, shape);
    totals.push(plan.activationsBytes + plan.workspaceBytes);
  }
  assertLess(totals[0]! - totals[1]!, 64e6);
});

const NOTHING_ASKED: MemoryRequest = {
  microBatchSize: undefined,
  recompute: "auto",
  limitBytes: undefined,
};

function choose(memory: Partial<MemoryRequest>, batchSize = 32): Promise<Choice> {
  const device = DEVICES[0]!.device;
  const options = { batchSize, memory: { ...NOTHING_ASKED, ...memory }, probes: false };
  return choosePlan(device, SMALL, options);
}

testOnGpu("recompute auto is the first level that fits", async () => {
  const total = async (recompute: "off" | "on") => (await choose({ recompute })).plan.totalBytes;
  for (const level of ["off", "on"] as const) {
    const { plan, fits } = await choose({ limitBytes: await total(level) });
    assertEquals([plan.recompute, plan.microBatchSize, fits], [level, 32, true]);
  }
  const { plan, fits, remedy } = await choose({ limitBytes: await total("on") - 1 });
  assertEquals([plan.recompute, fits], ["on", false]);
  assertLess(remedy!.microBatchSize, 32);
  assertLess(remedy!.totalBytes, await total("on"));
});

testOnGpu("micro-batch auto is the largest that fits", async () => {
  for (const rows of [1, 2, 7, 30, 31, 32]) {
    const given = await choose({ microBatchSize: rows, recompute: "off" });
    const limitBytes = given.plan.totalBytes;
    const { plan, fits } = await choose({ microBatchSize: "auto", limitBytes });
    assertEquals([plan.recompute, plan.batchSize, fits], ["off", 32, true]);
    assertLessOrEqual(plan.totalBytes, limitBytes);
    assertGreaterOrEqual(plan.microBatchSize, rows);
    if (plan.microBatchSize === 32) continue;
    const next = await choose({ microBatchSize: plan.microBatchSize + 1, recompute: "off" });
    assertGreater(next.plan.totalBytes, limitBytes);
  }
});

testOnGpu("a limit below the model itself has no remedy", async () => {
  const { fits, remedy } = await choose({ limitBytes: 1000, microBatchSize: "auto" });
  assertEquals([fits, remedy], [false, undefined]);
});

testOnGpu(
  "a tensor beyond the device's largest binding is an obstacle, which smaller parts avoid",
  async (device) => {
    const most = device.limits.maxStorageBufferBindingSize;
    const row = 4 * 196 * 3072;
    const memory = { ...NOTHING_ASKED, limitBytes: 1e15 };
    const batchSize = Math.floor(most / row) + 1;
    if (batchSize > 5000) return; // more workgroups than a launch can have
    const { fits, plan, remedy } = await choosePlan(device, LARGE, {
      batchSize,
      memory,
      probes: false,
    });
    assertEquals([fits, plan.recompute], [false, "off"]);
    assert(plan.obstacle?.includes(`expected at most ${most}`));
    assertEquals(remedy?.microBatchSize, batchSize - 1);
  },
);

testOnGpu("a GPU's memory is tried out", async (device) => {
  assertEquals(await device.canHold(2 ** 20), true);
});
