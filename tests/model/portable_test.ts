// Tests of model/portable.ts: Python's keys only, and a patch embedding that normalizes by itself.
import { assert, assertAlmostEquals, assertEquals } from "@std/assert";
import { expectedParameters, openCheckpoint, saveCheckpoint } from "../../model/checkpoint.ts";
import type { VLMConfig } from "../../model/config.ts";
import { portableModel } from "../../model/portable.ts";
import { seededRandom } from "../gradcheck.ts";
import { SMALL } from "./small_model.ts";

const OWN_KEYS = [
  "vit_pixel_mean",
  "vit_pixel_std",
  "lm_padding_side",
  "image_fit",
  "image_alpha",
] as const;

/** Saves a random model, makes it portable and hands over both folders. */
async function portable(
  config: VLMConfig,
  look: (model: { dir: string; folder: string; config: string; weights: string }) => void,
): Promise<void> {
  const dir = await Deno.makeTempDir(), folder = await Deno.makeTempDir();
  const random = seededRandom(1);
  const values = new Map(
    expectedParameters(config).map(({ name, shape }) => {
      const count = shape.reduce((a, b) => a * b);
      return [name, Float32Array.from(random.uniform(count, -1, 1))];
    }),
  );
  await saveCheckpoint(dir, config, (name) => values.get(name)!);
  const model = await portableModel(dir, folder, () => ({ lm_tokenizer: "me/model" }));
  await Deno.writeTextFile(`${folder}/config.json`, model.config);
  look({ dir, folder, ...model });
  for (const path of [dir, folder]) await Deno.remove(path, { recursive: true });
}

Deno.test("portableModel() takes the weights as they are where nothing is ours", async () => {
  await portable(SMALL, ({ dir, weights, config }) => {
    assertEquals(weights, `${dir}/model.safetensors`);
    assertEquals(JSON.parse(config).lm_tokenizer, "me/model");
  });
});

Deno.test("portableModel() writes only keys that Python knows, and openCheckpoint() finds the others again", async () => {
  const own: VLMConfig = {
    ...SMALL,
    vit_pixel_mean: 0.5,
    vit_pixel_std: 0.25,
    lm_padding_side: "right",
    image_fit: "pad",
    image_alpha: "white",
  };
  await portable(own, ({ folder, config }) => {
    for (const key of OWN_KEYS) assert(!Object.hasOwn(JSON.parse(config), key), key);
    using checkpoint = openCheckpoint(folder);
    const found = OWN_KEYS.map((key) => checkpoint.config[key]);
    assertEquals(found, [0, 1, "right", "pad", "white"]);
  });
});

Deno.test("portableModel() gives patches of plain pixels the embedding that normalized ones had", async () => {
  const [mean, std] = [0.4, 0.25];
  await portable({ ...SMALL, vit_pixel_mean: mean, vit_pixel_std: std }, ({ dir, folder }) => {
    using before = openCheckpoint(dir);
    using after = openCheckpoint(folder);
    const patch = seededRandom(2).uniform(3 * SMALL.vit_patch_size ** 2, 0, 1);
    const embed = (checkpoint: typeof before, pixels: number[]) => {
      const name = "vision_encoder.patch_embedding.conv";
      const weight = checkpoint.load(`${name}.weight`);
      return Array.from(
        checkpoint.load(`${name}.bias`),
        (bias, c) => pixels.reduce((sum, x, i) => sum + x * weight[c * pixels.length + i]!, bias),
      );
    };
    const expected = embed(before, Array.from(patch, (x) => (x - mean) / std));
    embed(after, [...patch]).forEach((value, c) => assertAlmostEquals(value, expected[c]!, 1e-5));
    assertEquals(after.load("MP.proj.weight"), before.load("MP.proj.weight"));
  });
});
