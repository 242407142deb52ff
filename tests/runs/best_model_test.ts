// Tests of runs/best_model.ts: which models are kept, and that the best one comes back.
import { assert, assertEquals } from "@std/assert";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { BestModel } from "../../runs/best_model.ts";
import { SMALL } from "../model/small_model.ts";
import { testOnDevices } from "../shaders/harness.ts";

const NAME = "decoder.norm.weight";

testOnDevices(
  "a BestModel keeps the first model and better ones, and gives the best back",
  async (device) => {
    const options = { seed: 1, initialization: "fan_in" } as const;
    const model = await VisionLanguageModel.fromScratch(device, SMALL, options);
    const best = new BestModel(await Deno.makeTempDir());
    // Every step's model is told apart by one parameter, which holds the step.
    const consider = async (step: number, accuracy: number, loss: number) => {
      model.store.upload(NAME, new Float32Array(SMALL.lm_hidden_dim).fill(step));
      const isBest = best.consider(step, { accuracy, loss });
      if (isBest) await best.save(model);
      return isBest;
    };
    assert(await consider(1, 0, NaN), "the first is kept, however bad");
    assert(await consider(1, 0, NaN), "where nothing tells them apart, the newer one");
    assert(await consider(2, 0, 3), "a loss is better than none");
    assert(!await consider(3, 0, 3), "an equal one is not better");
    assert(await consider(4, 0.5, 9), "accuracy counts before loss");
    assert(!await consider(5, 0.4, 1));
    assert(!await consider(6, 0.5, NaN));
    assertEquals(best.step, 4);
    best.restore(model);
    assertEquals([...await model.store.read(NAME)], Array(SMALL.lm_hidden_dim).fill(4));
    model.destroy();
  },
);
