/**
 * What is known of a run before its first step, for people.
 *
 * Beside train.ts, which prints it. Ours.
 */
import { imageTokens } from "../model/inputs.ts";
import { planText } from "./plan_report.ts";
import type { Run } from "./run.ts";
import { MOST_WHILE_TRAINING } from "./training_data.ts";

/** What is known before the first step. */
export function describe(
  { config: { vlm, train }, steps, stepsBefore, data, model, plan }: Run,
): string {
  const count = (prefix: string) =>
    model.store.shapes.filter(({ name }) => name.startsWith(prefix))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
  const parts = ["vision_encoder.", "MP.", "decoder."].map((name) =>
    count(name).toLocaleString("en")
  );
  const { samples, batchesPerEpoch } = data.loader;
  const asked = Math.min(data.indices.length, MOST_WHILE_TRAINING);
  return [
    `Device      ${model.device.description}, ${
      model.dtype === "f16" ? "mixed precision (f16)" : "float32"
    }`,
    `Parameters  ${model.store.count.toLocaleString("en")}: ` +
    `${parts[0]} vision encoder, ${parts[1]} projector, ${parts[2]} language model`,
    `Training    ${samples.toLocaleString("en")} questions of ${train.train_dataset_path}`,
    `Held out    ${data.indices.length.toLocaleString("en")} questions` +
    (train.eval_in_epochs ? `, ${asked} of them every ${train.eval_interval} steps` : ""),
    `Steps       ${steps} of ${train.batch_size} questions, ${
      (steps / batchesPerEpoch).toFixed(2)
    } epochs, ${imageTokens(vlm) + vlm.lm_max_length} tokens a question`,
    ...(stepsBefore === 0 ? [] : [`Resumed     after step ${stepsBefore}`]),
    planText(plan),
  ].join("\n");
}
