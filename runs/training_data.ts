/**
 * The data of a run: a stream of training batches, and the held-out questions to evaluate on.
 *
 * Between train.ts and data/. Source: get_dataloaders() of nanoVLM v0.1, train.py.
 */
import { type Dataset, openDataset, Samples } from "../data/datasets.ts";
import { Loader } from "../data/loader.ts";
import { permutation, Random } from "../data/random.ts";
import type { Config, TrainConfig } from "../model/config.ts";

/** Held-out questions that are asked while training, at most; in the end all are. */
export const MOST_WHILE_TRAINING = 512;

/** Training batches and held-out questions. */
export interface TrainingData {
  readonly loader: Loader;
  /** The rows that the loader draws from, and perhaps behind them the held-out ones. */
  readonly dataset: Dataset;
  /** How many of its rows the loader draws from. */
  readonly rows: number;
  readonly heldOut: Samples;
  /** Numbers of the held-out samples to ask: at most `eval_limit`. */
  readonly indices: readonly number[];
}

/**
 * Opens what the configuration names.
 *
 * Held out are `val_dataset_path`, else the training data's own validation part, else its last rows, `val_ratio` of them.
 * Differs from nanoVLM: rows are not shuffled before they are divided.
 *
 * @throws {Error} where a file is missing
 * @throws {SyntaxError} {TypeError} {RangeError} where it is damaged, of no known schema, or too small
 */
export async function openTrainingData({ vlm, train }: Config): Promise<TrainingData> {
  const spec = trainingSpec(train);
  const validation = train.val_dataset_path ?? (await hasValidation(spec) ? spec : undefined);
  if (train.val_dataset_path !== null) requireLocal(train.val_dataset_path, "--val-dataset D");
  const whole = await openDataset(spec, "train");
  const total = Math.min(whole.rows, train.data_cutoff_idx ?? Infinity);
  const dataset = await openDataset(spec, "train", { rows: total });
  const rows = validation === undefined ? trainingRows(total, train) : total;
  const loader = await Loader.open({
    dataset: spec,
    split: "train",
    rows,
    questionsPerRow: train.questions_per_row,
    tokenizer: vlm.lm_tokenizer,
    maxLength: vlm.lm_max_length,
    paddingSide: vlm.lm_padding_side,
    imageSize: vlm.vit_img_size,
    mean: vlm.vit_pixel_mean,
    std: vlm.vit_pixel_std,
    batchSize: train.batch_size,
    seed: train.seed,
    bufferBytes: train.shuffle_buffer_megabytes * 2 ** 20,
    ...(train.data_workers === null ? {} : { workers: train.data_workers }),
  });
  const heldOut = await Samples.open(
    validation === undefined ? dataset : await openDataset(validation, "validation"),
    train.questions_per_row,
  );
  const all = Array.from({ length: heldOut.length }, (_, i) => i);
  const indices = validation === undefined
    ? all.filter((index) => heldOut.locate(index).row >= rows)
    : all;
  return {
    loader,
    dataset,
    rows,
    heldOut,
    indices: sampleOf(indices, train.eval_limit ?? Infinity),
  };
}

/** `most` of `indices`, chosen at random but always the same, in their order. */
export function sampleOf(indices: readonly number[], most: number): readonly number[] {
  if (indices.length <= most) return indices;
  const order = permutation(indices.length, new Random(0));
  return [...order.subarray(0, most)].sort((a, b) => a - b).flatMap((i) => indices[i] ?? []);
}

function trainingSpec({ train_dataset_path: path, train_dataset_name: names }: TrainConfig) {
  const remedy = "--train-dataset D";
  if (path !== "shapes") requireLocal(path, remedy);
  if (names.length > 1) {
    throw new RangeError(
      `Cannot train on ${names.length} subsets of "${path}": expected one folder or file; give it with ${remedy}`,
    );
  }
  return names.length === 0 ? path : `${path}/${names[0]}`;
}

/** @throws {Error} where nothing of that name is on this machine */
export function requireLocal(path: string, remedy: string): void {
  try {
    if (path !== "shapes") Deno.statSync(path);
  } catch (cause) {
    if (!(cause instanceof Deno.errors.NotFound)) throw cause;
    throw new Error(
      `Cannot find "${path}": no such file or folder, expected one on this machine, since names on the Hugging Face Hub ` +
        `are not supported yet; give ${remedy}`,
      { cause },
    );
  }
}

/** Whether a dataset has a part of its own to evaluate on. */
async function hasValidation(spec: string): Promise<boolean> {
  if (spec === "shapes") return true;
  if (!(await Deno.stat(spec)).isDirectory) return false;
  for await (const { name } of Deno.readDir(spec)) {
    if (/^val.*\.parquet$/.test(name)) return true;
  }
  return false;
}

function trainingRows(total: number, { val_ratio }: TrainConfig): number {
  const rows = total - Math.max(1, Math.floor(total * val_ratio));
  if (rows > 0) return rows;
  throw new RangeError(
    `Cannot hold out rows to evaluate on: found ${total}, expected at least 2; give --val-dataset D`,
  );
}
