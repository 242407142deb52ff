/**
 * A golden model case: a checkpoint, a batch, and what PyTorch's nanoVLM made of them.
 *
 * Compares outputs, losses and gradients here; activations.ts, variants.ts, training.ts, generation.ts and round_trip.ts
 * have the rest. Files that are absent are left out.
 */
import { isLaterGeneration } from "../../model/config_file.ts";
import type { HostBatch } from "../../model/inputs.ts";
import type { SafetensorsFile } from "../../model/safetensors.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { compareActivations } from "./activations.ts";
import { comparable, relativeL2, relativeToMax, selectRows, TOLERANCE } from "./compare.ts";
import type { Context } from "./context.ts";
import { compareGeneration } from "./generation.ts";
import { exists, Json, readInputs, withFile } from "./golden.ts";
import type { CaseReport } from "./report.ts";
import { compareRoundTrip } from "./round_trip.ts";
import { firstRows, realRows, Step } from "./step.ts";
import { compareTraining } from "./training.ts";
import { compareVariants } from "./variants.ts";

/** Why cases of later nanoVLM versions are not compared. */
export const LATER = "written by a nanoVLM later than v0.1, which is not supported";

/** What the parts of a model case work with. */
export interface ModelCase {
  readonly dir: string;
  readonly report: CaseReport;
  /** Made for training, with the golden weights; no part changes them. */
  readonly model: VisionLanguageModel;
}

/** Compares a model case. Whatever is wrong goes into the report. */
export async function verifyModel(
  dir: string,
  report: CaseReport,
  context: Context,
): Promise<void> {
  await report.attempt("checkpoint", async () => {
    if (isLaterGeneration(Json.read(`${dir}/config.json`).value)) {
      report.skip("model", LATER);
      return;
    }
    const device = await context.device();
    const model = await VisionLanguageModel.fromPretrained(device, dir, { training: true });
    try {
      await compareParts({ dir, report, model });
    } finally {
      model.destroy();
    }
  });
}

async function compareParts(one: ModelCase): Promise<void> {
  const { dir, report } = one;
  const parts: [string, string[], (one: ModelCase) => Promise<void>][] = [
    ["outputs.safetensors", [], compareOutputs],
    ["variants.safetensors", ["variants.safetensors"], compareVariants],
    ["train.json", ["train.json", "train_batches.safetensors"], compareTraining],
    ["generate.json", ["generate.json", "generate_images.safetensors"], compareGeneration],
    ["save round trip", [], compareRoundTrip],
  ];
  for (const [name, files, compare] of parts) {
    // Files that belong together are all there or none is; opening the one that is missing throws.
    if (files.length > 0 && !files.some((file) => exists(`${dir}/${file}`))) continue;
    await report.attempt(name, () => compare(one));
  }
}

async function compareOutputs(one: ModelCase): Promise<void> {
  const { dir, report, model } = one;
  const batch = await readInputs(dir);
  const step = await Step.run(model, batch, realRows(model, batch).textInSequence);
  const parts: [string, (file: SafetensorsFile) => Promise<void>][] = [
    ["outputs.safetensors, tensors", (file) => compareTensors(one, file, step)],
    ["outputs.safetensors, losses", (file) => compareLosses(one, file, step)],
    ["outputs.safetensors, gradients", (file) => compareGradients(one, file)],
    ["outputs.safetensors, without mask", (file) => compareUnmasked(one, file, batch)],
    ["activations.safetensors", (file) => compareActivations(one, file, step)],
  ];
  for (const [name, compare] of parts) {
    const path = `${dir}/${name.split(",")[0]}`;
    if (exists(path)) await report.attempt(name, () => withFile(path, compare));
  }
  step.destroy();
}

async function compareTensors(
  { report, model }: ModelCase,
  file: SafetensorsFile,
  step: Step,
): Promise<void> {
  const rows = realRows(model, step.batch);
  const { lm_hidden_dim: width, lm_vocab_size: vocabulary } = model.config;
  const found: Record<string, () => Promise<Float32Array>> = {
    vision_out: () => step.read("vision_encoder.layer_norm"),
    projector_out: () => step.read("MP"),
    hidden: async () => selectRows(await step.read("decoder.norm"), width, rows.sequence),
    logits: () => step.logits(),
  };
  for (const [name, read] of Object.entries(found)) {
    if (!file.tensors.has(name)) continue;
    await report.attempt(name, async () => {
      let expected: Float32Array = file.readFloat32(name);
      if (name === "hidden") expected = selectRows(expected, width, rows.sequence);
      if (name === "logits") expected = selectRows(expected, vocabulary, rows.text);
      report.compare(name, relativeToMax(await read(), expected), TOLERANCE.activation);
    });
  }
}

async function compareLosses(
  { dir, report }: ModelCase,
  file: SafetensorsFile,
  step: Step,
): Promise<void> {
  // The float64 loss, where it is given: the tensor is rounded to float32.
  const json = `${dir}/outputs.json`;
  const exact = exists(json) ? Json.read(json).find("loss_f64")?.number : undefined;
  const expected = exact ?? (file.tensors.has("loss") ? file.readFloat32("loss")[0] : undefined);
  if (expected !== undefined) {
    report.compare("loss", Math.abs(await step.loss() - expected), TOLERANCE.loss);
  }
  if (file.tensors.has("token_loss")) {
    const deviation = relativeToMax(await step.tokenLoss(), file.readFloat32("token_loss"));
    report.compare("token_loss", deviation, TOLERANCE.tokenLoss);
  }
}

async function compareGradients(
  { report, model }: ModelCase,
  file: SafetensorsFile,
): Promise<void> {
  const names = [...file.tensors.keys()].filter((name) => name.startsWith("grad."));
  for (const name of names) {
    const parameter = name.slice("grad.".length);
    const expected = comparable(parameter, file.readFloat32(name));
    const found = comparable(parameter, await model.store.readGradient(parameter));
    report.compare(`${name} (max)`, relativeToMax(found, expected), TOLERANCE.gradientMax);
    report.compare(`${name} (L2)`, relativeL2(found, expected), TOLERANCE.gradientL2);
  }
  if (names.length === 0) return;
  const missing = model.store.shapes.filter(({ name }) => !names.includes(`grad.${name}`));
  if (missing.length > 0) {
    throw new RangeError(
      `Cannot compare all gradients: "${file.path}" has none of ${
        missing.map(({ name }) => name).join(", ")
      }, expected one of every parameter. Fetch the golden file again.`,
    );
  }
}

async function compareUnmasked(
  { report, model }: ModelCase,
  file: SafetensorsFile,
  batch: HostBatch,
): Promise<void> {
  if (!file.tensors.has("hidden_nomask")) return;
  const step = await Step.run(model, firstRows(batch, 1, true));
  const deviation = relativeToMax(
    await step.read("decoder.norm"),
    file.readFloat32("hidden_nomask"),
  );
  report.compare("hidden_nomask", deviation, TOLERANCE.activation);
  step.destroy();
}
