// What a model is made of: VLMConfig, its keys and nanoVLM's initial values.
// Part of config.ts, which hands it on. Source: nanoVLM models/config.py at v0.1.
import { choice, type Fields, flag, integer, number, text } from "./fields.ts";

/** The model, under nanoVLM's keys. Widths are numbers of elements, images are square. */
export interface VLMConfig {
  /** Width of the vision encoder. */
  readonly vit_hidden_dim: number;
  /** Width of the vision encoder's MLPs. */
  readonly vit_inter_dim: number;
  /** Side of a patch, in pixels. */
  readonly vit_patch_size: number;
  /** Side of an image, in pixels. */
  readonly vit_img_size: number;
  /** Attention heads of the vision encoder. */
  readonly vit_n_heads: number;
  /** Must be 0. */
  readonly vit_dropout: number;
  /** Blocks of the vision encoder. */
  readonly vit_n_blocks: number;
  /** Added to the variance in the vision encoder's layer norms. */
  readonly vit_ln_eps: number;
  /** Must be false. */
  readonly vit_cls_flag: boolean;
  /** Hugging Face name or folder of the vision backbone. */
  readonly vit_model_type: string;
  /** Width of the language model. */
  readonly lm_hidden_dim: number;
  /** Width of the language model's MLPs. */
  readonly lm_inter_dim: number;
  /** Added to the mean square in the language model's norms. */
  readonly lm_rms_eps: number;
  /** Base of the rotary frequencies. */
  readonly lm_re_base: number;
  /** Longer sequences scale the rotary frequencies down. */
  readonly lm_max_position_embeddings: number;
  /** Tokens that the language model knows; a new model takes the tokenizer's. */
  readonly lm_vocab_size: number;
  /** Attention heads of the language model. */
  readonly lm_n_heads: number;
  /** Heads of keys and values; each serves several attention heads. */
  readonly lm_n_kv_heads: number;
  /** Must be 0. */
  readonly lm_dropout: number;
  /** Blocks of the language model. */
  readonly lm_n_blocks: number;
  /** Multiplies the rotary cosines and sines. */
  readonly lm_attn_scaling: number;
  /** Text tokens a row while training; unless it is set, `quickstart` and `tiny` take as many as data of one's own need. */
  readonly lm_max_length: number;
  /** Must be false. */
  readonly lm_use_tokens: boolean;
  /** Whether the head's weight is the token embedding's. */
  readonly lm_tie_weights: boolean;
  /** Hugging Face name or folder of the language backbone. */
  readonly lm_model_type: string;
  /** Name or folder of the tokenizer; "bytes" is the built-in one. */
  readonly lm_tokenizer: string;
  /** The token that ends an answer; a new model takes the tokenizer's. */
  readonly lm_eos_token_id: number;
  /** Side of the square of patches that becomes one image token. */
  readonly mp_pixel_shuffle_factor: number;
  /** Whether a new model starts from the weights of `vit_model_type` and `lm_model_type`, or from random ones. */
  readonly vlm_load_backbone_weights: boolean;
  /** Folder in which training keeps the model. */
  readonly vlm_checkpoint_path: string;
  /** Subtracted from pixels in [0, 1]. Ours; nanoVLM knows 0 only. */
  readonly vit_pixel_mean: number;
  /** Divides pixels after that. Ours; nanoVLM knows 1 only. */
  readonly vit_pixel_std: number;
  /**
   * Where rows are padded while training. Ours; nanoVLM knows "left" only, which pads between image and text: as rows end
   * at one place, the distance tells a small model how long the answer will be, and alone, unpadded, it answers badly.
   */
  readonly lm_padding_side: "left" | "right";
  /**
   * How a picture gets the encoder's square shape: squeezed, or in its own shape on a white ground.
   * Ours; nanoVLM knows "squeeze" only.
   */
  readonly image_fit: "squeeze" | "pad";
  /** What becomes of transparency: dropped, or laid over white. Ours; nanoVLM knows "drop" only. */
  readonly image_alpha: "drop" | "white";
}

/** Patches along a side of an image; pixels that fill none are left out, as SigLIP's 384 pixels leave 6 of 14. */
export function patchesPerSide({ vit_img_size, vit_patch_size }: VLMConfig): number {
  return Math.floor(vit_img_size / vit_patch_size);
}

// Larger than any known model's, and small enough that looking at such a model takes no time.
const MOST_BLOCKS = 1000;
const WIDEST = 2 ** 20;
const MOST_PIXELS = 2 ** 12;
const MOST_TOKENS = 2 ** 24;

/** Every key of VLMConfig in nanoVLM's order, with nanoVLM's initial values. */
export const VLM_FIELDS: Fields<VLMConfig> = {
  vit_hidden_dim: integer(768, 1, WIDEST),
  vit_inter_dim: integer(3072, 1, WIDEST),
  vit_patch_size: integer(16, 1, MOST_PIXELS),
  vit_img_size: integer(224, 1, MOST_PIXELS),
  vit_n_heads: integer(12, 1, WIDEST),
  vit_dropout: number(0, 0),
  vit_n_blocks: integer(12, 0, MOST_BLOCKS),
  vit_ln_eps: number(1e-6, 0),
  vit_cls_flag: flag(false),
  vit_model_type: text("google/siglip-base-patch16-224"),
  lm_hidden_dim: integer(576, 1, WIDEST),
  lm_inter_dim: integer(1536, 1, WIDEST),
  lm_rms_eps: number(1e-5, 0),
  lm_re_base: integer(100000),
  lm_max_position_embeddings: integer(8192, 1, MOST_TOKENS),
  lm_vocab_size: integer(49152, 1, MOST_TOKENS),
  lm_n_heads: integer(9, 1, WIDEST),
  lm_n_kv_heads: integer(3, 1, WIDEST),
  lm_dropout: number(0, 0),
  lm_n_blocks: integer(30, 0, MOST_BLOCKS),
  lm_attn_scaling: number(1, 0, true),
  lm_max_length: integer(128 - 49, 1, MOST_TOKENS),
  lm_use_tokens: flag(false),
  lm_tie_weights: flag(true),
  lm_model_type: text("HuggingFaceTB/SmolLM2-135M"),
  lm_tokenizer: text("HuggingFaceTB/cosmo2-tokenizer"),
  lm_eos_token_id: integer(0, 0),
  mp_pixel_shuffle_factor: integer(2, 1, MOST_PIXELS),
  vlm_load_backbone_weights: flag(true),
  vlm_checkpoint_path: text("checkpoints/nanoVLM-222M"),
  vit_pixel_mean: number(0),
  vit_pixel_std: number(1, 0, true),
  lm_padding_side: choice("left", ["left", "right"]),
  image_fit: choice("squeeze", ["squeeze", "pad"]),
  image_alpha: choice("drop", ["drop", "white"]),
};
