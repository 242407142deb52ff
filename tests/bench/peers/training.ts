/**
 * The training step of the comparison: our language model, its loss and AdamW, as one plan.
 *
 * Under ours.ts. The model is model/language_model.ts as it stands; what is written here is what nanoVLM's own step
 * (model/training_step.ts) does otherwise: no images, a label for every token, other betas.
 */
import { expectedParameters } from "../../../model/checkpoint.ts";
import { presets, type VLMConfig } from "../../../model/config.ts";
import { LanguageModel } from "../../../model/language_model.ts";
import { ParameterStore } from "../../../model/module.ts";
import { adamw, adamwHyper } from "../../../shaders/adamw.ts";
import { embedding } from "../../../shaders/embedding.ts";
import { linearCrossEntropy } from "../../../shaders/linear_cross_entropy.ts";
import type { Device } from "../../../shaders/runtime/device.ts";
import { Plan } from "../../../shaders/runtime/plan.ts";
import type { Recorder } from "../../../shaders/runtime/recorder.ts";
import { persistent, type Tensor } from "../../../shaders/runtime/tensor.ts";
import { ADAMW, LANGUAGE_MODEL, random, tokens } from "./workloads.ts";

const { width, blocks, heads, inner, vocabulary, T, B } = LANGUAGE_MODEL;

const CONFIG: VLMConfig = {
  ...presets["222m"].vlm,
  lm_hidden_dim: width,
  lm_n_blocks: blocks,
  lm_n_heads: heads,
  lm_n_kv_heads: heads,
  lm_inter_dim: inner,
  lm_vocab_size: vocabulary,
  lm_re_base: 10000,
  lm_rms_eps: 1e-5,
  lm_tie_weights: true,
};

/** The weights of a block by the number that the peers add to the block's seed: inputs, outputs and our name. */
const BLOCK_WEIGHTS: readonly (readonly [name: string, inputs: number, outputs: number])[] = [
  ["attn.q_proj", width, width],
  ["attn.k_proj", width, width],
  ["attn.v_proj", width, width],
  ["attn.out_proj", width, width],
  ["mlp.gate_proj", width, inner],
  ["mlp.up_proj", width, inner],
  ["mlp.down_proj", inner, width],
];

/** A recorded step. */
export interface TrainingPlan {
  /** Its result is the loss, [1]. */
  readonly plan: Plan<Tensor>;
  /** Says which step, from 1, the next run is. */
  setStep(step: number): void;
}

/** Records forward, backward and update on the peers' weights and tokens. @throws {DeviceError} */
export async function recordTraining(device: Device): Promise<TrainingPlan> {
  const store = makeStore(device);
  const decoder = new LanguageModel(store, CONFIG);
  const [value, gradient] = flatBuffers(store);
  const m = persistent(device, "first moment", value.shape);
  const v = persistent(device, "second moment", value.shape);
  const hyper = persistent(device, "hyperparameters", [8]);
  const plan = await Plan.record(device, (rec) => {
    rec.clear(gradient);
    const loss = recordLoss(rec, decoder);
    rec.backprop(loss, rec.constant("dloss", [1], "f32", Float32Array.of(1)));
    adamw(rec, { value, gradient, m, v, hyper });
    return rec.keep(loss);
  }, { training: true });
  const setStep = (step: number) => hyper.upload(device, adamwHyper({ ...ADAMW, step }));
  return { plan, setStep };
}

/** All parameters of a language model, with the peers' first values. */
function makeStore(device: Device): ParameterStore {
  const shapes = expectedParameters(CONFIG).filter(({ name }) => name.startsWith("decoder."));
  const store = new ParameterStore(device, shapes, { training: true, dtype: "f32" });
  for (const { name, shape: [length = 0] } of shapes) {
    if (/norm\d?\.weight$/.test(name)) store.upload(name, new Float32Array(length).fill(1));
  }
  const embeddings = random(vocabulary * width, 10, 0.05);
  store.upload("decoder.token_embedding.weight", embeddings);
  for (let block = 0; block < blocks; block++) {
    BLOCK_WEIGHTS.forEach(([name, inputs, outputs], i) => {
      const seed = 100 * (block + 1) + i + 1;
      const drawn = random(inputs * outputs, seed, 1 / Math.sqrt(inputs)); // (inputs, outputs)
      store.upload(`decoder.blocks.${block}.${name}.weight`, transposed(drawn, inputs, outputs));
    });
  }
  return store;
}

function flatBuffers(store: ParameterStore): [value: Tensor, gradient: Tensor] {
  const group = store.groups.find(({ name }) => name === "language");
  if (!group?.gradient) throw new TypeError("Cannot train: the parameters have no gradients");
  return [group.value, group.gradient];
}

/** (rows, columns) -> (columns, rows). */
function transposed(x: Float32Array, rows: number, columns: number): Float32Array {
  return Float32Array.from(x, (_, i) => x[i % rows * columns + Math.floor(i / rows)] ?? 0);
}

function recordLoss(rec: Recorder, decoder: LanguageModel): Tensor {
  const { ids, labels } = tokens();
  const u32 = (label: string, data: Uint32Array<ArrayBuffer>) =>
    rec.constant(label, [data.length], "u32", data);
  const position = u32("position 0", new Uint32Array(1));
  const x = embedding(rec, u32("ids", ids), decoder.tokenEmbedding).view(B, T, width);
  const hidden = decoder.forward(rec, x, { position, ...decoder.rotary(rec, T) });
  return linearCrossEntropy(rec, hidden, decoder.head, {
    rows: u32("rows", Uint32Array.from(ids, (_, row) => row)),
    labels: u32("labels", labels),
    count: u32("label count", Uint32Array.of(labels.length)),
  }).loss;
}
