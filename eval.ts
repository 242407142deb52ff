/**
 * Evaluates a model: asks it every question of a dataset, counts right answers by kind of question, and measures the loss.
 *
 * Last stop of the data's way; train.ts uses `evaluate()` too. `deno task eval --help` shows the command's flags.
 * Source: test_mmstar() and the validation loop of nanoVLM v0.1, train.py.
 */
import { openDevice } from "./commands/device.ts";
import { checkpointFolder, openTokenizer, tokenizerOf } from "./commands/checkpoints.ts";
import { type Command, runCommand } from "./commands/command.ts";
import { requireColumns } from "./commands/dataset_flags.ts";
import { EVAL_FLAGS } from "./commands/eval_flags.ts";
import { type Arguments, DTYPE_FLAG, UsageError } from "./commands/flags.ts";
import { requireFewBad, type SkippedRow } from "./data/bad_rows.ts";
import { type Batch, IGNORED_LABEL, MMStarCollator, VQACollator } from "./data/collator.ts";
import type { ReadySample } from "./data/collator.ts";
import { openDataset, Samples } from "./data/datasets.ts";
import { ImageProcessor, mmstarPrompt, vqaPrompt } from "./data/processor.ts";
import { filledUp, questionGroups } from "./data/question_groups.ts";
import { Random } from "./data/random.ts";
import { printLine } from "./data/terminal.ts";
import type { Tokenizer } from "./data/tokenizer.ts";
import { LossMeter } from "./model/evaluation_step.ts";
import { Generator } from "./model/generator.ts";
import type { HostBatch } from "./model/inputs.ts";
import { chooseDtype } from "./model/precision.ts";
import { VisionLanguageModel } from "./model/vision_language_model.ts";
import { type Answer, byCategory, judged, scoreOf, type Task } from "./runs/answers.ts";
import { Display, showAsked } from "./runs/display.ts";
import { downloadDisplay } from "./runs/download_display.ts";
import { lossText, percent, type Score, scoreTable, short } from "./runs/report.ts";

export type { Answer, Task };

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
  /**
   * Where random numbers start, to ask once more by drawing from the softmax, as nanoVLM does; a question's draws depend on
   * this and its number alone, not on the batch. Only greedily when absent.
   */
  readonly sampleSeed?: number;
  /** Is told after every batch how many of the questions have been asked. */
  readonly onAsked?: (asked: number, of: number) => void;
}

/** The result of an evaluation. */
export interface Evaluation extends Score {
  /** What the answers were judged by. */
  readonly task: Task;
  /** Mean over the labels of all questions that fit `lm_max_length`; NaN where none does. */
  readonly loss: number;
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, Score>>;
  /** Answers that were drawn, with a `sampleSeed`. */
  readonly sampled?: Score;
  /** Rows of questions that were left out, for they could not be read. */
  readonly skipped: readonly SkippedRow[];
  /** Pictures and all. */
  readonly samples_per_second: number;
  /** In the order of `indices`. */
  readonly answers: readonly Answer[];
}

/** As many tokens as nanoVLM generates for a multiple-choice question. */
const CHOICE_TOKENS = 5;
/** Tokens of a free answer, or as many as the longest expected one takes. */
const VQA_TOKENS = 16;
/** The plain softmax, as PyTorch's nanoVLM draws from. */
const SOFTMAX = { temperature: 1, topK: 0, topP: 1 };

/**
 * Asks a model questions, greedily, and by drawing too where that is asked for.
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
 * @throws {RangeError} where a question is longer than the model's context, or many rows cannot be read
 * @throws {HubError} where the Hub cannot be reached
 */
export async function evaluate(
  subject: Subject,
  samples: Samples,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { generator, tokenizer } = subject;
  const { task = defaultTask(samples), batchSize, sampleSeed: seed } = options;
  const indices = options.indices ?? Array.from({ length: samples.length }, (_, i) => i);
  const start = performance.now();
  const { processor, promptOf, prompts, labelled } = collators(generator.model, tokenizer, task);
  const lengthOf = ({ question }: ReadySample) => tokenizer.encode(promptOf(question)).length;
  const answers = new Map<number, Answer>();
  const drawn: Answer[] = [];
  const skipped = new Map<number, SkippedRow>();
  let [lossSum, labels] = [0, 0];
  const onSkipped = (row: SkippedRow) => skipped.set(row.row, row);
  const how = { batchSize, processor, lengthOf, onSkipped };
  for await (const group of questionGroups(samples, indices, how)) {
    const asked = await ask(subject, group, { task, batchSize, seed, prompts, labelled });
    for (const answer of asked.greedy) answers.set(answer.index, answer);
    drawn.push(...asked.drawn);
    lossSum += asked.sum;
    labels += asked.count;
    options.onAsked?.(answers.size, indices.length);
  }
  requireFewBad([...skipped.values()], new Set(indices.map((i) => samples.locate(i).row)).size);
  const seconds = (performance.now() - start) / 1000;
  const ordered = indices.flatMap((index) => answers.get(index) ?? []);
  return {
    ...{ task, ...scoreOf(ordered), loss: lossSum / labels, by_category: byCategory(ordered) },
    ...(seed === undefined ? {} : { sampled: scoreOf(drawn) }),
    skipped: [...skipped.values()],
    samples_per_second: ordered.length / seconds,
    answers: ordered,
  };
}

/** Answers to a batch: greedy ones or, with a seed for each question, drawn ones. */
async function textsOf(
  { generator, tokenizer }: Subject,
  batch: Batch,
  { task, seeds }: { task: Task; seeds?: readonly number[] },
): Promise<string[]> {
  const { eosTokenId } = tokenizer;
  const ids = await generator.generate(batch, {
    maxNewTokens: task === "mmstar" ? CHOICE_TOKENS : Math.max(VQA_TOKENS, batch.labelLength),
    ...(seeds ? { mode: SOFTMAX, seed: seeds } : { mode: "greedy" }),
    // As nanoVLM draws, a choice goes on behind the end token.
    ...(seeds && task === "mmstar" ? {} : { eosTokenId }),
  });
  return ids.map((row) => decode(tokenizer, row));
}

/** A seed for each question. */
function seedsOf(rows: readonly ReadySample[], seed: number): number[] {
  return rows.map(({ index }) => new Random(seed, index).uint32());
}

/** Asks a batch's worth of questions; draws answers only with a seed. */
async function ask(
  subject: Subject,
  group: readonly ReadySample[],
  { task, batchSize, seed, prompts, labelled }:
    & { task: Task; batchSize: number; seed: number | undefined }
    & Pick<ReturnType<typeof collators>, "prompts" | "labelled">,
) {
  // The last batch is filled up by repeating a row, so that no plan is recorded for it alone.
  const rows = filledUp(group, batchSize);
  const batch = prompts.collate(rows);
  const judgedTexts = async (seeds?: readonly number[]) => {
    const texts = await textsOf(subject, batch, { task, ...(seeds ? { seeds } : {}) });
    return group.map((sample, b) => judged(sample, texts[b] ?? "", task));
  };
  const greedy = await judgedTexts();
  const drawn = seed === undefined ? [] : await judgedTexts(seedsOf(rows, seed));
  return {
    ...{ greedy, drawn },
    ...await subject.meter.measure(first(group.length, labelled.collate(rows))),
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

/** The batch with only the labels of its first `rows` rows. */
function first(rows: number, batch: HostBatch & { labels: Int32Array }): HostBatch {
  return { ...batch, labels: batch.labels.fill(IGNORED_LABEL, rows * batch.length) };
}

/** The text of generated ids; a model may know more ids than its tokenizer, which stand for nothing. */
function decode(tokenizer: Tokenizer, ids: readonly number[]): string {
  const known = ids.filter((id) => id < tokenizer.vocabSize);
  return tokenizer.decode(known, { skipSpecialTokens: true });
}

/** The command. */
export const COMMAND: Command<typeof EVAL_FLAGS> = {
  call: "deno task eval",
  summary: "Evaluates a model: accuracy by kind of question, and loss.",
  positionals: [],
  flags: EVAL_FLAGS,
  run,
};

async function run(args: Arguments<typeof EVAL_FLAGS>): Promise<void> {
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
  const display = new Display(Deno.stderr);
  const { answers: _, ...result } = await evaluate(subject, samples, {
    ...(task === "vqa" || task === "mmstar" ? { task } : {}),
    batchSize: Math.min(args.number("batch-size") ?? 32, total),
    indices: Array.from({ length: total }, (_, i) => i),
    ...(args.has("sample") ? { sampleSeed: args.number("seed") ?? 0 } : {}),
    onAsked: showAsked(display),
  }).finally(() => display.clear());
  if (args.has("json")) return printLine(JSON.stringify(result));
  for (const { imageName, reason } of result.skipped) {
    printLine(`Skipped ${imageName}: ${reason}`);
  }
  printLine(scoreTable(result, result.by_category));
  printLine(
    `\nAccuracy ${percent(result.accuracy)}, loss ${lossText(result.loss)}, ` +
      `${short(result.samples_per_second)} questions/s` +
      (result.sampled ? `\nAccuracy by drawing ${percent(result.sampled.accuracy)}` : ""),
  );
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
