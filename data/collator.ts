/**
 * Makes a batch of equal-length rows from samples: the last step before the model. The loader
 * calls VQACollator for training; evaluation calls MMStarCollator through `batches()`.
 *
 * Source: nanoVLM v0.1, data/collators.py.
 */
import { mmstarPrompt, vqaPrompt } from "./processor.ts";
import type { ImageProcessor } from "./processor.ts";
import type { RgbImage } from "./rgb_image.ts";
import type { Sample, Samples } from "./samples.ts";
import type { Tokenizer } from "./tokenizer.ts";

/** Labels of this value do not count in the loss. */
export const IGNORED_LABEL: number = -100;

/** A sample whose picture is already at the encoder's size. */
export interface ReadySample extends Omit<Sample, "image"> {
  /** (imageSize, imageSize, 3) bytes. */
  image: RgbImage;
}

/** Samples as the model takes them. B = size, T = length, S = imageSize. */
export interface Batch {
  /** Number of rows B. */
  size: number;
  /** Tokens per row T, without those of the picture. */
  length: number;
  /** Pixels per side S. */
  imageSize: number;
  /** (B, T), padded with the end token. */
  inputIds: Int32Array;
  /** (B, T), 1 at real tokens and 0 at padding. */
  attentionMask: Int32Array;
  /** (B, labelLength): VQACollator's are each position's next token or -100, MMStarCollator's the
   * answers' own tokens, padded on the left with the end token. */
  labels: Int32Array;
  /** Labels per row: T, but for MMStarCollator the longest answer's tokens. */
  labelLength: number;
  /** (B, 3, S, S) */
  images: Float32Array;
  /** Number of tokens that are not padding. */
  realTokens: number;
  /** Number of labels that count: not -100, and for MMStarCollator not padding. */
  labelTokens: number;
  /** Number of rows that were too long, so that none of their labels counts. */
  cutRows: number;
  /** (B), the samples' numbers. */
  sampleIndices: Int32Array;
  /** (B), the questions without their prompt. */
  questions: string[];
  /** (B), the answers without the end token. */
  answers: string[];
  /** (B), the kinds of the questions. */
  categories: string[];
}

/** Makes a batch of samples. */
export interface Collator {
  /** Brings pictures to the size that `collate()` takes. */
  readonly imageProcessor: ImageProcessor;
  /** Makes a batch of B samples. */
  collate(samples: readonly ReadySample[]): Batch;
}

/** Which end of a row is filled up. */
export type PaddingSide = "left" | "right";

/** Rows of ids as rows of `length`, filled up on one side; and where each begins. */
function pad(
  rows: readonly number[][],
  { length, filler, side }: { length: number; filler: number; side: PaddingSide },
) {
  const ids = new Int32Array(rows.length * length).fill(filler); // (B, T)
  const mask = new Int32Array(rows.length * length); // (B, T)
  const starts = rows.map((row, b) => b * length + (side === "left" ? length - row.length : 0));
  rows.forEach((row, b) => {
    ids.set(row, starts[b]);
    mask.fill(1, starts[b], (starts[b] ?? 0) + row.length);
  });
  return { ids, mask, starts };
}

function requireSamples(samples: readonly ReadySample[]): void {
  if (samples.length === 0) {
    throw new RangeError("Cannot make a batch: found no samples, expected at least one");
  }
}

/** The parts of a batch that are the same whatever its text looks like. */
function collectImages(samples: readonly ReadySample[], processor: ImageProcessor) {
  const imageSize = processor.imageSize;
  const numbers = 3 * imageSize ** 2;
  const images = new Float32Array(samples.length * numbers); // (B, 3, S, S)
  samples.forEach(({ image }, b) =>
    processor.write(image, images.subarray(b * numbers, (b + 1) * numbers))
  );
  return {
    size: samples.length,
    imageSize,
    images,
    sampleIndices: Int32Array.from(samples, ({ index }) => index),
    questions: samples.map(({ question }) => question),
    answers: samples.map(({ answer }) => answer),
    categories: samples.map(({ category }) => category),
  };
}

/**
 * A question with its answer as training takes it, however long: its ids, and the number of
 * positions before the first label that counts.
 */
export function encodeTurn(
  tokenizer: Tokenizer,
  { question, answer }: Pick<Sample, "question" | "answer">,
): { ids: number[]; unlabelled: number } {
  const prompt = vqaPrompt(question);
  const ids = tokenizer.encode(`${prompt}${answer}${tokenizer.eosToken}`);
  // The question's length is counted by itself, even where its last token would merge with the
  // answer's first. Less one, for labels lie one place before their token.
  return { ids, unlabelled: tokenizer.encode(prompt).length - 1 };
}

/**
 * Batches for training and for the validation loss: `Question: … Answer:` + answer + end token,
 * padded to a fixed length, on the left as nanoVLM does or on the right, labels on the answer and
 * the end token only.
 */
export class VQACollator implements Collator {
  /** Brings pictures to the size that `collate()` takes. */
  readonly imageProcessor: ImageProcessor;
  readonly #tokenizer: Tokenizer;
  readonly #maxLength: number;
  readonly #side: PaddingSide;

  /**
   * Sets up the collator.
   *
   * @param tokenizer its end token is also the padding
   * @param maxLength tokens per row T; a longer row is cut on the right and none of its labels count
   * @param imageProcessor the encoder's picture size and normalization
   * @param side where padding goes
   * @throws {RangeError} when `maxLength` is not a whole number from 2 on
   */
  constructor(
    tokenizer: Tokenizer,
    maxLength: number,
    imageProcessor: ImageProcessor,
    side: PaddingSide = "left",
  ) {
    if (!Number.isInteger(maxLength) || maxLength < 2) {
      throw new RangeError(
        `Cannot make collator: found maximum length "${maxLength}", expected a whole number from 2 on`,
      );
    }
    this.#tokenizer = tokenizer;
    this.#maxLength = maxLength;
    this.#side = side;
    this.imageProcessor = imageProcessor;
  }

  /** One row's ids, at most T, and the number of tokens before its first label that counts. */
  #encode(sample: ReadySample) {
    const { ids, unlabelled } = encodeTurn(this.#tokenizer, sample);
    if (ids.length <= this.#maxLength) return { ids, unlabelled, isCut: false };
    return { ids: ids.slice(0, this.#maxLength), unlabelled: this.#maxLength, isCut: true };
  }

  /**
   * Makes a batch of B samples.
   *
   * @param samples B samples
   * @throws {RangeError} when there are none
   * @throws {TypeError} when a picture is not of the encoder's size
   */
  collate(samples: readonly ReadySample[]): Batch {
    requireSamples(samples);
    const length = this.#maxLength;
    const rows = samples.map((sample) => this.#encode(sample));
    const { ids, mask, starts } = pad(rows.map((row) => row.ids), {
      length,
      filler: this.#tokenizer.eosTokenId,
      side: this.#side,
    });
    const labels = new Int32Array(ids.length).fill(IGNORED_LABEL); // (B, T)
    let labelTokens = 0;
    rows.forEach((row, b) => {
      const start = starts[b] ?? 0;
      for (let at = start + row.unlabelled; at < start + row.ids.length - 1; at++) {
        labels[at] = ids[at + 1] ?? IGNORED_LABEL;
        labelTokens++;
      }
    });
    return {
      ...collectImages(samples, this.imageProcessor),
      length,
      inputIds: ids,
      attentionMask: mask,
      labels,
      labelLength: length,
      realTokens: rows.reduce((sum, row) => sum + row.ids.length, 0),
      labelTokens,
      cutRows: rows.filter(({ isCut }) => isCut).length,
    };
  }
}

/**
 * Batches for answering: prompts alone, padded to the longest, on the left as nanoVLM does or on the
 * right, and the answers with their end token as labels.
 */
export class MMStarCollator implements Collator {
  /** Brings pictures to the size that `collate()` takes. */
  readonly imageProcessor: ImageProcessor;
  readonly #tokenizer: Tokenizer;
  readonly #prompt: (question: string) => string;
  readonly #side: PaddingSide;

  /**
   * Sets up the collator.
   *
   * @param tokenizer its end token is also the padding
   * @param imageProcessor the encoder's picture size and normalization
   * @param prompt the prompt of a question; with `vqaPrompt` it serves free questions
   * @param side where the prompts' padding goes
   */
  constructor(
    tokenizer: Tokenizer,
    imageProcessor: ImageProcessor,
    prompt: (question: string) => string = mmstarPrompt,
    side: PaddingSide = "left",
  ) {
    this.#side = side;
    this.#tokenizer = tokenizer;
    this.imageProcessor = imageProcessor;
    this.#prompt = prompt;
  }

  /**
   * Makes a batch of B samples.
   *
   * @param samples B samples
   * @throws {RangeError} when there are none
   * @throws {TypeError} when a picture is not of the encoder's size
   */
  collate(samples: readonly ReadySample[]): Batch {
    requireSamples(samples);
    const { eosToken, eosTokenId } = this.#tokenizer;
    const prompts = samples.map((sample) => this.#tokenizer.encode(this.#prompt(sample.question)));
    const answers = samples.map(({ answer }) => this.#tokenizer.encode(`${answer}${eosToken}`));
    const length = Math.max(...prompts.map((ids) => ids.length));
    const labelLength = Math.max(...answers.map((ids) => ids.length));
    const { ids, mask } = pad(prompts, { length, filler: eosTokenId, side: this.#side });
    return {
      ...collectImages(samples, this.imageProcessor),
      length,
      inputIds: ids,
      attentionMask: mask,
      labels: pad(answers, { length: labelLength, filler: eosTokenId, side: "left" }).ids,
      labelLength,
      realTokens: prompts.reduce((sum, row) => sum + row.length, 0),
      labelTokens: answers.reduce((sum, row) => sum + row.length, 0),
      cutRows: 0,
    };
  }
}

/**
 * All samples in order, for evaluation; the last batch may be smaller.
 *
 * @throws {SyntaxError} when a picture cannot be decoded: no sample of a test is left out
 * @throws {RangeError} when the batch size is not a whole number from 1 on
 */
export async function* batches(
  samples: Samples,
  collator: Collator,
  batchSize: number,
): AsyncGenerator<Batch> {
  if (!Number.isInteger(batchSize) || batchSize < 1) {
    throw new RangeError(
      `Cannot make batches: found batch size "${batchSize}", expected a whole number from 1 on`,
    );
  }
  for (let start = 0; start < samples.length; start += batchSize) {
    const ready: ReadySample[] = [];
    for (let index = start; index < Math.min(start + batchSize, samples.length); index++) {
      const sample = await samples.at(index);
      const image = await collator.imageProcessor.square(sample.image, sample.imageName);
      ready.push({ ...sample, image });
    }
    yield collator.collate(ready);
  }
}
