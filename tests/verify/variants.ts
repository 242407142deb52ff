/**
 * Variants of a golden model case: the same weights and batch under another configuration.
 *
 * A tensor's name says which: "max_position_20.hidden" has lm_max_position_embeddings = 20.
 */
import type { VLMConfig } from "../../model/config.ts";
import { openCheckpoint } from "../../model/checkpoint.ts";
import type { SafetensorsFile } from "../../model/safetensors.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { relativeToMax, selectRows, TOLERANCE } from "./compare.ts";
import { readInputs, withFile } from "./golden.ts";
import type { ModelCase } from "./model_case.ts";
import { firstRows, realRows, Step } from "./step.ts";

const KEYS: Readonly<Record<string, keyof VLMConfig>> = {
  max_position: "lm_max_position_embeddings",
  attn_scaling: "lm_attn_scaling",
};

/** Compares every variant in variants.safetensors. */
export async function compareVariants(one: ModelCase): Promise<void> {
  await withFile(`${one.dir}/variants.safetensors`, async (file) => {
    const variants = new Set(
      [...file.tensors.keys()].map((name) => name.slice(0, name.lastIndexOf("."))),
    );
    for (const variant of variants) {
      await one.report.attempt(variant, () => compareVariant(one, file, variant));
    }
  });
}

async function compareVariant(
  { dir, report, model: { device, config } }: ModelCase,
  file: SafetensorsFile,
  variant: string,
): Promise<void> {
  const model = new VisionLanguageModel(device, { ...config, ...settingOf(file, variant) });
  using checkpoint = openCheckpoint(dir);
  for (const { name } of model.store.shapes) model.store.upload(name, checkpoint.load(name));
  const batch = readInputs(dir);
  const step = await Step.run(model, batch);
  const [hidden, loss] = [`${variant}.hidden`, `${variant}.loss`];
  if (file.tensors.has(hidden)) {
    const [size = 0] = file.entry(hidden).shape;
    const rows = realRows(model, firstRows(batch, size)).sequence;
    const found = selectRows(await step.read("decoder.norm"), config.lm_hidden_dim, rows);
    const expected = selectRows(file.readFloat32(hidden), config.lm_hidden_dim, rows);
    report.compare(hidden, relativeToMax(found, expected), TOLERANCE.activation);
  }
  if (file.tensors.has(loss)) {
    const expected = file.readFloat32(loss)[0] ?? NaN;
    report.compare(loss, Math.abs(await step.loss() - expected), TOLERANCE.loss);
  }
  step.destroy();
  model.destroy();
}

function settingOf(file: SafetensorsFile, variant: string): Partial<VLMConfig> {
  const [, name = "", value] = /^(.*)_([\d.]+)$/.exec(variant) ?? [];
  const key = KEYS[name];
  if (key !== undefined) return { [key]: Number(value) };
  throw new SyntaxError(
    `Cannot use "${file.path}": the variant "${variant}", expected ${
      Object.keys(KEYS).join(" or ")
    } and a value. Fetch the golden file again.`,
  );
}
