/**
 * The data of a run: a stream of training batches, and the held-out questions to evaluate on.
 *
 * Between train.ts and data/. Source: get_dataloaders() of nanoVLM v0.1, train.py.
 */
import { parseColumns } from "../data/dataset_options.ts";
import { parseDatasetSpec, type SourceSpec } from "../data/dataset_spec.ts";
import { type DatasetRevisions, resolveRevisions } from "../data/dataset_revisions.ts";
import { type Dataset, type DatasetOptions, openDataset, Samples } from "../data/datasets.ts";
import type { HubOptions } from "../data/hub.ts";
import { Loader } from "../data/loader.ts";
import { denoCommand } from "../data/terminal.ts";
import { type Tokenizer, tokenizerFor } from "../data/tokenizer.ts";
import type { Config, TrainConfig } from "../model/config.ts";
import { type FrequentAnswers, frequentIn } from "./baseline.ts";
import { type DataFacts, readFacts, rowLength } from "./data_facts.ts";
import {
  evaluationInterval,
  type EvaluationSet,
  openEvaluationSets,
  sampleOf,
} from "./evaluations.ts";

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
  /** Tokens of a row of text: `lm_max_length`, or where that is left open as many as the data need. */
  readonly rowLength: number;
  /** What was read of training data and held-out rows; undefined where they are drawn, or all on the Hub. */
  readonly facts: DataFacts | undefined;
  /** By which a resumed run knows files on this machine again; null where there are none. */
  readonly fingerprint: string | null;
}

/** How to open it. */
export interface TrainingDataOptions {
  /** Where the Hub is, and what to do about progress. */
  readonly hub?: HubOptions;
  /** Commits that a resumed run has read. */
  readonly revisions?: DatasetRevisions | undefined;
  /** Of the model; opened by its name when absent. */
  readonly tokenizer?: Tokenizer;
  /** Keys that the data decide: `lm_max_length`, and `batch_size` where there are fewer questions. */
  readonly open?: readonly string[];
}

/**
 * Opens what the configuration names.
 *
 * Held out are `val_dataset_path`, else of each source its own validation part, or where it has none a share of its
 * pictures, `val_ratio` (held_out.ts).
 *
 * @throws {Error} where a file is missing
 * @throws {HubError} where the Hub cannot be read
 * @throws {SyntaxError} {TypeError} {RangeError} where it is damaged, of no known schema, or too small
 */
export async function openTrainingData(
  { vlm, train }: Config,
  options: TrainingDataOptions = {},
): Promise<TrainingData> {
  const { hub = {} } = options;
  const revisions = await resolveRevisions(allSpecs(train), hub, options.revisions);
  const opened = await openHeldOut(train, { hub, revisions });
  const { spec, datasetOptions, plainOptions } = namesOf(train, revisions);
  const { onProgress: _, ...plainHub } = hub; // what was downloaded above the loader finds
  const loaded = { dataset: spec, datasetOptions: { ...datasetOptions, hub: plainHub } };
  const { open = [] } = options;
  const isLengthOpen = open.includes("lm_max_length");
  const origins = new Set(
    [spec, train.val_dataset_path ?? []].flat().flatMap(parseDatasetSpec).map(originOf),
  );
  const facts = isLengthOpen || origins.has("files")
    ? await readFacts([opened.dataset, opened.heldOut.dataset], {
      tokenizer: options.tokenizer ?? await tokenizerFor(vlm.lm_tokenizer),
      questionsPerRow: train.questions_per_row,
      isRemote: origins.has("hub"),
    })
    : undefined;
  const maxLength = isLengthOpen && facts ? rowLength(facts.lengths) : vlm.lm_max_length;
  const wanted = loaderOptions({ vlm, train });
  const batchSize = open.includes("batch_size")
    ? await fittingBatch(opened.dataset, train)
    : train.batch_size;
  const loader = await Loader.open({ ...loaded, ...wanted, batchSize, maxLength });
  try {
    const evaluationSets = await openEvaluationSets(train, { ...plainOptions, hub });
    const fingerprint = origins.has("files") && facts ? facts.fingerprint : null;
    const read = { revisions, facts, fingerprint, rowLength: maxLength };
    return { ...opened, loader, evaluationSets, ...read };
  } catch (error) {
    loader.close();
    throw error;
  }
}

/** Questions a step: all of them where they are fewer than `batch_size`. */
async function fittingBatch(dataset: Dataset, train: TrainConfig): Promise<number> {
  if (dataset.rows >= train.batch_size) return train.batch_size; // nothing to count
  const { length } = await Samples.open(dataset, train.questions_per_row);
  return Math.min(train.batch_size, length);
}

/** The number of steps, and the configuration with what it and the data decide, where that is left open. */
export function settledConfig(
  { vlm, train }: Config,
  { rowLength, indices, loader }: Pick<TrainingData, "rowLength" | "indices" | "loader">,
  open: readonly string[] = [],
): { config: Config; steps: number } {
  const steps = train.max_training_steps ?? train.epochs * loader.batchesPerEpoch;
  const batched = { ...train, batch_size: loader.batchSize };
  const interval = open.includes("eval_interval")
    ? evaluationInterval(batched, steps, indices.length)
    : train.eval_interval;
  const config = {
    vlm: { ...vlm, lm_max_length: rowLength },
    train: { ...batched, eval_interval: interval },
  };
  return { config, steps };
}

/**
 * Opens the rows to train on and the questions that are held out of them, the same for the same configuration and revisions:
 * while training, and when eval.ts asks for them again.
 *
 * @throws as `openTrainingData()`
 */
export async function openHeldOut(
  train: TrainConfig,
  { hub, revisions }: { hub: HubOptions; revisions: DatasetRevisions },
): Promise<Pick<TrainingData, "dataset" | "heldOut" | "indices" | "frequent">> {
  const { spec, datasetOptions, plainOptions } = namesOf(train, revisions);
  const { val_dataset_path: validation } = train;
  const dataset = await openDataset(spec, "train", { ...datasetOptions, hub });
  const held = validation === null
    ? await openDataset(spec, "validation", { ...datasetOptions, hub })
    : await openDataset(validation, "validation", { ...plainOptions, hub });
  const heldOut = await Samples.open(held, train.questions_per_row);
  const all = Array.from({ length: heldOut.length }, (_, i) => i);
  let answers: Promise<FrequentAnswers> | undefined;
  return {
    ...{ dataset, heldOut, indices: sampleOf(all, train.eval_limit ?? Infinity) },
    frequent: () => answers ??= frequentIn(dataset),
  };
}

/** What to open, and how: the training data, and other data. */
function namesOf(train: TrainConfig, revisions: DatasetRevisions) {
  const plainOptions: DatasetOptions = { ...sourceOptions(train), revisions };
  const datasetOptions: DatasetOptions = {
    ...plainOptions,
    ...(train.data_cutoff_idx === null ? {} : { rows: train.data_cutoff_idx }),
    ...(train.dataset_weights.length === 0 ? {} : { weights: train.dataset_weights }),
    ...(train.val_dataset_path === null ? { heldOut: train.val_ratio } : {}),
  };
  return { spec: trainingSpec(train), plainOptions, datasetOptions };
}

/** How questions become batches. */
function loaderOptions({ vlm, train }: Config) {
  return {
    split: "train" as const,
    questionsPerRow: train.questions_per_row,
    kindBalance: train.kind_balance,
    tokenizer: vlm.lm_tokenizer,
    paddingSide: vlm.lm_padding_side,
    pictures: vlm,
    augmentation: train.augmentation,
    batchSize: train.batch_size,
    allowedBadRows: train.allowed_bad_rows,
    seed: train.seed,
    bufferBytes: train.shuffle_buffer_megabytes * 2 ** 20,
    ...(train.data_workers === null ? {} : { workers: train.data_workers }),
  };
}

/** Where a source's rows are: what is drawn or on the Hub at a known commit is the same each time. */
function originOf({ kind }: SourceSpec): "drawn" | "hub" | "files" {
  return kind === "shapes" ? "drawn" : kind === "hub" ? "hub" : "files";
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

/** @throws {Error} where no data is named */
function trainingSpec(
  { train_dataset_path: path, train_dataset_name: names }: TrainConfig,
): string {
  if (path === "") {
    throw new Error(
      `Cannot train: no data is named, expected --train-dataset with a folder, a file or a name on the Hub; a folder to ` +
        `try is written by: ${denoCommand("task data shapes --export my-pictures")}`,
    );
  }
  return names.length === 0 ? path : `${path}:${names.join(",")}`;
}
