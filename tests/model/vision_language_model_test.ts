// The whole model: loading it from a folder and saving it again.

import { assertEquals, assertNotEquals } from "@std/assert";
import { openCheckpoint, rotaryFrequencies, saveCheckpoint } from "../../model/checkpoint.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { testOnGpu } from "../shaders/harness.ts";
import { SMALL } from "./small_model.ts";

testOnGpu(
  "savePretrained() writes a file's rotary frequencies back to the last bit",
  async (device) => {
    const folder = await Deno.makeTempDir();
    const [golden, saved] = [`${folder}/golden`, `${folder}/saved`];
    // PyTorch's powers are not always the nearest float32: for heads 126 wide one of the 63 is the next.
    const frequencies = rotaryFrequencies(SMALL).map((value) => value * (1 + 2 ** -23));
    assertNotEquals(frequencies, rotaryFrequencies(SMALL));
    try {
      const scratch = await VisionLanguageModel.fromScratch(device, SMALL, {
        seed: 3,
        initialization: "nanovlm",
      });
      await saveCheckpoint(golden, SMALL, (name) => scratch.store.read(name), { frequencies });
      scratch.destroy();
      const model = await VisionLanguageModel.fromPretrained(device, golden);
      await model.savePretrained(saved);
      model.destroy();
      using checkpoint = openCheckpoint(saved);
      assertEquals(checkpoint.frequencies, frequencies);
      const [found, expected] = [saved, golden].map((dir) =>
        Deno.readFileSync(`${dir}/model.safetensors`)
      );
      assertEquals(found, expected);
    } finally {
      await Deno.remove(folder, { recursive: true });
    }
  },
);
