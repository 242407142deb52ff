/**
 * Asks a model questions of a dataset, counts right answers by kind of question, and measures the loss.
 *
 * Under eval.ts and train.ts. Source: test_mmstar() and the validation loop of nanoVLM v0.1, train.py.
 */
import {
  type Batch,
  IGNORED_LABEL,
  MMStarCollator,
  type ReadySample,
  VQACollator,
} from "../data/collator.ts";
import type { Samples } from "../data/datasets.ts";
import { ImageProcessor, mmstarPrompt, vqaPrompt } from "../data/processor.ts";
import { filledUp, questionGroups } from "../data/question_groups.ts";
import { Random } from "../data/random.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import type { LossMeter } from "../model/evaluation_step.ts";
import type { Generator } from "../model/generator.ts";
import { type HostBatch, imageTokens } from "../model/inputs.ts";
import type { VisionLanguageModel } from "../model/vision_language_model.ts";
import { type Evaluation, judged, Tally, type Task } from "./answers.ts";
import type { FrequentAnswers } from "./baseline.ts";

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
  /**
   * Each kind's most frequent answer, as far as it was known before; by default that of the questions that are asked, which
   * no blind guess by kind can do better than.
   */
  readonly baseline?: FrequentAnswers | undefined;
  /** Ends the evaluation after the batch under way, when it is aborted, with its reason. */
  readonly signal?: AbortSignal | undefined;
  /** Is told after every batch how many of the questions have been asked, and what came of them. */
  readonly onAsked?: (asked: number, of: number, soFar: () => Evaluation) => void;
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
 * Nothing about the questions ends it: one that is, with its answer, longer than the model's context, or whose answer alone
 * is longer than `lm_max_length`, is not asked and counts as wrong; one whose row cannot be read is left out. Both are named
 * in the result.
 *
 * A free question is answered rightly if the texts are the same, capitals included, but for space around them; a
 * multiple-choice one if the letter is found by nanoVLM's rule.
 *
 * Differs from nanoVLM: prompts are padded behind their end, where nothing sees it, so that a question's answer does not
 * depend on the others in its batch; nanoVLM pads between image and text.
 *
 * @example
 * ```ts
 * import { evaluate, Generator, load, LossMeter, openDataset, Samples } from "@nanovlm/webgpu";
 *
 * using assistant = await load("checkpoints/quickstart");
 * const { model, tokenizer } = assistant;
 * using generator = new Generator(model);
 * await using meter = new LossMeter(model);
 * const samples = await Samples.open(await openDataset("shapes", "validation"), "all");
 * const indices = Array.from({ length: 20 }, (_, i) => i); // without it: all questions
 * const { accuracy, loss } = await evaluate({ generator, meter, tokenizer }, samples, { batchSize: 10, indices });
 * console.log(accuracy, loss);
 * ```
 *
 * @throws {DeviceError} {ShaderError} where the device cannot do it
 * @throws {HubError} where the Hub cannot be reached
 */
export async function evaluate(
  subject: Subject,
  samples: Samples,
  options: EvaluateOptions,
): Promise<Evaluation> {
  const { generator: { model }, tokenizer } = subject;
  const { task = defaultTask(samples), batchSize, sampleSeed: seed, signal } = options;
  const indices = options.indices ?? Array.from({ length: samples.length }, (_, i) => i);
  const { processor, promptOf, prompts, labelled } = collators(model, tokenizer, task);
  const tally = new Tally(indices, {
    ...{ task, baseline: options.baseline, isDrawn: seed !== undefined },
  });
  const room = model.config.lm_max_position_embeddings - imageTokens(model.config);
  const lengthsOf = lengthsBy(tokenizer, promptOf, task);
  const groups = questionGroups(samples, indices, {
    ...{ batchSize, processor, signal },
    lengthOf: (sample) => lengthsOf(sample).prompt,
    onSkipped: (row) => tally.skip(row),
  });
  for await (const group of groups) {
    const asked = group.filter((sample) => {
      const reason = whyTooLong(lengthsOf(sample), room, model.config.lm_max_length);
      if (reason !== undefined) tally.tooLong(sample, reason);
      return reason === undefined;
    });
    for (const part of fitting(asked, lengthsOf, room)) {
      tally.add(await ask(subject, part, { task, batchSize, seed, prompts, labelled, room }));
    }
    options.onAsked?.(tally.asked, indices.length, () => tally.result());
    signal?.throwIfAborted();
  }
  return tally.result();
}

/** Tokens of a question's prompt, and of what must follow it for a right answer. */
interface Lengths {
  readonly prompt: number;
  readonly answer: number;
}

/** Why a question is not asked, if it is not: there is no room for it, or its answer is longer than any that was learned. */
function whyTooLong(
  { prompt, answer }: Lengths,
  room: number,
  maxLength: number,
): string | undefined {
  const tokens = (count: number) => `${count.toLocaleString("en")} tokens`;
  if (answer > maxLength) {
    return `the answer takes ${tokens(answer)}, lm_max_length is ${maxLength}`;
  }
  return prompt + answer > room
    ? `question and answer take ${
      tokens(prompt + answer)
    }, beside the picture there is room for ${room}`
    : undefined;
}

/** Counts them, once for each sample. */
function lengthsBy(tokenizer: Tokenizer, promptOf: (question: string) => string, task: Task) {
  const known = new WeakMap<ReadySample, Lengths>();
  return (sample: ReadySample): Lengths => {
    const lengths = known.get(sample) ?? {
      prompt: tokenizer.encode(promptOf(sample.question)).length,
      answer: task === "mmstar"
        ? CHOICE_TOKENS
        : tokenizer.encode(`${sample.answer}${tokenizer.eosToken}`).length,
    };
    known.set(sample, lengths);
    return lengths;
  };
}

/** Parts of a group in which the longest prompt leaves room for the longest answer: most often the group itself. */
function fitting(
  group: readonly ReadySample[],
  lengthsOf: (sample: ReadySample) => Lengths,
  room: number,
): (readonly ReadySample[])[] {
  if (group.length === 0) return [];
  const lengths = group.map(lengthsOf);
  const most = (key: keyof Lengths) => Math.max(...lengths.map((its) => its[key]));
  if (group.length === 1 || most("prompt") + most("answer") <= room) return [group];
  const middle = group.length >> 1;
  return [group.slice(0, middle), group.slice(middle)]
    .flatMap((half) => fitting(half, lengthsOf, room));
}

/** Answers to a batch: greedy ones or, with a seed for each question, drawn ones. */
async function textsOf(
  { generator, tokenizer }: Subject,
  batch: Batch,
  { task, seeds, room }: { task: Task; seeds?: readonly number[]; room: number },
): Promise<string[]> {
  const { eosTokenId } = tokenizer;
  const most = Math.min(Math.max(VQA_TOKENS, batch.labelLength), room - batch.length);
  const ids = await generator.generate(batch, {
    maxNewTokens: task === "mmstar" ? CHOICE_TOKENS : most,
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
  { task, batchSize, seed, prompts, labelled, room }:
    & { task: Task; batchSize: number; seed: number | undefined; room: number }
    & Pick<ReturnType<typeof collators>, "prompts" | "labelled">,
) {
  // The last batch is filled up by repeating a row, so that no plan is recorded for it alone.
  const rows = filledUp(group, batchSize);
  const batch = prompts.collate(rows);
  const judgedTexts = async (seeds?: readonly number[]) => {
    const texts = await textsOf(subject, batch, { task, room, ...(seeds ? { seeds } : {}) });
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
  const processor = new ImageProcessor(config);
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
