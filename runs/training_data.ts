/**
 * The data of a run: a stream of training batches, and the held-out questions to evaluate on.
 *
 * Between train.ts and data/. Source: get_dataloaders() of nanoVLM v0.1, train.py.
 */
import { parseColumns } from "../data/dataset_options.ts";
import { type Dataset, type DatasetOptions, openDataset, Samples } from "../data/datasets.ts";
import type { HubOptions } from "../data/hub.ts";
import { Loader } from "../data/loader.ts";
import { permutation, Random } from "../data/random.ts";
import type { Config, TrainConfig } from "../model/config.ts";

/** Held-out questions that are asked while training, at most; in the end all are. */
export const MOST_WHILE_TRAINING = 512;

/** Training batches and held-out questions. */
export interface TrainingData {
  readonly loader: Loader;
  /** The rows that the loader draws from. */
  readonly dataset: Dataset;
  readonly heldOut: Samples;
  /** Numbers of the held-out samples to ask: at most `eval_limit`. */
  readonly indices: readonly number[];
}

/**
 * Opens what the configuration names.
 *
 * Held out are `val_dataset_path`, else of each source its own validation part, or where it has none its last rows,
 * `val_ratio` of them.
 * Differs from nanoVLM: rows are not shuffled before they are divided, and every source is divided by itself, so that
 * each is represented and row groups are read whole.
 *
 * @param hub where the Hub is, and what to do about progress
 * @throws {Error} where a file is missing
 * @throws {HubError} where the Hub cannot be read
 * @throws {SyntaxError} {TypeError} {RangeError} where it is damaged, of no known schema, or too small
 */
export async function openTrainingData(
  { vlm, train }: Config,
  hub: HubOptions = {},
): Promise<TrainingData> {
  const spec = trainingSpec(train);
  const { val_dataset_path: validation } = train;
  const datasetOptions = {
    ...sourceOptions(train),
    ...(train.data_cutoff_idx === null ? {} : { rows: train.data_cutoff_idx }),
    ...(train.dataset_weights.length === 0 ? {} : { weights: train.dataset_weights }),
    ...(validation === null ? { heldOut: train.val_ratio } : {}),
  };
  const dataset = await openDataset(spec, "train", { ...datasetOptions, hub });
  const { onProgress: _, ...plainHub } = hub; // what was downloaded above the loader finds
  const loader = await Loader.open({
    dataset: spec,
    split: "train",
    datasetOptions: { ...datasetOptions, hub: plainHub },
    questionsPerRow: train.questions_per_row,
    tokenizer: vlm.lm_tokenizer,
    maxLength: vlm.lm_max_length,
    paddingSide: vlm.lm_padding_side,
    imageSize: vlm.vit_img_size,
    mean: vlm.vit_pixel_mean,
    std: vlm.vit_pixel_std,
    augmentation: train.augmentation,
    batchSize: train.batch_size,
    seed: train.seed,
    bufferBytes: train.shuffle_buffer_megabytes * 2 ** 20,
    ...(train.data_workers === null ? {} : { workers: train.data_workers }),
  });
  try {
    const held = validation === null
      ? await openDataset(spec, "validation", { ...datasetOptions, hub })
      : await openDataset(validation, "validation", { ...sourceOptions(train), hub });
    const heldOut = await Samples.open(held, train.questions_per_row);
    const all = Array.from({ length: heldOut.length }, (_, i) => i);
    return { loader, dataset, heldOut, indices: sampleOf(all, train.eval_limit ?? Infinity) };
  } catch (error) {
    loader.close();
    throw error;
  }
}

/** How every source is opened. */
function sourceOptions(train: TrainConfig): DatasetOptions {
  return {
    columns: parseColumns(train.dataset_columns),
    minimumRatings: {
      relevance: train.relevance_min_rating,
      image_correspondence: train.image_correspondence_min_rating,
      visual_dependency: train.visual_dependency_min_rating,
      formatting: train.formatting_min_rating,
    },
    download: train.dataset_download,
  };
}

/** `most` of `indices`, chosen at random but always the same, in their order. */
export function sampleOf(indices: readonly number[], most: number): readonly number[] {
  if (indices.length <= most) return indices;
  const order = permutation(indices.length, new Random(0));
  return [...order.subarray(0, most)].sort((a, b) => a - b).flatMap((i) => indices[i] ?? []);
}

function trainingSpec(
  { train_dataset_path: path, train_dataset_name: names }: TrainConfig,
): string {
  return names.length === 0 ? path : `${path}:${names.join(",")}`;
}
