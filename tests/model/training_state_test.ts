// Tests of model/training_state.ts: a trainer that is given another's state goes on as that one, bit for bit.
import { assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { expectedParameters } from "../../model/checkpoint.ts";
import { AdamW } from "../../model/optimizer.ts";
import { CheckpointError, openSafetensors } from "../../model/safetensors.ts";
import { loadTrainingState, saveTrainingState } from "../../model/training_state.ts";
import { Trainer } from "../../model/training_step.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import type { Activation } from "../../shaders/runtime/tensor.ts";
import { testOnDevices } from "../shaders/harness.ts";
import { SMALL, smallBatch } from "./small_model.ts";

const RATES = { projector: 1e-2, backbones: 1e-2 };

async function trainerOn(device: Device, dtype: Activation, from?: string): Promise<Trainer> {
  const options = { training: true, dtype } as const;
  const model = from
    ? await VisionLanguageModel.fromPretrained(device, from, options)
    : await VisionLanguageModel.fromScratch(device, SMALL, {
      ...{ ...options, seed: 1, initialization: "fan_in" },
    });
  return new Trainer(model, new AdamW(model.store));
}

async function steps(trainer: Trainer, seeds: readonly number[]) {
  for (const seed of seeds) await trainer.step(smallBatch(seed), RATES);
  return await trainer.results();
}

async function destroy(trainer: Trainer): Promise<void> {
  await trainer.destroy();
  trainer.optimizer.destroy();
  trainer.model.destroy();
}

for (const dtype of ["f32", "f16"] as const) {
  testOnDevices(`a trainer with a saved state takes the same steps in ${dtype}`, async (device) => {
    if (dtype === "f16" && !device.f16) return console.log("skipped: the device has no f16");
    const folder = await Deno.makeTempDir();
    const path = `${folder}/training_state.safetensors`;
    const trainer = await trainerOn(device, dtype);
    await steps(trainer, [1, 2, 3]);
    await trainer.model.savePretrained(folder);
    await saveTrainingState(path, trainer);
    const expected = await steps(trainer, [4, 5]);

    // f16 copies are rounded by JavaScript here and by the GPU there: to the nearest even in both.
    const resumed = await trainerOn(device, dtype, folder);
    loadTrainingState(path, resumed, 3);
    assertEquals(await steps(resumed, [4, 5]), expected);
    const fresh = await trainerOn(device, dtype, folder);
    assertNotEquals(await steps(fresh, [4, 5]), expected);

    using file = openSafetensors(path);
    const parameters = expectedParameters(SMALL).length;
    assertEquals(file.tensors.size, 2 * parameters + (dtype === "f16" ? 1 : 0));
    for (const one of [trainer, resumed, fresh]) await destroy(one);
    await Deno.remove(folder, { recursive: true });
  });
}

testOnDevices(
  "a float32 run's state begins mixed precision with the first loss scale",
  async (device) => {
    if (!device.f16) return console.log("skipped: the device has no f16");
    const folder = await Deno.makeTempDir();
    const path = `${folder}/training_state.safetensors`;
    const [trainer, mixed] = [await trainerOn(device, "f32"), await trainerOn(device, "f16")];
    await steps(trainer, [1]);
    await saveTrainingState(path, trainer);
    loadTrainingState(path, mixed, 1);
    const [result] = await steps(mixed, [2]);
    assertEquals([result?.lossScale, result?.skipped], [65536, 0]);
    await Deno.truncate(path, 100);
    assertThrows(() => loadTrainingState(path, mixed, 1), CheckpointError);
    for (const one of [trainer, mixed]) await destroy(one);
    await Deno.remove(folder, { recursive: true });
  },
);
