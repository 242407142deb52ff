// The vision encoder where an image is no whole number of patches.

import { assertEquals } from "@std/assert";
import type { VLMConfig } from "../../model/config.ts";
import { BatchInputs, type HostBatch } from "../../model/inputs.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import { testOnDevices } from "../shaders/harness.ts";
import { SMALL, smallBatch } from "./small_model.ts";

/** What the decoder makes of image and text. */
async function hidden(device: Device, config: VLMConfig, batch: HostBatch): Promise<Float32Array> {
  const options = { seed: 5, initialization: "fan_in" } as const;
  const model = await VisionLanguageModel.fromScratch(device, config, options);
  const { size, length } = batch;
  const inputs = new BatchInputs(device, config, { size, length, labels: 1 });
  inputs.upload(batch);
  const plan = await Plan.record(device, (rec) => rec.keep(model.forward(rec, inputs)));
  plan.run();
  const [data = new Float32Array()] = await plan.read(plan.result);
  plan.destroy();
  inputs.destroy();
  model.destroy();
  return data;
}

testOnDevices(
  "pixels right of and below the last whole patch are left out, as by nanoVLM's Conv2d",
  async (device) => {
    const { labels: _, ...batch } = smallBatch(6);
    const [side, wide] = [SMALL.vit_img_size, SMALL.vit_img_size + SMALL.vit_patch_size - 1];
    const images = new Float32Array(batch.size * 3 * wide * wide).fill(9);
    for (let row = 0; row < batch.size * 3 * side; row++) {
      const start = (Math.floor(row / side) * wide + row % side) * wide;
      images.set(batch.images.subarray(row * side, (row + 1) * side), start);
    }
    const found = await hidden(device, { ...SMALL, vit_img_size: wide }, { ...batch, images });
    assertEquals(found, await hidden(device, SMALL, batch));
  },
);
