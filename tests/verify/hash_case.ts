/**
 * A golden case whose weights come out of a hash: the whole 222M model, forward and backward, against checksums.
 *
 * Parameters are made, uploaded and read back one after the other; the host never holds two.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import { patchesPerSide, type VLMConfig } from "../../model/config.ts";
import { isLaterGeneration, parseVLMConfig } from "../../model/config_file.ts";
import { type HostBatch, imageTokens } from "../../model/inputs.ts";
import type { SafetensorsFile } from "../../model/safetensors.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import {
  differing,
  l2,
  largest,
  largestDifference,
  relativeEach,
  relativeToMax,
  selectRows,
  TOLERANCE,
} from "./compare.ts";
import type { Context } from "./context.ts";
import { exists, Json, withFile } from "./golden.ts";
import { fnv1a32, hashedBatch, hashedWeights, unit } from "./hash_rules.ts";
import { LATER } from "./model_case.ts";
import type { CaseReport } from "./report.ts";
import { realRows, Step } from "./step.ts";

/** Norms of the same numbers, summed up in another order: n · 2⁻⁵³ is 3e-9 for the largest tensor. */
const CHECKSUM_TOLERANCE = 1e-8;
/**
 * A gradient's probe is Σ g[i]·u[i], u uniform on [-1, 1] and independent of g. An error e with ‖e‖ <= 5e-5·‖g‖, which is
 * what the gradients' tolerance allows, moves it by Σ e[i]·u[i]: mean 0, deviation ‖e‖/√3. Five deviations are exceeded by
 * chance once in 1.7 million times, and once in 4,000 over all 422 parameters. Relative to ‖g‖.
 */
const PROBE_TOLERANCE = 5 * TOLERANCE.gradientL2 / Math.sqrt(3);

interface HashCase {
  readonly dir: string;
  readonly report: CaseReport;
  readonly model: VisionLanguageModel;
  readonly reference: Json;
}

/** Compares a hashed case. Whatever is wrong goes into the report. */
export async function verifyHash(
  dir: string,
  report: CaseReport,
  context: Context,
): Promise<void> {
  await report.attempt("reference.json", async () => {
    const json = Json.read(`${dir}/config.json`).value;
    if (isLaterGeneration(json)) return report.skip("model", LATER);
    const reference = Json.read(`${dir}/reference.json`);
    const config = parseVLMConfig(json, `${dir}/config.json`);
    const model = await make(await context.device(), config);
    const one = { dir, report, model, reference };
    try {
      await uploadWeights(one);
      await compareRun(one, compareInputs(one));
      await compareGradients(one);
    } finally {
      model.destroy();
    }
  });
}

function make(device: Device, config: VLMConfig): Promise<VisionLanguageModel> {
  return device.scoped(
    "make the hashed model",
    () => new VisionLanguageModel(device, config, { training: true }),
  );
}

async function uploadWeights({ report, model, reference }: HashCase): Promise<void> {
  const golden = reference.get("weights");
  const norms: number[] = [];
  const goldenNorms: number[] = [];
  const firsts: number[] = [];
  const goldenFirsts: number[] = [];
  for (const shape of model.store.shapes) {
    const values = hashedWeights(shape);
    model.store.upload(shape.name, values);
    model.device.gpu.queue.submit([]); // sends the copy on its way, or all copies would pile up
    await model.device.idle();
    const entry = golden.get(shape.name);
    norms.push(l2(values));
    goldenNorms.push(entry.get("l2").number);
    firsts.push(...values.subarray(0, 4));
    goldenFirsts.push(...entry.get("first4").numbers);
  }
  const count = reference.find("n_parameters")?.number ?? model.store.count;
  report.compare("parameters", Math.abs(model.store.count - count), 0, `of ${count}`);
  const deviation = relativeEach(norms, goldenNorms);
  report.compare("weights, norms", deviation, CHECKSUM_TOLERANCE);
  const wrong = differing(firsts, goldenFirsts);
  report.compare("weights, first values", wrong, 0, "values that differ");
}

function compareInputs({ report, model, reference }: HashCase): HostBatch {
  const golden = reference.get("inputs");
  const ids = golden.get("input_ids").matrix;
  const batch = hashedBatch(model.config, ids.length, ids[0]?.length ?? 0);
  const pixels = golden.get("image_first8").numbers;
  const pairs: [string, ArrayLike<number>, number[]][] = [
    ["images, first values", batch.images.subarray(0, pixels.length), pixels],
    ["input_ids", batch.inputIds, ids.flat()],
    ["attention_mask", batch.attentionMask, golden.get("attention_mask").matrix.flat()],
    ["labels", batch.labels ?? [], golden.get("labels").matrix.flat()],
  ];
  for (const [name, found, expected] of pairs) {
    report.compare(name, differing(found, expected), 0, "values that differ");
  }
  return batch;
}

async function compareRun(one: HashCase, batch: HostBatch): Promise<void> {
  const { dir, report, model, reference } = one;
  const rows = realRows(model, batch);
  const step = await Step.run(model, batch, rows.textInSequence);
  const loss = reference.get("loss_f64").number;
  report.compare("loss", Math.abs(await step.loss() - loss), TOLERANCE.loss);
  const logits = await step.logits();
  const vocabulary = model.config.lm_vocab_size;
  const likeliest = rows.text.map((_, i) =>
    indexOfLargest(logits.subarray(i * vocabulary, (i + 1) * vocabulary))
  );
  const golden = reference.get("argmax_of_real_text_rows").items.flatMap((row) => row.numbers);
  report.compare("likeliest tokens", differing(likeliest, golden), 0, `of ${golden.length} differ`);
  const path = `${dir}/outputs.safetensors`;
  if (exists(path)) {
    await report.attempt(
      "outputs.safetensors",
      () => withFile(path, (file) => compareOutputs(one, file, { step, logits, text: rows.text })),
    );
  }
  step.destroy();
}

function indexOfLargest(values: Float32Array): number {
  let best = 0;
  for (let i = 1; i < values.length; i++) if ((values[i] ?? NaN) > (values[best] ?? NaN)) best = i;
  return best;
}

interface Observed {
  readonly step: Step;
  /** (rows, V). */
  readonly logits: Float32Array;
  /** Which of the (B·T) text positions these rows are. */
  readonly text: readonly number[];
}

async function compareOutputs(
  { report, model: { config }, reference }: HashCase,
  file: SafetensorsFile,
  { step, logits, text }: Observed,
): Promise<void> {
  const image = imageTokens(config);
  const { size, length } = step.batch;
  const patches = patchesPerSide(config) ** 2;
  const taps: [string, string, number][] = [
    ["vision_out", "vision_encoder.layer_norm", patches],
    ["projector_out", "MP", image],
    ["hidden", "decoder.norm", image + length],
  ];
  const rowsOf = (key: string, rowsPerSample: number) => {
    const rows = reference.get(key).numbers;
    return Array.from({ length: size }, (_, b) => rows.map((row) => b * rowsPerSample + row))
      .flat();
  };
  for (const [name, tap, rowsPerSample] of taps) {
    const values = await step.read(tap);
    const width = values.length / size / rowsPerSample;
    const found = selectRows(values, width, rowsOf(`${name}_rows`, rowsPerSample));
    report.compare(name, relativeToMax(found, file.readFloat32(name)), TOLERANCE.activation);
  }
  const [first = 0, last = 0] = reference.get("logits_columns").text.split("..").map(Number);
  const found = rowsOf("logits_text_rows", length).flatMap((row) => {
    const start = text.indexOf(row) * config.lm_vocab_size;
    return [...logits.subarray(start + first, start + last + 1)];
  });
  report.compare("logits", relativeToMax(found, file.readFloat32("logits")), TOLERANCE.activation);
}

/**
 * Norm, first values and probe of every gradient. As |‖a‖ - ‖b‖| <= ‖a - b‖, the norm has the tolerance of the relative L2;
 * first values have that of single values, to the largest one of the tensor (which is at most its golden norm).
 */
async function compareGradients({ report, model, reference }: HashCase): Promise<void> {
  const golden = reference.get("gradients_f64");
  for (const { name } of model.store.shapes) {
    await report.attempt(`grad.${name}`, async () => {
      const gradient = await model.store.readGradient(name);
      const entry = golden.get(name);
      const norm = entry.get("l2").number;
      const compare = (quantity: string, deviation: number, tolerance: number) =>
        report.compare(`grad.${name} (${quantity})`, deviation, tolerance);
      compare("norm", relativeEach([l2(gradient)], [norm]), TOLERANCE.gradientL2);
      const firsts = largestDifference(gradient.subarray(0, 4), entry.get("first4").numbers);
      const scale = Math.min(largest(gradient), norm);
      compare("first values", firsts / scale, TOLERANCE.gradientMax);
      const difference = Math.abs(probe(name, gradient) - entry.get("probe").number);
      compare("probe", difference / norm, PROBE_TOLERANCE);
    });
  }
}

function probe(name: string, gradient: Float32Array): number {
  const seed = fnv1a32(`probe.${name}`);
  let sum = 0;
  for (let i = 0; i < gradient.length; i++) sum += (gradient[i] ?? NaN) * unit(seed, i);
  return sum;
}
