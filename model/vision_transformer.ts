/**
 * Vision encoder: SigLIP's vision transformer without a class token. Pixels in, one vector a patch out.
 *
 * Source: nanoVLM models/vision_transformer.py at v0.1.
 */
import { attention } from "../shaders/attention.ts";
import { layerNorm } from "../shaders/layer_norm.ts";
import { linear } from "../shaders/linear.ts";
import { patchify } from "../shaders/patchify.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import type { Parameter, Tensor } from "../shaders/runtime/tensor.ts";
import { patchesPerSide, type VLMConfig } from "./config.ts";
import type { ParameterStore } from "./module.ts";

/** Cuts images into patches and embeds them: a convolution whose stride is its width, as one product. */
export class ViTPatchEmbeddings {
  readonly #weight: Parameter;
  readonly #bias: Parameter;
  readonly #position: Parameter;

  constructor(store: ParameterStore, readonly config: VLMConfig, prefix: string) {
    this.#weight = store.parameter(`${prefix}.conv.weight`);
    this.#bias = store.parameter(`${prefix}.conv.bias`);
    this.#position = store.parameter(`${prefix}.position_embedding`);
  }

  /** images (B, 3, S, S) -> (B, P, C). */
  forward(rec: Recorder, images: Tensor): Tensor {
    const { vit_hidden_dim, vit_patch_size } = this.config;
    const patches = patchesPerSide(this.config) ** 2;
    const pixels = patchify(rec, images, vit_patch_size); // (B·P, 3·p·p)
    const position = rec.use(this.#position).view(patches, vit_hidden_dim);
    return linear(rec, pixels, { weight: this.#weight, bias: this.#bias, residual: position })
      .view(images.dim(0), patches, vit_hidden_dim);
  }
}

/** x + attn(ln1(x)), then + mlp(ln2(·)). */
export class ViTBlock {
  readonly #parameters: (name: string) => Parameter;

  constructor(store: ParameterStore, readonly config: VLMConfig, readonly prefix: string) {
    this.#parameters = (name) => store.parameter(`${prefix}.${name}`);
  }

  /** x (B, P, C) -> (B, P, C). */
  forward(rec: Recorder, x: Tensor, position: Tensor): Tensor {
    const y = this.#attend(rec, x, position);
    const normed = this.#norm(rec, "ln2", y);
    const inner = linear(rec, normed, { ...this.#linear("mlp.fc1"), gelu: true }); // (B, P, I)
    return linear(rec, inner, { ...this.#linear("mlp.fc2"), residual: y }); // (B, P, C)
  }

  #attend(rec: Recorder, x: Tensor, position: Tensor): Tensor {
    const { vit_n_heads: heads, vit_hidden_dim: width } = this.config;
    const normed = this.#norm(rec, "ln1", x);
    const qkv = linear(rec, normed, this.#linear("attn.qkv_proj")); // (B, P, 3·C)
    const shape = { heads, kvHeads: heads, headWidth: width / heads, causal: false, position };
    const mixed = attention(rec, qkv, shape); // (B, P, C)
    const y = linear(rec, mixed, { ...this.#linear("attn.out_proj"), residual: x });
    return rec.tap(`${this.prefix}.attn + x`, y);
  }

  #norm(rec: Recorder, name: string, x: Tensor): Tensor {
    const weight = this.#parameters(`${name}.weight`);
    const bias = this.#parameters(`${name}.bias`);
    const y = layerNorm(rec, x, weight, bias, this.config.vit_ln_eps);
    return rec.tap(`${this.prefix}.${name}`, y);
  }

  #linear(name: string): { weight: Parameter; bias: Parameter } {
    return { weight: this.#parameters(`${name}.weight`), bias: this.#parameters(`${name}.bias`) };
  }
}

/** The whole encoder. */
export class ViT {
  readonly #embedding: ViTPatchEmbeddings;
  readonly #blocks: readonly ViTBlock[];
  readonly #weight: Parameter;
  readonly #bias: Parameter;

  constructor(store: ParameterStore, readonly config: VLMConfig) {
    const prefix = "vision_encoder";
    this.#embedding = new ViTPatchEmbeddings(store, config, `${prefix}.patch_embedding`);
    this.#blocks = Array.from(
      { length: config.vit_n_blocks },
      (_, i) => new ViTBlock(store, config, `${prefix}.blocks.${i}`),
    );
    this.#weight = store.parameter(`${prefix}.layer_norm.weight`);
    this.#bias = store.parameter(`${prefix}.layer_norm.bias`);
  }

  /** images (B, 3, S, S) in [0, 1], or as the config's mean and deviation make them -> (B, P, C). */
  forward(rec: Recorder, images: Tensor, position: Tensor): Tensor {
    let x = rec.tap("vision_encoder.patch_embedding", this.#embedding.forward(rec, images));
    for (const block of this.#blocks) {
      const input = x;
      x = rec.tap(block.prefix, rec.checkpoint(() => block.forward(rec, input, position)));
    }
    const y = layerNorm(rec, x, this.#weight, this.#bias, this.config.vit_ln_eps);
    return rec.tap("vision_encoder.layer_norm", y);
  }
}
