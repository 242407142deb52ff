// A model of a few thousand parameters and batches for it, for tests of model/.

import type { VLMConfig } from "../../model/config.ts";
import { parseVLMConfig } from "../../model/config_file.ts";
import type { HostBatch } from "../../model/inputs.ts";
import { seededRandom } from "../gradcheck.ts";

/** Two blocks on each side, grouped heads, 4 image tokens. */
export const SMALL: VLMConfig = parseVLMConfig({
  vit_hidden_dim: 24,
  vit_inter_dim: 40,
  vit_patch_size: 4,
  vit_img_size: 16,
  vit_n_heads: 2,
  vit_n_blocks: 2,
  lm_hidden_dim: 32,
  lm_inter_dim: 48,
  lm_n_heads: 4,
  lm_n_kv_heads: 2,
  lm_n_blocks: 2,
  lm_vocab_size: 61,
  lm_max_length: 12,
  lm_max_position_embeddings: 128,
  mp_pixel_shuffle_factor: 2,
}, "the small test model");

/** A batch of random pictures and ids; row b begins with b padding tokens, the last half of each row has labels. */
export function smallBatch(seed: number, size = 3, length = 12): HostBatch {
  const random = seededRandom(seed);
  const inputIds = random.integers(size * length, SMALL.lm_vocab_size);
  const attentionMask = Int32Array.from(
    { length: size * length },
    (_, i) => Number(i % length >= Math.floor(i / length)),
  );
  const labels = Int32Array.from(
    inputIds,
    (_, i) => i % length < length / 2 || i % length === length - 1 ? -100 : inputIds[i + 1]!,
  );
  const images = Float32Array.from(random.uniform(size * 3 * 16 * 16, 0, 1));
  return { size, length, inputIds, attentionMask, labels, images };
}
