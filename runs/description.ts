/**
 * What is known of a run before its first step, for people.
 *
 * Beside train.ts, which prints it. Ours.
 */
import { type Config, presets } from "../model/config.ts";
import { overshoot } from "../model/schedule.ts";
import { rowsText } from "./data_facts.ts";
import { type EvaluationSet, MOST_WHILE_TRAINING } from "./evaluations.ts";
import { pictureAdvice } from "./picture_advice.ts";
import { planText } from "./plan_report.ts";
import type { Run } from "./run.ts";
import { uncertaintyNote } from "./score.ts";

/** Columns that the names of facts take. */
export const NAME_COLUMNS = 12;

/** What is known before the first step. */
export function describe(
  { config, steps, stepsBefore, data, model, plan, best }: Run,
): string {
  const { vlm, train } = config;
  const count = (prefix: string) =>
    model.store.shapes.filter(({ name }) => name.startsWith(prefix))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
  const parts = ["vision_encoder.", "MP.", "decoder."].map((name) =>
    count(name).toLocaleString("en")
  );
  const { samples, batchesPerEpoch } = data.loader;
  const asked = Math.min(data.indices.length, MOST_WHILE_TRAINING);
  const every = train.eval_interval === 1 ? "step" : `${train.eval_interval} steps`;
  const note = uncertaintyNote(data.indices.length, data.heldOut.picturesOf(data.indices).size);
  const { push_to: repository, push_private: isPrivate } = train;
  return [
    `Device      ${model.device.description}, ${
      model.dtype === "f16" ? "mixed precision (f16)" : "float32"
    }`,
    `Parameters  ${model.store.count.toLocaleString("en")}: ` +
    `${parts[0]} vision encoder, ${parts[1]} projector, ${parts[2]} language model`,
    `Settings    ${settingsText(config)}`,
    `Training    ${samples.toLocaleString("en")} questions of ${train.train_dataset_path}, ` +
    `${batchesPerEpoch.toLocaleString("en")} steps once through them`,
    `Held out    ${data.indices.length.toLocaleString("en")} questions to test the model with` +
    (train.eval_in_epochs ? `, ${asked} of them every ${every}` : ""),
    ...(note === "" ? [] : [`Note        ${note}`]),
    ...data.evaluationSets.map(setText),
    ...Object.entries(data.revisions).map(([name, commit]) =>
      `Revision    ${commit.slice(0, 12)} of ${name}`
    ),
    `Steps       ${steps.toLocaleString("en")} steps of ${train.batch_size} questions${
      train.batch_size === samples ? ", all there are" : ""
    }, ${(steps / batchesPerEpoch).toFixed(2)} times through the data`,
    `Rows        ${rowsText(vlm.lm_max_length, data.facts)}`,
    `Tokenizer   ${vlm.lm_tokenizer}, ${vlm.lm_vocab_size.toLocaleString("en")} tokens`,
    ...[
      ...data.dataset.notes ?? [],
      ...(data.facts ? pictureAdvice(data.facts.pictures, vlm) : []),
    ].map((said) => `Note        ${said}`),
    ...(overshoot(steps, train) === 1 ? [] : [
      `Warm-up     ends at ${overshoot(steps, train).toFixed(2)} times the learning rates, as ` +
      `nanoVLM's does; --set lr_overshoot=false keeps to them`,
    ]),
    ...(stepsBefore === 0 ? [] : [`Resumed     after step ${stepsBefore}`]),
    `Saved in    ${best.folder}${/-\d+$/.test(best.folder) ? ", beside the runs before" : ""}`,
    ...(repository === null
      ? []
      : [`Pushes to   ${repository}${isPrivate ? " (private)" : ""}, the best model at the end`]),
    planText(plan),
  ].join("\n");
}

function setText({ name, indices, isTest }: EvaluationSet): string {
  const all = indices.length;
  return isTest
    ? `Test        ${
      all.toLocaleString("en")
    } questions of ${name}, also by drawing, which says which model is best`
    : `Tested too  ${all.toLocaleString("en")} questions of ${name}` +
      (all > MOST_WHILE_TRAINING ? `, ${MOST_WHILE_TRAINING} of them while training` : "");
}

/** Where files are, which is told elsewhere. */
const PLACES = ["vlm_checkpoint_path", "train_dataset_path"];

/** The settings as what differs from their preset, which the model's folder tells, or else the nearest one. */
export function settingsText(config: Config): string {
  const differences = Object.entries(presets).map(([name, preset]) => {
    const values = new Map<string, unknown>(Object.entries({ ...preset.vlm, ...preset.train }));
    const changed = Object.entries({ ...config.vlm, ...config.train }).filter(([key, value]) =>
      !PLACES.includes(key) && JSON.stringify(value) !== JSON.stringify(values.get(key))
    );
    const path = config.vlm.vlm_checkpoint_path.replace(/-\d+$/, ""); // of a second run of a preset
    const isOwn = preset.vlm.vlm_checkpoint_path === path;
    return { name, changed, isOwn };
  });
  const nearest = differences.reduce((a, b) => b.changed.length < a.changed.length ? b : a);
  const { name, changed } = differences.find(({ isOwn }) => isOwn) ?? nearest;
  const changes = changed.map(([key, value]) => `${key}=${valueText(value)}`);
  const text = changes.length === 0 ? "" : ` with ${changes.join(", ")}`;
  return `preset ${name}${text} (--print-config shows all)`;
}

function valueText(value: unknown): string {
  if (Array.isArray(value)) return value.length === 0 ? "none" : value.map(String).join(" ");
  return String(value);
}
