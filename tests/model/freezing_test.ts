// Parts that do not train: they stay as they are, cost nothing, and the others train as if they did.

import { assert, assertEquals, assertLess, assertNotEquals, assertThrows } from "@std/assert";
import { type Part, PARTS, presets } from "../../model/config.ts";
import { AdamW } from "../../model/optimizer.ts";
import { planTraining } from "../../model/training_plan.ts";
import { Trainer } from "../../model/training_step.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { testOnGpu } from "../shaders/harness.ts";
import { SMALL, smallBatch } from "./small_model.ts";

const PREFIXES: Record<Part, string> = {
  vision: "vision_encoder.",
  language: "decoder.",
  projector: "MP.",
};

/** All parameters after `steps` steps, by name. */
async function trained(device: Device, frozen: readonly Part[], steps: number, rate = 1e-2) {
  const options = { training: true, frozen, seed: 3, initialization: "fan_in" } as const;
  const model = await VisionLanguageModel.fromScratch(device, SMALL, options);
  const optimizer = new AdamW(model.store);
  const trainer = new Trainer(model, optimizer);
  const rates = { projector: rate, backbones: rate };
  for (let step = 0; step < steps; step++) await trainer.step(smallBatch(step), rates);
  const values = new Map<string, Float32Array>();
  for (const { name } of model.store.shapes) values.set(name, await model.store.read(name));
  const dispatches = await trainer.dispatches(smallBatch(0));
  await trainer.destroy();
  optimizer.destroy();
  model.destroy();
  return { values, dispatches };
}

for (
  const frozen of [["vision"], ["language"], ["projector"], ["vision", "language"]] as Part[][]
) {
  testOnGpu(
    `frozen ${frozen.join(" and ")} stays, and the rest learns as with it`,
    async (device) => {
      const before = await trained(device, [], 0);
      const whole = await trained(device, [], 1);
      const once = await trained(device, frozen, 1);
      const later = await trained(device, frozen, 3);
      for (const [name, values] of later.values) {
        const isFrozen = frozen.some((part) => name.startsWith(PREFIXES[part]));
        if (isFrozen) assertEquals(values, before.values.get(name), name);
        else {
          assertNotEquals(values, before.values.get(name), name);
          assertEquals(once.values.get(name), whole.values.get(name), name);
        }
      }
      assertLess(once.dispatches, whole.dispatches);
    },
  );
}

testOnGpu(
  "a learning rate of 0 and freezing everything but the projector give the same",
  async (device) => {
    const model = await trained(device, ["vision", "language"], 2);
    assert(model.values.size > 0);
    assertThrows(
      () =>
        new AdamW(new VisionLanguageModel(device, SMALL, { training: true, frozen: PARTS }).store),
      TypeError,
      "nothing trains",
    );
  },
);

testOnGpu(
  "a plan with frozen backbones of 222m saves their gradients and moments",
  async (device) => {
    const shape = { batchSize: 2, microBatchSize: 2, recompute: "off" } as const;
    const { vlm } = presets["222m"];
    const whole = await planTraining(device, vlm, shape);
    const part = await planTraining(device, vlm, { ...shape, frozen: ["vision", "language"] });
    assertLess(part.gradientsBytes, 0.02 * whole.gradientsBytes);
    assertEquals(part.momentsBytes, 2 * part.gradientsBytes);
    assertEquals(part.parametersBytes, whole.parametersBytes);
    assertLess(part.flopsPerStep, 0.72 * whole.flopsPerStep); // the decoder still carries gradients back
  },
);
