// What a model and a training run are made of: VLMConfig, TrainConfig, and named presets of both.
// Read by every other file of model/ and by the entry scripts. Source: nanoVLM models/config.py at v0.1.
import {
  choice,
  type Fields,
  flag,
  fraction,
  initialValues,
  integer,
  nullable,
  number,
  text,
  texts,
} from "./fields.ts";

/** The model, under nanoVLM's keys. Widths are numbers of elements, images are square. */
export interface VLMConfig {
  readonly vit_hidden_dim: number;
  readonly vit_inter_dim: number;
  /** Side of a patch, in pixels. */
  readonly vit_patch_size: number;
  /** Side of an image, in pixels. */
  readonly vit_img_size: number;
  readonly vit_n_heads: number;
  /** Must be 0. */
  readonly vit_dropout: number;
  readonly vit_n_blocks: number;
  readonly vit_ln_eps: number;
  /** Must be false. */
  readonly vit_cls_flag: boolean;
  /** Hugging Face name or folder of the vision backbone. */
  readonly vit_model_type: string;
  readonly lm_hidden_dim: number;
  readonly lm_inter_dim: number;
  readonly lm_rms_eps: number;
  /** Base of the rotary frequencies. */
  readonly lm_re_base: number;
  /** Longer sequences scale the rotary frequencies down. */
  readonly lm_max_position_embeddings: number;
  readonly lm_vocab_size: number;
  readonly lm_n_heads: number;
  readonly lm_n_kv_heads: number;
  /** Must be 0. */
  readonly lm_dropout: number;
  readonly lm_n_blocks: number;
  /** Multiplies the rotary cosines and sines. */
  readonly lm_attn_scaling: number;
  /** Text tokens a row while training. */
  readonly lm_max_length: number;
  /** Must be false. */
  readonly lm_use_tokens: boolean;
  /** Whether the head's weight is the token embedding's. */
  readonly lm_tie_weights: boolean;
  /** Hugging Face name or folder of the language backbone. */
  readonly lm_model_type: string;
  /** Name or folder of the tokenizer; "bytes" is the built-in one. */
  readonly lm_tokenizer: string;
  readonly lm_eos_token_id: number;
  /** Side of the square of patches that becomes one image token. */
  readonly mp_pixel_shuffle_factor: number;
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
}

/**
 * A training run, under nanoVLM's keys and some of ours.
 *
 * Differs from nanoVLM: `compile`, `log_wandb` and `wandb_entity` are no keys here. WebGPU always compiles, and there is
 * no client of Weights & Biases; a setting that does nothing would mislead.
 */
export interface TrainConfig {
  /** Highest learning rate of the modality projector. */
  readonly lr_mp: number;
  /** Highest learning rate of both backbones. */
  readonly lr_backbones: number;
  /** Rows of the data to use; null is all. */
  readonly data_cutoff_idx: number | null;
  /** Share of the rows kept for validation. */
  readonly val_ratio: number;
  /** Rows a step. */
  readonly batch_size: number;
  /** Rows a batch of the multiple-choice test. */
  readonly mmstar_batch_size: number;
  /** Whether to evaluate while training. */
  readonly eval_in_epochs: boolean;
  readonly epochs: number;
  /** Whether to start from the model in `vlm_checkpoint_path`. */
  readonly resume_from_vlm_checkpoint: boolean;
  /** Folder or file of the training data; "shapes" is the built-in data. */
  readonly train_dataset_path: string;
  /** Subsets of the training data. */
  readonly train_dataset_name: readonly string[];
  /** Folder or file of the multiple-choice test; null is none. */
  readonly test_dataset_path: string | null;
  /** Ours: data to validate on; null takes `val_ratio` of the training data. */
  readonly val_dataset_path: string | null;
  /** Ours: whether a row with several questions gives the first one, as in nanoVLM, or all. */
  readonly questions_per_row: "first" | "all";
  /** Ours: threads that decode pictures and build batches; null is as many as the processor has to spare. */
  readonly data_workers: number | null;
  /** Ours: data larger than this many megabytes (2^20 bytes) is shuffled that much at a time, to be read once an epoch. */
  readonly shuffle_buffer_megabytes: number;
  /** Ours: nanoVLM's deviation of 0.02 everywhere, or 1 / sqrt(inputs), which small models need. */
  readonly initialization: "nanovlm" | "fan_in";
  /** Ours: where all random numbers start. */
  readonly seed: number;
  /** Ours: steps to train; null is `epochs` through the data. */
  readonly max_training_steps: number | null;
  /** Ours: steps between two evaluations. */
  readonly eval_interval: number;
  /** Ours: questions to evaluate on, at most; null is all. */
  readonly eval_limit: number | null;
  /** Ours: steps between two checkpoints to resume from; null is one with each evaluation. */
  readonly checkpoint_every: number | null;
  /** Ours: float32, mixed precision, or what is faster on the device. */
  readonly dtype: "auto" | "f16" | "f32";
}

/** Both configurations of a training run. */
export interface Config {
  readonly vlm: VLMConfig;
  readonly train: TrainConfig;
}

/** Patches along a side of an image; pixels that fill none are left out, as SigLIP's 384 pixels leave 6 of 14. */
export function patchesPerSide({ vit_img_size, vit_patch_size }: VLMConfig): number {
  return Math.floor(vit_img_size / vit_patch_size);
}

/** Every key of VLMConfig in nanoVLM's order, with nanoVLM's initial values. */
export const VLM_FIELDS: Fields<VLMConfig> = {
  vit_hidden_dim: integer(768),
  vit_inter_dim: integer(3072),
  vit_patch_size: integer(16),
  vit_img_size: integer(224),
  vit_n_heads: integer(12),
  vit_dropout: number(0, 0),
  vit_n_blocks: integer(12, 0),
  vit_ln_eps: number(1e-6, 0),
  vit_cls_flag: flag(false),
  vit_model_type: text("google/siglip-base-patch16-224"),
  lm_hidden_dim: integer(576),
  lm_inter_dim: integer(1536),
  lm_rms_eps: number(1e-5, 0),
  lm_re_base: integer(100000),
  lm_max_position_embeddings: integer(8192),
  lm_vocab_size: integer(49152),
  lm_n_heads: integer(9),
  lm_n_kv_heads: integer(3),
  lm_dropout: number(0, 0),
  lm_n_blocks: integer(30, 0),
  lm_attn_scaling: number(1, 0, true),
  lm_max_length: integer(128 - 49),
  lm_use_tokens: flag(false),
  lm_tie_weights: flag(true),
  lm_model_type: text("HuggingFaceTB/SmolLM2-135M"),
  lm_tokenizer: text("HuggingFaceTB/cosmo2-tokenizer"),
  lm_eos_token_id: integer(0, 0),
  mp_pixel_shuffle_factor: integer(2),
  vlm_load_backbone_weights: flag(true),
  vlm_checkpoint_path: text("checkpoints/nanoVLM-222M"),
  vit_pixel_mean: number(0),
  vit_pixel_std: number(1, 0, true),
  lm_padding_side: choice("left", ["left", "right"]),
};

// The subsets of The Cauldron that nanoVLM v0.1 trains on.
const CAULDRON = (
  "ai2d aokvqa chart2text chartqa clevr cocoqa datikz diagram_image_to_text docvqa dvqa figureqa finqa geomverse " +
  "hateful_memes hitab iam iconqa infographic_vqa intergps localized_narratives mapqa multihiertt ocrvqa plotqa raven " +
  "rendered_text robut_sqa robut_wikisql robut_wtq scienceqa screen2words st_vqa tabmwp tallyqa tat_qa textcaps textvqa " +
  "tqa vistext visual7w visualmrc vqarad vqav2 vsr websight"
).split(" ");

/** Every key of TrainConfig, with nanoVLM's initial values. */
export const TRAIN_FIELDS: Fields<TrainConfig> = {
  lr_mp: number(2e-3, 0),
  lr_backbones: number(1e-4, 0),
  data_cutoff_idx: nullable(integer(1)),
  val_ratio: fraction(0.01),
  batch_size: integer(256),
  mmstar_batch_size: integer(32),
  eval_in_epochs: flag(true),
  epochs: integer(5),
  resume_from_vlm_checkpoint: flag(false),
  train_dataset_path: text("HuggingFaceM4/the_cauldron"),
  train_dataset_name: texts(CAULDRON),
  test_dataset_path: nullable(text(""), "Lin-Chen/MMStar"),
  val_dataset_path: nullable(text("")),
  questions_per_row: choice("first", ["first", "all"]),
  data_workers: nullable(integer(0, 0)),
  shuffle_buffer_megabytes: integer(512, 0),
  initialization: choice("nanovlm", ["nanovlm", "fan_in"]),
  seed: integer(0, 0),
  max_training_steps: nullable(integer(1)),
  eval_interval: integer(250),
  eval_limit: nullable(integer(1)),
  checkpoint_every: nullable(integer(1)),
  dtype: choice("auto", ["auto", "f16", "f32"]),
};

const NANOVLM: Config = {
  vlm: initialValues(VLM_FIELDS),
  train: initialValues(TRAIN_FIELDS),
};

const SMALL: Config = {
  vlm: {
    ...NANOVLM.vlm,
    vit_hidden_dim: 64,
    vit_inter_dim: 256,
    vit_patch_size: 8,
    vit_n_heads: 4,
    lm_hidden_dim: 64,
    lm_inter_dim: 192,
    lm_n_heads: 4,
    lm_n_blocks: 2,
    vlm_load_backbone_weights: false,
    vit_pixel_mean: 0.5,
    vit_pixel_std: 0.5,
    lm_padding_side: "right",
  },
  train: {
    ...NANOVLM.train,
    lr_mp: 1e-3,
    lr_backbones: 1e-3,
    batch_size: 64,
    questions_per_row: "all",
    initialization: "fan_in",
  },
};

/** Configurations by name: `quickstart` trains in minutes anywhere, `tiny` on real files, `222m` is nanoVLM's own. */
export const presets: Readonly<Record<"quickstart" | "tiny" | "222m", Config>> = {
  quickstart: {
    vlm: {
      ...SMALL.vlm,
      vit_img_size: 32,
      vit_n_blocks: 2,
      lm_n_kv_heads: 2,
      lm_vocab_size: 257,
      lm_max_length: 46,
      lm_tokenizer: "bytes",
      mp_pixel_shuffle_factor: 2,
      vlm_checkpoint_path: "checkpoints/quickstart",
    },
    train: {
      ...SMALL.train,
      lr_mp: 2e-3,
      lr_backbones: 2e-3,
      train_dataset_path: "shapes",
      train_dataset_name: [],
      test_dataset_path: null,
      batch_size: 32,
      max_training_steps: 1000,
      eval_interval: 200,
    },
  },
  tiny: {
    vlm: {
      ...SMALL.vlm,
      vit_img_size: 64,
      vit_n_blocks: 4,
      lm_n_kv_heads: 4,
      lm_max_length: 17,
      mp_pixel_shuffle_factor: 4,
      vlm_checkpoint_path: "checkpoints/tiny",
    },
    train: {
      ...SMALL.train,
      lr_mp: 1.5e-3,
      lr_backbones: 1.5e-3,
      train_dataset_name: [],
      test_dataset_path: null,
      max_training_steps: 2000,
      eval_interval: 400,
    },
  },
  "222m": NANOVLM,
};
