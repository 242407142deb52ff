/**
 * The flags of train.ts, and the settings that they stand for.
 *
 * Under commands/training_config.ts. Ours.
 */
import type { presets } from "../model/config.ts";
import { badRowsShare, DATASET_FLAGS, requireColumns } from "./dataset_flags.ts";
import { NO_TUNE_FLAG } from "./device.ts";
import { type Arguments, DTYPE_FLAG, type Flags, wholeNumber } from "./flags.ts";
import { MEMORY_FLAGS } from "./memory_flags.ts";
import { RESUME_FLAGS } from "./resume_flags.ts";

type PresetName = keyof typeof presets;
/** Names of configurations to start from. */
export const PRESETS = ["quickstart", "tiny", "222m"] as const satisfies readonly PresetName[];

/** The flags of train.ts. */
export const TRAIN_FLAGS = {
  "preset": {
    value: "NAME",
    choices: PRESETS,
    help:
      "configuration to start from: quickstart (trains in minutes on drawn shapes, the default), " +
      "tiny (small, for data of your own), 222m (nanoVLM's own model and training)",
  },
  "train-dataset": {
    value: "D",
    many: true,
    help:
      'what to train on: "shapes", a Parquet, Arrow, JSON or CSV file, a folder or pattern of them, or a dataset on the ' +
      "Hugging Face Hub such as HuggingFaceM4/the_cauldron:ai2d,aokvqa (:all for all configurations); several with " +
      "commas, or given several times",
  },
  "val-dataset": {
    value: "D",
    help:
      "what to evaluate on; by default the validation files of the training data, or else a part that is held out of it: " +
      "a tenth of its pictures, of 222m a hundredth (val_ratio)",
  },
  "eval-dataset": {
    value: "D",
    many: true,
    help: "a dataset to ask too at every evaluation, by itself; may be given several times",
  },
  ...DATASET_FLAGS,
  "tokenizer": {
    value: "DIR",
    help:
      'folder with tokenizer.json and tokenizer_config.json, owner/name on the Hub, or "bytes", the default of ' +
      "quickstart and tiny; a model with random weights takes its vocabulary size from it",
  },
  "init-from": {
    value: "DIR",
    help: "model to go on from, as for fine-tuning: a folder, or owner/name[@revision] on the Hub",
  },
  "checkpoint": { value: "DIR", help: "the same as --init-from" },
  "out": {
    value: "DIR",
    help:
      "folder for the best model, metrics.jsonl and report.html (default: checkpoints/<preset>, or " +
      "where a run or a model is there <preset>-2, and so on)",
  },
  "max-steps": {
    value: "N",
    number: wholeNumber(1),
    help: "steps to train (default: 1000 of quickstart, 4000 of tiny, five epochs of 222m)",
  },
  "epochs": {
    value: "N",
    number: wholeNumber(1),
    help: "times through the data, instead of steps",
  },
  "batch-size": {
    value: "N",
    number: wholeNumber(1),
    help: "questions a step (default: 32, of 222m 256)",
  },
  "lr": {
    value: "X",
    number: { whole: false, least: 0 },
    help: "highest learning rate of all parts (default: 0.002); the next two set it for some",
  },
  "lr-mp": {
    value: "X",
    number: { whole: false, least: 0 },
    help: "that of the projector alone",
  },
  "lr-backbones": {
    value: "X",
    number: { whole: false, least: 0 },
    help: "that of the vision encoder and the language model (default of 222m: 0.0001)",
  },
  "freeze": {
    value: "PARTS",
    help:
      "parts that do not train, of vision,language,projector; a learning rate of 0 does the same",
  },
  "eval-every": {
    value: "N",
    number: wholeNumber(1),
    help: "steps between evaluations (default: the preset's, or less, for about ten in short runs)",
  },
  "eval-limit": {
    value: "N",
    number: wholeNumber(1),
    help: "held-out questions to ask at most, at the end too (default: all then, 512 before)",
  },
  "workers": {
    value: "N",
    number: wholeNumber(0),
    help:
      "threads that decode pictures and build batches (default: one less than cores, at most 4)",
  },
  "seed": {
    value: "N",
    number: wholeNumber(0, 0xffffffff),
    help: "where random numbers start; the same seed gives the same losses",
  },
  "push-to": {
    value: "owner/name",
    help: "push the best model to the Hub at the end; whether the token may is checked at once",
  },
  "private": { help: "push to a private repository" },
  "dtype": DTYPE_FLAG,
  "no-tune": NO_TUNE_FLAG,
  "config": { value: "FILE", help: "JSON file with keys of the model or of the training" },
  "set": {
    value: "key=value",
    many: true,
    help:
      "one such key, such as lm_n_blocks=4; may be given several times; docs/settings.md says what each key means",
  },
  "print-config": { help: "print all settings as JSON, as --config takes them, and stop" },
  ...RESUME_FLAGS,
  ...MEMORY_FLAGS,
  "json": { help: "print one JSON report at the end; progress goes to stderr" },
} as const satisfies Flags;

/** Keys that flags by name set. */
const KEYS = {
  "train-dataset": "train_dataset_path",
  "val-dataset": "val_dataset_path",
  "columns": "dataset_columns",
  "weights": "dataset_weights",
  "tokenizer": "lm_tokenizer",
  "max-steps": "max_training_steps",
  "epochs": "epochs",
  "batch-size": "batch_size",
  "lr-mp": "lr_mp",
  "lr-backbones": "lr_backbones",
  "freeze": "freeze",
  "eval-every": "eval_interval",
  "eval-limit": "eval_limit",
  "checkpoint-every": "checkpoint_every",
  "workers": "data_workers",
  "seed": "seed",
  "push-to": "push_to",
  "dtype": "dtype",
} as const satisfies Partial<Record<keyof typeof TRAIN_FLAGS, string>>;

/** Settings, `key=value`, from the flags by name. @throws {UsageError} where columns are no columns */
export function flagSettings(args: Arguments<typeof TRAIN_FLAGS>): string[] {
  const settings = Object.entries(KEYS).flatMap(([flag, key]) => {
    const values = args.texts(flag as keyof typeof KEYS);
    return values.length === 0 ? [] : [`${key}=${values.join(",")}`];
  });
  const rate = args.text("lr");
  if (rate !== undefined) settings.unshift(`lr_mp=${rate}`, `lr_backbones=${rate}`);
  requireColumns(args.text("columns"));
  const datasets = args.texts("eval-dataset"); // whose names may have commas
  if (datasets.length > 0) settings.push(`eval_datasets=${JSON.stringify(datasets)}`);
  if (args.has("private")) settings.push("push_private=true");
  const share = badRowsShare(args);
  if (share !== undefined) settings.push(`allowed_bad_rows=${share}`);
  if (args.has("download")) settings.push("dataset_download=true");
  if (args.has("train-dataset")) settings.push("train_dataset_name=");
  if (args.has("epochs")) settings.push("max_training_steps=null");
  // What nanoVLM evaluates on, a test of its own beside the validation data, is the user's choice now.
  const names = (setting: string) => setting.startsWith("test_dataset_path=");
  if (args.has("val-dataset") && !args.texts("set").some(names)) {
    settings.push("test_dataset_path=null");
  }
  return settings;
}
