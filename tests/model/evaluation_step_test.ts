// The loss without training: the same as a training step's, batch by batch.

import { assertAlmostEquals, assertEquals } from "@std/assert";
import { LossMeter } from "../../model/evaluation_step.ts";
import { AdamW } from "../../model/optimizer.ts";
import { Trainer } from "../../model/training_step.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { testOnDevices } from "../shaders/harness.ts";
import { SMALL, smallBatch } from "./small_model.ts";

testOnDevices(
  "measure() gives the loss of a training step, summed over the labels",
  async (device) => {
    const options = { training: true, seed: 1, initialization: "fan_in" } as const;
    const model = await VisionLanguageModel.fromScratch(device, SMALL, options);
    const [meter, optimizer] = [new LossMeter(model), new AdamW(model.store)];
    const trainer = new Trainer(model, optimizer);
    for (const [seed, size] of [[1, 3], [2, 3], [3, 8]] as const) {
      const batch = smallBatch(seed, size);
      const { sum, count } = await meter.measure(batch);
      assertEquals(count, size * 5);
      await trainer.step(batch, { projector: 0, backbones: 0 });
      const [result] = await trainer.results();
      assertAlmostEquals(sum / count, result!.loss, 1e-5);
    }
    await meter.destroy();
    await trainer.destroy();
    optimizer.destroy();
    model.destroy();
  },
);

testOnDevices("measure() of a batch without labels that count is nothing", async (device) => {
  const model = await VisionLanguageModel.fromScratch(device, SMALL, {
    seed: 1,
    initialization: "fan_in",
  });
  const meter = new LossMeter(model);
  const batch = smallBatch(1);
  const labels = new Int32Array(batch.labels!.length).fill(-100);
  assertEquals(await meter.measure({ ...batch, labels }), { sum: 0, count: 0 });
  await meter.destroy();
  model.destroy();
});
