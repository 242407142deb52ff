// Tests of model/anomaly.ts: the first tensor that is not finite is named, wherever in a step it is.
import { assertEquals, assertMatch } from "@std/assert";
import { firstNotFinite } from "../../model/anomaly.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { testOnDevices } from "../shaders/harness.ts";
import { SMALL, smallBatch } from "./small_model.ts";

function newModel(device: Device, dtype: "f32" | "f16" = "f32"): Promise<VisionLanguageModel> {
  const options = { training: true, dtype, seed: 1, initialization: "fan_in" } as const;
  return VisionLanguageModel.fromScratch(device, SMALL, options);
}

/** Fills the parameters that `pattern` matches. */
function fill({ store }: VisionLanguageModel, pattern: RegExp, value: number): void {
  for (const { name, shape } of store.shapes) {
    if (!pattern.test(name)) continue;
    store.upload(name, new Float32Array(shape.reduce((a, b) => a * b)).fill(value));
  }
}

testOnDevices(
  "firstNotFinite() names what goes bad first, forward and backward",
  async (device) => {
    const model = await newModel(device);
    const batch = smallBatch(1);
    assertEquals(await firstNotFinite(model, batch), undefined);

    const images = new Float32Array(batch.images);
    images[images.length - 1] = NaN;
    const first = "vision_encoder.patch_embedding of row 2";
    assertEquals(await firstNotFinite(model, { ...batch, images }), first);
    assertEquals(await firstNotFinite(model, batch), undefined, "gradients of before do not count");

    // All of the vision encoder is 0 but the factors of its norms, which the gradient meets one after the other.
    fill(model, /patch_embedding|vision_encoder.*bias/, 0);
    fill(model, /vision_encoder.*(ln\d|layer_norm)\.weight/, 1e15);
    const backward = await firstNotFinite(model, batch);
    assertMatch(
      backward ?? "",
      /^the gradient of vision_encoder\.blocks\.\d\S*( \+ x)? of row \d$/,
    );

    fill(model, /blocks\.1\.norm2\.weight/, Infinity);
    assertEquals(await firstNotFinite(model, batch), "the parameter decoder.blocks.1.norm2.weight");
    model.destroy();
  },
);

testOnDevices(
  "firstNotFinite() finds nothing in mixed precision where all is well",
  async (device) => {
    if (!device.f16) return console.log("skipped: the device has no f16");
    const model = await newModel(device, "f16");
    assertEquals(await firstNotFinite(model, smallBatch(1)), undefined);
    model.destroy();
  },
);
