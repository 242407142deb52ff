/**
 * The data of a run: a stream of training batches, and the held-out questions to evaluate on.
 *
 * Between train.ts and data/. Source: get_dataloaders() of nanoVLM v0.1, train.py.
 */
import { parseColumns } from "../data/dataset_options.ts";
import { type DatasetRevisions, resolveRevisions } from "../data/dataset_revisions.ts";
import { type Dataset, type DatasetOptions, openDataset, Samples } from "../data/datasets.ts";
import type { HubOptions } from "../data/hub.ts";
import { Loader } from "../data/loader.ts";
import type { Config, TrainConfig } from "../model/config.ts";
import { type FrequentAnswers, frequentIn } from "./baseline.ts";
import { type EvaluationSet, openEvaluationSets, sampleOf } from "./evaluations.ts";

/** Training batches and held-out questions. */
export interface TrainingData {
  readonly loader: Loader;
  /** The rows that the loader draws from. */
  readonly dataset: Dataset;
  readonly heldOut: Samples;
  /** Numbers of the held-out samples to ask: at most `eval_limit`. */
  readonly indices: readonly number[];
  /** Further datasets to ask at every evaluation, the test among them. */
  readonly evaluationSets: readonly EvaluationSet[];
  /** Each kind's most frequent answer in the training data, counted when it is first asked for. */
  readonly frequent: () => Promise<FrequentAnswers>;
  /** The commits that are read of datasets on the Hub. */
  readonly revisions: DatasetRevisions;
}

/**
 * Opens what the configuration names.
 *
 * Held out are `val_dataset_path`, else of each source its own validation part, or where it has none a share of its
 * pictures, `val_ratio` (held_out.ts).
 *
 * @param options `hub`: where the Hub is, and what to do about progress; `revisions`: commits that a resumed run has read
 * @throws {Error} where a file is missing
 * @throws {HubError} where the Hub cannot be read
 * @throws {SyntaxError} {TypeError} {RangeError} where it is damaged, of no known schema, or too small
 */
export async function openTrainingData(
  { vlm, train }: Config,
  options: { hub?: HubOptions; revisions?: DatasetRevisions | undefined } = {},
): Promise<TrainingData> {
  const { hub = {} } = options;
  const spec = trainingSpec(train);
  const { val_dataset_path: validation } = train;
  const revisions = await resolveRevisions(allSpecs(train), hub, options.revisions);
  const plainOptions = { ...sourceOptions(train), revisions };
  const datasetOptions = {
    ...plainOptions,
    ...(train.data_cutoff_idx === null ? {} : { rows: train.data_cutoff_idx }),
    ...(train.dataset_weights.length === 0 ? {} : { weights: train.dataset_weights }),
    ...(validation === null ? { heldOut: train.val_ratio } : {}),
  };
  const dataset = await openDataset(spec, "train", { ...datasetOptions, hub });
  const { onProgress: _, ...plainHub } = hub; // what was downloaded above the loader finds
  const loaded = { dataset: spec, datasetOptions: { ...datasetOptions, hub: plainHub } };
  const loader = await Loader.open({ ...loaded, ...loaderOptions({ vlm, train }) });
  try {
    const held = validation === null
      ? await openDataset(spec, "validation", { ...datasetOptions, hub })
      : await openDataset(validation, "validation", { ...plainOptions, hub });
    const evaluationSets = await openEvaluationSets(train, { ...plainOptions, hub });
    const heldOut = await Samples.open(held, train.questions_per_row);
    const all = Array.from({ length: heldOut.length }, (_, i) => i);
    const indices = sampleOf(all, train.eval_limit ?? Infinity);
    let answers: Promise<FrequentAnswers> | undefined;
    const frequent = () => answers ??= frequentIn(dataset);
    return { loader, dataset, heldOut, indices, evaluationSets, frequent, revisions };
  } catch (error) {
    loader.close();
    throw error;
  }
}

/** How questions become batches. */
function loaderOptions({ vlm, train }: Config) {
  return {
    split: "train" as const,
    questionsPerRow: train.questions_per_row,
    kindBalance: train.kind_balance,
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
  };
}

/** Everything that is read from. */
function allSpecs(train: TrainConfig): string[] {
  const { val_dataset_path: validation, test_dataset_path: test } = train;
  return [trainingSpec(train), validation ?? [], test ?? [], train.eval_datasets].flat();
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

function trainingSpec(
  { train_dataset_path: path, train_dataset_name: names }: TrainConfig,
): string {
  return names.length === 0 ? path : `${path}:${names.join(",")}`;
}
