// nanoVLM v0.1 as a whole, float64: the references chained, forward and backward.
// Sits on top of tests/reference/: what the model's own loss and gradients must match.
// Source: nanoVLM v0.1 models/vision_language_model.py and the three files it imports.

import type { AttentionOptions } from "./attention.ts";
import { IGNORED_LABEL, linearCrossEntropy, linearCrossEntropyBackward } from "./cross_entropy.ts";
import { embedding, embeddingBackward, scatterRows, scatterRowsBackward } from "./embedding.ts";
import { Layers } from "./layers.ts";
import { patchEmbedding, patchEmbeddingBackward } from "./patch_embedding.ts";
import { pixelShuffle, pixelShuffleBackward } from "./pixel_shuffle.ts";
import { type RopeOptions, ropeTables } from "./rope.ts";
import { swiglu, swigluBackward } from "./swiglu.ts";
import { rowsOf, type Tape, type Value } from "./tape.ts";

/** The entries of nanoVLM's config.json that the forward pass reads. */
export interface ReferenceConfig {
  vit_hidden_dim: number;
  vit_inter_dim: number;
  vit_patch_size: number;
  vit_img_size: number;
  vit_n_heads: number;
  vit_n_blocks: number;
  vit_ln_eps: number;
  lm_hidden_dim: number;
  lm_inter_dim: number;
  lm_rms_eps: number;
  lm_re_base: number;
  lm_max_position_embeddings: number;
  lm_attn_scaling: number;
  lm_n_heads: number;
  lm_n_kv_heads: number;
  lm_n_blocks: number;
  mp_pixel_shuffle_factor: number;
}

/** images (B, 3, S, S), one a row; ids, attentionMask and labels (B, text length). */
export interface ReferenceBatch {
  images: Float64Array;
  ids: Int32Array;
  attentionMask: Int32Array;
  labels: Int32Array;
}

/** What {@linkcode visionLanguageModel} runs with. */
export interface ReferenceModel {
  config: ReferenceConfig;
  /** By checkpoint name; both uses of the tied table are "decoder.head.weight". */
  weights: ReadonlyMap<string, Value>;
  tape: Tape;
}

/** The loss of a batch and what it was made from; T = image tokens + text length. */
export interface ReferenceOutput {
  /** One number; play the tape from it to fill the gradients. */
  loss: Value;
  /** (B, T), 0 where the label does not count. */
  tokenLosses: Float64Array;
  /** vit.patch_embedding, vit.blocks.0.attn, … lm.norm; attn and mlp before the residual is added. */
  activations: ReadonlyMap<string, Value>;
}

/**
 * The training loss of a batch: image tokens in front of the text, tied head.
 *
 * @throws {TypeError} when a weight is missing or a shape does not fit.
 */
export function visionLanguageModel(
  { config, weights, tape }: ReferenceModel,
  batch: ReferenceBatch,
): ReferenceOutput {
  const layers = new Layers(tape, weights);
  const B = batch.images.length / (3 * config.vit_img_size ** 2);
  const C = config.lm_hidden_dim;
  const image = project(layers, vision(layers, batch.images, config), config);
  const imageLength = image.data.length / (B * C);
  const join = (filler: number, text: Int32Array) => prefixRows(text, { B, imageLength, filler });
  const embedded = embed(layers, { image, ids: join(-1, batch.ids), C });
  const keyMask = join(1, batch.attentionMask);
  const hidden = language(layers, embedded, { config, B, keyMask });
  const head = { hidden, weight: layers.weight("decoder.head.weight") };
  const options = { labels: join(IGNORED_LABEL, batch.labels), C };
  const loss = tape.apply(
    head,
    (x) => Float64Array.of(linearCrossEntropy(x, options).loss),
    (x, dloss) => linearCrossEntropyBackward(x, dloss[0]!, options),
  );
  const data = { hidden: hidden.data, weight: head.weight.data };
  const { tokenLosses } = linearCrossEntropy(data, options);
  return { loss, tokenLosses, activations: layers.activations };
}

/** (B, text length) -> (B, image length + text length), the image's part filled. */
function prefixRows(
  text: Int32Array,
  { B, imageLength, filler }: { B: number; imageLength: number; filler: number },
): Int32Array {
  const textLength = text.length / B;
  const T = imageLength + textLength;
  const joined = new Int32Array(B * T).fill(filler);
  for (let b = 0; b < B; b++) {
    joined.set(text.subarray(b * textLength, (b + 1) * textLength), b * T + imageLength);
  }
  return joined;
}

/** images (B, 3, S, S) -> (B, N, C). */
function vision(layers: Layers, images: Float64Array, config: ReferenceConfig): Value {
  const { vit_hidden_dim: C, vit_n_heads: H, vit_img_size, vit_patch_size } = config;
  const options = { imagePixels: vit_img_size, patchPixels: vit_patch_size, C };
  const prefix = "vision_encoder.patch_embedding";
  let x = layers.tape.apply(
    {
      weight: layers.weight(`${prefix}.conv.weight`),
      bias: layers.weight(`${prefix}.conv.bias`),
      position: layers.weight(`${prefix}.position_embedding`),
    },
    (inputs) => patchEmbedding({ ...inputs, images }, options),
    (inputs, dy) => patchEmbeddingBackward({ ...inputs, images }, dy, options),
  );
  layers.keep("vit.patch_embedding", x);
  const B = images.length / (3 * vit_img_size ** 2);
  const T = Math.floor(vit_img_size / vit_patch_size) ** 2;
  const attention = { B, T, H, K: H, D: C / H, causal: false };
  for (let i = 0; i < config.vit_n_blocks; i++) {
    x = visionBlock(layers, x, { i, attention, config });
  }
  const norm = { C, epsilon: config.vit_ln_eps };
  return layers.keep("vit.layer_norm", layers.layerNorm(x, "vision_encoder.layer_norm", norm));
}

function visionBlock(
  layers: Layers,
  x: Value,
  { i, attention, config }: { i: number; attention: AttentionOptions; config: ReferenceConfig },
): Value {
  const name = `vit.blocks.${i}`;
  const prefix = `vision_encoder.blocks.${i}`;
  const C = config.vit_hidden_dim;
  const norm = { C, epsilon: config.vit_ln_eps };
  const inner = layers.keep(`${name}.ln1`, layers.layerNorm(x, `${prefix}.ln1`, norm));
  const qkvWeight = layers.weight(`${prefix}.attn.qkv_proj.weight`);
  const qkvBias = layers.weight(`${prefix}.attn.qkv_proj.bias`);
  const part = (index: number) => {
    const weight = rowsOf(qkvWeight, { from: index * C, count: C, width: C });
    const bias = rowsOf(qkvBias, { from: index * C, count: C, width: 1 });
    return layers.product({ x: inner, weight, bias }, { inFeatures: C });
  };
  const mixed = layers.attention({ q: part(0), k: part(1), v: part(2) }, attention);
  const attended = layers.linear(mixed, `${prefix}.attn.out_proj`, { inFeatures: C });
  x = layers.sum(x, layers.keep(`${name}.attn`, attended));
  const second = layers.keep(`${name}.ln2`, layers.layerNorm(x, `${prefix}.ln2`, norm));
  const wide = layers.linear(second, `${prefix}.mlp.fc1`, { inFeatures: C, gelu: true });
  const mlp = layers.linear(wide, `${prefix}.mlp.fc2`, { inFeatures: config.vit_inter_dim });
  return layers.keep(name, layers.sum(x, layers.keep(`${name}.mlp`, mlp)));
}

/** (B, N, vision width) -> (B, N / f², language width). */
function project(layers: Layers, x: Value, config: ReferenceConfig): Value {
  const { vit_hidden_dim: C, mp_pixel_shuffle_factor: factor } = config;
  const N = Math.floor(config.vit_img_size / config.vit_patch_size) ** 2;
  const shuffled = layers.tape.apply(
    { x },
    (inputs) => pixelShuffle(inputs, { N, C, factor }),
    (inputs, dy) => pixelShuffleBackward(inputs, dy, { N, C, factor }),
  );
  layers.keep("mp.pixel_shuffle", shuffled);
  return layers.keep(
    "mp.out",
    layers.linear(shuffled, "MP.proj", { inFeatures: C * factor ** 2 }),
  );
}

/** The rows of the tokens and, where the id is -1, those of the image, in order: (B, T, C). */
function embed(
  layers: Layers,
  { image, ids, C }: { image: Value; ids: Int32Array; C: number },
): Value {
  const rows = Int32Array.from(Array.from(ids.keys()).filter((r) => ids[r] === -1));
  const base = layers.tape.apply(
    { table: layers.weight("decoder.head.weight") },
    (x) => embedding(x, { ids, C }),
    (x, dy) => embeddingBackward(x, dy, { ids, C }),
  );
  const combined = layers.tape.apply(
    { base, image },
    (x) => scatterRows(x, { rows, C }),
    (x, dy) => scatterRowsBackward(x, dy, { rows, C }),
  );
  return layers.keep("lm.inputs_embeds", combined);
}

/** (B, T, C) in and out, through all blocks and the last norm. */
function language(
  layers: Layers,
  x: Value,
  { config, B, keyMask }: { config: ReferenceConfig; B: number; keyMask: Int32Array },
): Value {
  const { lm_hidden_dim: C, lm_n_heads: H, lm_n_kv_heads: K } = config;
  const [T, D] = [keyMask.length / B, C / H];
  const tables = ropeTables({
    T,
    D,
    base: config.lm_re_base,
    maxPositions: config.lm_max_position_embeddings,
    attnScaling: config.lm_attn_scaling,
  });
  const attention = { B, T, H, K, D, causal: true, keyMask };
  for (let i = 0; i < config.lm_n_blocks; i++) {
    x = languageBlock(layers, x, { i, attention, rope: { ...tables, T, H, D }, config });
  }
  const norm = { C, epsilon: config.lm_rms_eps };
  return layers.keep("lm.norm", layers.rmsNorm(x, "decoder.norm", norm));
}

function languageBlock(
  layers: Layers,
  x: Value,
  { i, attention, rope, config }: {
    i: number;
    attention: AttentionOptions;
    rope: RopeOptions;
    config: ReferenceConfig;
  },
): Value {
  const name = `lm.blocks.${i}`;
  const prefix = `decoder.blocks.${i}`;
  const inFeatures = config.lm_hidden_dim;
  const norm = { C: inFeatures, epsilon: config.lm_rms_eps };
  const inner = layers.keep(`${name}.norm1`, layers.rmsNorm(x, `${prefix}.norm1`, norm));
  const flatQ = layers.linear(inner, `${prefix}.attn.q_proj`, { inFeatures });
  const flatK = layers.linear(inner, `${prefix}.attn.k_proj`, { inFeatures });
  const v = layers.linear(inner, `${prefix}.attn.v_proj`, { inFeatures });
  const q = layers.rope(flatQ, rope);
  const k = layers.rope(flatK, { ...rope, H: attention.K });
  const mixed = layers.attention({ q, k, v }, attention);
  const attended = layers.linear(mixed, `${prefix}.attn.out_proj`, { inFeatures });
  x = layers.sum(x, layers.keep(`${name}.attn`, attended));
  const second = layers.keep(`${name}.norm2`, layers.rmsNorm(x, `${prefix}.norm2`, norm));
  const gate = layers.linear(second, `${prefix}.mlp.gate_proj`, { inFeatures });
  const up = layers.linear(second, `${prefix}.mlp.up_proj`, { inFeatures });
  const gated = layers.tape.apply({ gate, up }, swiglu, swigluBackward);
  const down = { inFeatures: config.lm_inter_dim };
  const mlp = layers.linear(gated, `${prefix}.mlp.down_proj`, down);
  return layers.keep(name, layers.sum(x, layers.keep(`${name}.mlp`, mlp)));
}
