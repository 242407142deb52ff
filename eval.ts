/**
 * Evaluates a model: asks it every question of a dataset, counts right answers by kind of question, and measures the loss.
 *
 * Last stop of the data's way; train.ts uses `evaluate()` too. `deno task eval --help` shows the command's flags.
 * Source: test_mmstar() and the validation loop of nanoVLM v0.1, train.py.
 */
import { NO_TUNE_FLAG, openDevice } from "./commands/device.ts";
import { checkpointFolder, openTokenizer, tokenizerOf } from "./commands/checkpoints.ts";
import { type Command, runCommand } from "./commands/command.ts";
import { COLUMNS_FLAG, requireColumns } from "./commands/dataset_flags.ts";
import {
  type Arguments,
  DTYPE_FLAG,
  type Flags,
  UsageError,
  wholeNumber,
} from "./commands/flags.ts";
import { IGNORED_LABEL, MMStarCollator, type ReadySample, VQACollator } from "./data/collator.ts";
import { openDataset, Samples } from "./data/datasets.ts";
import { matchesMultipleChoice } from "./data/multiple_choice.ts";
import { ImageProcessor, mmstarPrompt, vqaPrompt } from "./data/processor.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import { LossMeter } from "./model/evaluation_step.ts";
import { Generator } from "./model/generator.ts";
import type { HostBatch } from "./model/inputs.ts";
import { chooseDtype } from "./model/precision.ts";
import { VisionLanguageModel } from "./model/vision_language_model.ts";
import { downloadDisplay } from "./runs/download_display.ts";
import { lossText, percent, type Score, scoreTable, short } from "./runs/report.ts";

/** Free questions, whose answers must be the expected text, or multiple choice. */
export type Task = "vqa" | "mmstar";

/** A model with its tokenizer, and what keeps the plans that were recorded for it. */
export interface Subject {
  /** Its `model` is the one that is asked. */
  readonly generator: Generator;
  /** Of the same model. */
  readonly meter: LossMeter;
  /** Of the same model. */
  readonly tokenizer: Tokenizer;
}

/** How to evaluate. */
export interface EvaluateOptions {
  /** By default what the dataset is meant for. */
  readonly task?: Task;
  /** Questions at a time. */
  readonly batchSize: number;
  /** Numbers of the samples to ask; all by default. */
  readonly indices?: readonly number[];
}

/** One question and what the model said. */
export interface Answer {
  /** The sample's number. */
  readonly index: number;
  /** The kind of question. */
  readonly category: string;
  /** As asked, without a prompt. */
  readonly question: string;
  /** The dataset's answer. */
  readonly expected: string;
  /** The model's answer. */
  readonly given: string;
  /** Whether it counts as right. */
  readonly isCorrect: boolean;
}

/** The result of an evaluation. */
export interface Evaluation extends Score {
  /** What the answers were judged by. */
  readonly task: Task;
  /** Mean over the labels of all questions that fit `lm_max_length`; NaN where none does. */
  readonly loss: number;
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, Score>>;
  /** Pictures and all. */
  readonly samples_per_second: number;
  /** In the order of `indices`. */
  readonly answers: readonly Answer[];
}

/** As many tokens as nanoVLM generates for a multiple-choice question. */
const CHOICE_TOKENS = 5;
/** Tokens of a free answer, or as many as the longest expected one takes. */
const VQA_TOKENS = 16;
/** Batches' worth of samples that are sorted by length together. */
const WINDOW_BATCHES = 16;

/**
 * Asks a model questions, greedily.
 *
 * A free question is answered rightly if the texts are the same, capitals included, but for space around them; a
 * multiple-choice one if the letter is found by nanoVLM's rule.
 *
 * Differs from nanoVLM: prompts are padded behind their end, where nothing sees it, so that a question's answer does not
 * depend on the others in its batch; nanoVLM pads between image and text.
 *
 * @example
 * ```ts ignore
 * const model = await VisionLanguageModel.fromPretrained(await Device.open(), "checkpoints/quickstart");
 * const subject = {
 *   generator: new Generator(model),
 *   meter: new LossMeter(model),
 *   tokenizer: byteTokenizer(),
 * };
 * const samples = await Samples.open(await openDataset("shapes", "validation"), "all");
 * const { accuracy, loss } = await evaluate(subject, samples, { batchSize: 32 });
 * ```
 *
 * @throws {DeviceError} {ShaderError} where the device cannot do it
 * @throws {RangeError} where a question is longer than the model's context
 * @throws {SyntaxError} where a picture cannot be decoded
 */
export async function evaluate(
  { generator, meter, tokenizer }: Subject,
  samples: Samples,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { task = defaultTask(samples), batchSize } = options;
  const indices = options.indices ?? Array.from({ length: samples.length }, (_, i) => i);
  const start = performance.now();
  const { processor, promptOf, prompts, labelled } = collators(generator.model, tokenizer, task);
  const lengthOf = ({ question }: ReadySample) => tokenizer.encode(promptOf(question)).length;
  const answers = new Map<number, Answer>();
  let [lossSum, labels] = [0, 0];
  for await (const group of groups(samples, indices, { batchSize, processor, lengthOf })) {
    // The last batch is filled up by repeating a row, so that no plan is recorded for it alone.
    const rows = filledUp(group, batchSize);
    const batch = prompts.collate(rows);
    const maxNewTokens = task === "mmstar"
      ? CHOICE_TOKENS
      : Math.max(VQA_TOKENS, batch.labelLength);
    const { eosTokenId } = tokenizer;
    const ids = await generator.generate(batch, { maxNewTokens, mode: "greedy", eosTokenId });
    group.forEach((sample, b) => {
      answers.set(sample.index, judged(sample, decode(tokenizer, ids[b] ?? []), task));
    });
    const { sum, count } = await meter.measure(first(group.length, labelled.collate(rows)));
    lossSum += sum;
    labels += count;
  }
  const seconds = (performance.now() - start) / 1000;
  const ordered = indices.flatMap((index) => answers.get(index) ?? []);
  return {
    task,
    ...scoreOf(ordered),
    loss: lossSum / labels,
    by_category: byCategory(ordered),
    samples_per_second: ordered.length / seconds,
    answers: ordered,
  };
}

function defaultTask({ dataset }: Samples): Task {
  return dataset.format === "multiple-choice" ? "mmstar" : "vqa";
}

function collators({ config }: VisionLanguageModel, tokenizer: Tokenizer, task: Task) {
  const processor = new ImageProcessor(config.vit_img_size, {
    mean: config.vit_pixel_mean,
    std: config.vit_pixel_std,
  });
  const promptOf = task === "mmstar" ? mmstarPrompt : vqaPrompt;
  return {
    processor,
    promptOf,
    prompts: new MMStarCollator(tokenizer, processor, promptOf, "right"),
    labelled: new VQACollator(tokenizer, config.lm_max_length, processor, config.lm_padding_side),
  };
}

interface GroupOptions {
  readonly batchSize: number;
  readonly processor: ImageProcessor;
  readonly lengthOf: (sample: ReadySample) => number;
}

/** Samples of similar prompt lengths, `batchSize` at a time; only the last group may be smaller. */
async function* groups(
  samples: Samples,
  indices: readonly number[],
  { batchSize, processor, lengthOf }: GroupOptions,
): AsyncGenerator<ReadySample[]> {
  const windowSize = WINDOW_BATCHES * batchSize;
  for (let start = 0; start < indices.length; start += windowSize) {
    const window: { sample: ReadySample; length: number }[] = [];
    for (const index of indices.slice(start, start + windowSize)) {
      const sample = await samples.at(index);
      const image = await processor.square(sample.image, sample.imageName);
      const ready = { ...sample, image };
      window.push({ sample: ready, length: lengthOf(ready) });
    }
    window.sort((a, b) => a.length - b.length);
    const sorted = window.map(({ sample }) => sample);
    for (let at = 0; at < sorted.length; at += batchSize) yield sorted.slice(at, at + batchSize);
  }
}

function filledUp<T>(group: readonly T[], size: number): T[] {
  return [...group, ...Array.from({ length: size - group.length }, () => group.slice(-1)).flat()];
}

/** The batch with only the labels of its first `rows` rows. */
function first(rows: number, batch: HostBatch & { labels: Int32Array }): HostBatch {
  return { ...batch, labels: batch.labels.fill(IGNORED_LABEL, rows * batch.length) };
}

/** The text of generated ids; a model may know more ids than its tokenizer, which stand for nothing. */
function decode(tokenizer: Tokenizer, ids: readonly number[]): string {
  const known = ids.filter((id) => id < tokenizer.vocabSize);
  return tokenizer.decode(known, { skipSpecialTokens: true });
}

function judged(sample: ReadySample, given: string, task: Task): Answer {
  const { index, category, question, answer: expected } = sample;
  const isCorrect = task === "mmstar"
    ? matchesMultipleChoice(given, expected)
    : given.trim() === expected.trim();
  return { index, category, question, expected, given, isCorrect };
}

function scoreOf(answers: readonly Answer[]): Score {
  const correct = answers.filter(({ isCorrect }) => isCorrect).length;
  return { accuracy: correct / answers.length, correct, total: answers.length };
}

function byCategory(answers: readonly Answer[]): Record<string, Score> {
  const categories = Map.groupBy(answers, ({ category }) => category);
  return Object.fromEntries([...categories].map(([name, its]) => [name, scoreOf(its)]));
}

const FLAGS = {
  "checkpoint": { value: "DIR", help: "the model's folder, or owner/name[@revision] on the Hub" },
  "dataset": {
    value: "D",
    help:
      'what to ask: "shapes", a file, a folder with files of validation, or a dataset on the Hub',
  },
  "columns": COLUMNS_FLAG,
  "task": {
    value: "NAME",
    choices: ["vqa", "mmstar"],
    help:
      "vqa: the answer must be the expected text, capitals included, but for space around it; mmstar: " +
      "multiple choice, as nanoVLM does it; by default what the dataset's columns say",
  },
  "tokenizer": { value: "DIR", help: "tokenizer's folder, where the model's has none" },
  "limit": { value: "N", number: wholeNumber(1), help: "ask only the first N questions" },
  "batch-size": {
    value: "N",
    number: wholeNumber(1),
    help: "questions at a time (default: 32)",
  },
  "dtype": DTYPE_FLAG,
  "no-tune": NO_TUNE_FLAG,
  "json": { help: "print one JSON document" },
} as const satisfies Flags;

const COMMAND: Command<typeof FLAGS> = {
  call: "deno task eval",
  summary: "Evaluates a model: accuracy by kind of question, and loss.",
  positionals: [],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const [checkpoint, dataset] = [args.text("checkpoint"), args.text("dataset")];
  if (checkpoint === undefined || dataset === undefined) {
    throw new UsageError("Cannot evaluate: expected both --checkpoint DIR and --dataset D");
  }
  const hub = downloadDisplay();
  const dir = await checkpointFolder(checkpoint, hub);
  const columns = requireColumns(args.text("columns"));
  const opened = await openDataset(dataset, "validation", { columns, hub });
  const samples = await Samples.open(opened, "all");
  const total = Math.min(samples.length, args.number("limit") ?? Infinity);
  const device = await openDevice(!args.has("no-tune"));
  const dtype = await chooseDtype(device, args.choice("dtype", DTYPE_FLAG.choices) ?? "auto");
  const model = await VisionLanguageModel.fromPretrained(device, dir, { dtype });
  const name = args.text("tokenizer") ?? tokenizerOf(dir, model.config);
  const tokenizer = await openTokenizer(name, model.config);
  const subject = { generator: new Generator(model), meter: new LossMeter(model), tokenizer };
  const task = args.text("task");
  const { answers: _, ...result } = await evaluate(subject, samples, {
    ...(task === "vqa" || task === "mmstar" ? { task } : {}),
    batchSize: Math.min(args.number("batch-size") ?? 32, total),
    indices: Array.from({ length: total }, (_, i) => i),
  });
  if (args.has("json")) return console.log(JSON.stringify(result));
  console.log(scoreTable(result, result.by_category));
  console.log(
    `\nAccuracy ${percent(result.accuracy)}, loss ${lossText(result.loss)}, ` +
      `${short(result.samples_per_second)} questions/s`,
  );
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
