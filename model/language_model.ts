/**
 * Language model: a Llama-style decoder (SmolLM2) over embeddings. Its head is applied elsewhere, to the rows that
 * need it: in the loss (shaders/linear_cross_entropy.ts) and in decoding (generator.ts).
 *
 * Source: nanoVLM models/language_model.py at v0.1.
 */
import { attention } from "../shaders/attention.ts";
import { kvAppend } from "../shaders/kv_append.ts";
import { linear } from "../shaders/linear.ts";
import { rmsNorm } from "../shaders/rms_norm.ts";
import { rope, ropeTable } from "../shaders/rope.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import type { Parameter, Tensor } from "../shaders/runtime/tensor.ts";
import { swiglu } from "../shaders/swiglu.ts";
import type { VLMConfig } from "./config.ts";
import type { ParameterStore } from "./module.ts";

/** What all blocks of one forward pass share. */
export interface Context {
  /** u32 (B, S): 0 hides a key; S is the cache's length, or the sequence's. */
  readonly mask?: Tensor;
  /** u32 [1] or (B): the position of the first row of each sequence. */
  readonly position: Tensor;
  /** Rotary tables (L, D/2). */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** Keys and values of each block, (B, S, 2·K·D), to append to and attend over. */
  readonly caches?: readonly Tensor[];
}

/** x + attn(norm1(x)), then + mlp(norm2(·)). */
export class LanguageModelBlock {
  readonly #norm1: Parameter;
  readonly #norm2: Parameter;
  readonly #qkv: Parameter;
  readonly #out: Parameter;
  readonly #gateUp: Parameter;
  readonly #down: Parameter;

  constructor(store: ParameterStore, readonly config: VLMConfig, readonly prefix: string) {
    this.#norm1 = store.parameter(`${prefix}.norm1.weight`);
    this.#norm2 = store.parameter(`${prefix}.norm2.weight`);
    this.#qkv = store.parameter(
      `${prefix}.attn.q_proj.weight`,
      `${prefix}.attn.k_proj.weight`,
      `${prefix}.attn.v_proj.weight`,
    );
    this.#out = store.parameter(`${prefix}.attn.out_proj.weight`);
    this.#gateUp = store.parameter(
      `${prefix}.mlp.gate_proj.weight`,
      `${prefix}.mlp.up_proj.weight`,
    );
    this.#down = store.parameter(`${prefix}.mlp.down_proj.weight`);
  }

  /** x (B, T, C) -> (B, T, C). */
  forward(rec: Recorder, x: Tensor, context: Context, cache?: Tensor): Tensor {
    const y = this.#attend(rec, x, context, cache);
    const normed = rec.tap(`${this.prefix}.norm2`, this.#norm(rec, y, this.#norm2));
    const gateUp = linear(rec, normed, { weight: this.#gateUp }); // (B, T, 2·I)
    const inner = swiglu(rec, gateUp); // (B, T, I)
    return linear(rec, inner, { weight: this.#down, residual: y }); // (B, T, C)
  }

  #attend(rec: Recorder, x: Tensor, context: Context, cache?: Tensor): Tensor {
    const { lm_n_heads: heads, lm_n_kv_heads: kvHeads, lm_hidden_dim: width } = this.config;
    const { mask, position, cos, sin } = context;
    const headWidth = width / heads;
    const normed = rec.tap(`${this.prefix}.norm1`, this.#norm(rec, x, this.#norm1));
    const projected = linear(rec, normed, { weight: this.#qkv }); // (B, T, (H + 2·K)·D)
    const rotary = { heads: heads + kvHeads, headWidth, cos, sin, position };
    const qkv = rope(rec, projected, rotary);
    if (cache) kvAppend(rec, qkv, cache, position);
    const mixed = attention(rec, qkv, {
      heads,
      kvHeads,
      headWidth,
      causal: true,
      position,
      ...(mask ? { mask } : {}),
      ...(cache ? { cache } : {}),
    }); // (B, T, C)
    const y = linear(rec, mixed, { weight: this.#out, residual: x });
    return rec.tap(`${this.prefix}.attn + x`, y);
  }

  #norm(rec: Recorder, x: Tensor, weight: Parameter): Tensor {
    return rmsNorm(rec, x, weight, this.config.lm_rms_eps);
  }
}

/** The decoder without its head. */
export class LanguageModel {
  /** (V, C): the token embedding. */
  readonly tokenEmbedding: Parameter;
  /** (V, C): the head, the same parameter where they are tied. */
  readonly head: Parameter;
  readonly #blocks: readonly LanguageModelBlock[];
  readonly #norm: Parameter;

  constructor(store: ParameterStore, readonly config: VLMConfig) {
    this.tokenEmbedding = store.parameter("decoder.token_embedding.weight");
    this.head = config.lm_tie_weights
      ? this.tokenEmbedding
      : store.parameter("decoder.head.weight");
    this.#blocks = Array.from(
      { length: config.lm_n_blocks },
      (_, i) => new LanguageModelBlock(store, config, `decoder.blocks.${i}`),
    );
    this.#norm = store.parameter("decoder.norm.weight");
  }

  /**
   * Rotary tables (length, D/2) for sequences of `length`; longer than `maxPositions`, for which the model was made,
   * frequencies shrink.
   */
  rotary(
    rec: Recorder,
    length: number,
    maxPositions: number = this.config.lm_max_position_embeddings,
  ): { cos: Tensor; sin: Tensor } {
    const { config } = this;
    const headWidth = config.lm_hidden_dim / config.lm_n_heads;
    const { cos, sin } = ropeTable(length, headWidth, {
      base: config.lm_re_base,
      maxPositions,
      scaling: config.lm_attn_scaling,
    });
    const shape = [length, headWidth / 2];
    return {
      cos: rec.constant("rope cos", shape, "f32", cos),
      sin: rec.constant("rope sin", shape, "f32", sin),
    };
  }

  /** x (B, T, C) embeddings -> (B, T, C) after the last norm. */
  forward(rec: Recorder, x: Tensor, context: Context): Tensor {
    let y = x;
    this.#blocks.forEach((block, i) => {
      const input = y;
      const forward = () => block.forward(rec, input, context, context.caches?.[i]);
      y = rec.tap(block.prefix, rec.checkpoint(forward));
    });
    return rec.tap("decoder.norm", rmsNorm(rec, y, this.#norm, this.config.lm_rms_eps));
  }
}
