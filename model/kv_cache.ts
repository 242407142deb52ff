/**
 * The decoding cache: keys and values of every block for all positions so far, preallocated.
 *
 * Source: nanoVLM's decoding with a cache (generate() after v0.1), which gives the same tokens as v0.1's without.
 */
import { bufferOf, persistent, type Tensor } from "../shaders/runtime/tensor.ts";
import type { VisionLanguageModel } from "./vision_language_model.ts";

/** Keys and values of a batch of sequences. */
export class KVCache {
  /** One a block: (B, S, 2·K·D), keys then values, of the model's activation type. */
  readonly blocks: readonly Tensor[];
  /** u32 (B, S): 0 hides a key. */
  readonly mask: Tensor;
  /** u32 (B): where the next token of each sequence goes. */
  readonly position: Tensor;

  /** @throws {DeviceError} where the device cannot hold it. */
  constructor(
    { device, config, dtype }: VisionLanguageModel,
    readonly batch: number,
    /** Positions S. */
    readonly capacity: number,
  ) {
    const width = 2 * config.lm_n_kv_heads * config.lm_hidden_dim / config.lm_n_heads;
    this.blocks = Array.from(
      { length: config.lm_n_blocks },
      (_, i) => persistent(device, `kv cache ${i}`, [batch, capacity, width], dtype),
    );
    this.mask = persistent(device, "cache mask", [batch, capacity], "u32");
    this.position = persistent(device, "cache position", [batch], "u32");
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const tensor of [...this.blocks, this.mask, this.position]) bufferOf(tensor).destroy();
  }
}
