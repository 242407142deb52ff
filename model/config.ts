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
  numbers,
  some,
  text,
  texts,
} from "./fields.ts";
import { VLM_FIELDS, type VLMConfig } from "./vlm_config.ts";

export { patchesPerSide, VLM_FIELDS, type VLMConfig } from "./vlm_config.ts";

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
  /**
   * Ours: whether the last step of a warm-up that is no whole number of steps goes above these rates, as in nanoVLM: up to 33
   * times in a run of one step.
   */
  readonly lr_overshoot: boolean;
  /** Rows of the data to use; null is all. */
  readonly data_cutoff_idx: number | null;
  /** Share of the pictures, of large data of the rows, that is held out to validate on. */
  readonly val_ratio: number;
  /** Questions a step; unless it is set, `quickstart` and `tiny` take no more than data of one's own have. */
  readonly batch_size: number;
  /** Questions of the multiple-choice test at a time. */
  readonly mmstar_batch_size: number;
  /** Whether to evaluate while training. */
  readonly eval_in_epochs: boolean;
  /** Times through the data; `max_training_steps` comes first. */
  readonly epochs: number;
  /** Whether to start from the model in `vlm_checkpoint_path`. */
  readonly resume_from_vlm_checkpoint: boolean;
  /** Training data: files, folders, names on the Hub, separated by commas; "shapes" is built in. Empty where the user names it. */
  readonly train_dataset_path: string;
  /** Subsets of the last of them: configurations on the Hub, or subfolders. */
  readonly train_dataset_name: readonly string[];
  /**
   * Name, folder or file of the multiple-choice test, which says which model is best; null is none, and then the held-out
   * questions say it.
   */
  readonly test_dataset_path: string | null;
  /** Ours: data to validate on; null takes `val_ratio` of the training data. */
  readonly val_dataset_path: string | null;
  /** Ours: further data to ask at every evaluation, each by itself. */
  readonly eval_datasets: readonly string[];
  /** Ours: columns of the data that have other names than those known, such as "image=photo". */
  readonly dataset_columns: readonly string[];
  /** Ours: how much of an epoch each source of the training data gets; by default its size decides. */
  readonly dataset_weights: readonly number[];
  /** Ours: whether data on the Hub is downloaded whole; otherwise parts are read when needed. */
  readonly dataset_download: boolean;
  /** Questions of FineVision with a lower rating are left out, as in nanoVLM's later versions. */
  readonly relevance_min_rating: number;
  /** The same for FineVision's second rating. */
  readonly image_correspondence_min_rating: number;
  /** The same for its third. */
  readonly visual_dependency_min_rating: number;
  /** The same for its fourth. */
  readonly formatting_min_rating: number;
  /** Ours: whether a row with several questions gives the first one, as in nanoVLM, or all. */
  readonly questions_per_row: "first" | "all";
  /**
   * Ours: how far the kinds of questions are made equally frequent in training: n questions of a kind count as
   * n^(1 - kind_balance). 0, as nanoVLM, asks each question once an epoch; 1 asks every kind as often as any other.
   */
  readonly kind_balance: number;
  /** Ours: the share of rows that may be left out since they cannot be read; 3 rows always may. */
  readonly allowed_bad_rows: number;
  /** Ours: threads that decode pictures and build batches; null is as many as the processor has to spare. */
  readonly data_workers: number | null;
  /** Ours: data larger than this many megabytes (2^20 bytes) is shuffled that much at a time, to be read once an epoch. */
  readonly shuffle_buffer_megabytes: number;
  /** Ours: nanoVLM's deviation of 0.02 everywhere, or 1 / sqrt(inputs), which small models need. */
  readonly initialization: "nanovlm" | "fan_in";
  /** Ours: random changes to training pictures, "none" as in nanoVLM; see data/augmentation.ts for what they keep true. */
  readonly augmentation: "none" | "shift_flip";
  /** Ours: where all random numbers start. */
  readonly seed: number;
  /** Ours: steps to train; null is `epochs` through the data. */
  readonly max_training_steps: number | null;
  /** Ours: parts that do not train; those with a learning rate of 0 do not either. */
  readonly freeze: readonly Part[];
  /**
   * Ours: steps between two evaluations, at most. Unless it is set, a run of other than its preset's steps evaluates about ten
   * times, but asks no more than it trains on.
   */
  readonly eval_interval: number;
  /** Ours: questions to evaluate on, at most; null is all. */
  readonly eval_limit: number | null;
  /** Ours: steps between two checkpoints to resume from; null is one with each evaluation. */
  readonly checkpoint_every: number | null;
  /** Ours: the Hub's repository that gets the best model at the end; null is none. */
  readonly push_to: string | null;
  /** Ours: whether that one is private. */
  readonly push_private: boolean;
  /** Ours: float32, mixed precision, or what is faster on the device. */
  readonly dtype: "auto" | "f16" | "f32";
}

/** The parts of a model that can be frozen one by one. */
export const PARTS = ["vision", "language", "projector"] as const;
export type Part = typeof PARTS[number];

/** Both configurations of a training run. */
export interface Config {
  readonly vlm: VLMConfig;
  readonly train: TrainConfig;
}

/** The parts that do not train: named so, or with a learning rate of 0, with which AdamW changes nothing. */
export function frozenParts({ freeze, lr_mp, lr_backbones }: TrainConfig): readonly Part[] {
  return PARTS.filter((part) =>
    freeze.includes(part) || (part === "projector" ? lr_mp : lr_backbones) === 0
  );
}

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
  lr_overshoot: flag(true),
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
  eval_datasets: texts([]),
  dataset_columns: texts([]),
  dataset_weights: numbers([]),
  dataset_download: flag(false),
  relevance_min_rating: integer(1, 0),
  image_correspondence_min_rating: integer(1, 0),
  visual_dependency_min_rating: integer(1, 0),
  formatting_min_rating: integer(1, 0),
  questions_per_row: choice("first", ["first", "all"]),
  kind_balance: fraction(0, true),
  allowed_bad_rows: fraction(0.01, true),
  data_workers: nullable(integer(0, 0)),
  shuffle_buffer_megabytes: integer(512, 0),
  initialization: choice("nanovlm", ["nanovlm", "fan_in"]),
  augmentation: choice("none", ["none", "shift_flip"]),
  seed: integer(0, 0),
  max_training_steps: nullable(integer(1)),
  freeze: some(PARTS),
  eval_interval: integer(250),
  eval_limit: nullable(integer(1)),
  checkpoint_every: nullable(integer(1)),
  push_to: nullable(text("")),
  push_private: flag(false),
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
    lm_vocab_size: 257,
    lm_tokenizer: "bytes",
    vlm_load_backbone_weights: false,
    vit_pixel_mean: 0.5,
    vit_pixel_std: 0.5,
    lm_padding_side: "right",
    image_fit: "pad",
    image_alpha: "white",
  },
  train: {
    ...NANOVLM.train,
    lr_mp: 1e-3,
    lr_backbones: 1e-3,
    lr_overshoot: false,
    val_ratio: 0.1,
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
      lm_max_length: 46,
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
      vit_patch_size: 4,
      vit_img_size: 32,
      vit_n_blocks: 2,
      lm_n_kv_heads: 4,
      lm_max_length: 64,
      mp_pixel_shuffle_factor: 2,
      vlm_checkpoint_path: "checkpoints/tiny",
    },
    train: {
      ...SMALL.train,
      lr_mp: 2e-3,
      lr_backbones: 2e-3,
      train_dataset_path: "",
      train_dataset_name: [],
      test_dataset_path: null,
      batch_size: 32,
      max_training_steps: 4000,
      eval_interval: 500,
    },
  },
  "222m": NANOVLM,
};
