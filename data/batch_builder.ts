/**
 * Builds any batch of any epoch by its number alone; runs inside the loader, or in its workers.
 * Because a batch depends on nothing but the seed and its number, the number of workers cannot
 * change what is learned. Between sample_reader.ts and loader.ts.
 */
import { augment, type Augmentation } from "./augmentation.ts";
import { ALLOWED_BAD_ROWS, reasonAt, type SkippedRow } from "./bad_rows.ts";
import { type Batch, type PaddingSide, type ReadySample, VQACollator } from "./collator.ts";
import { ImageCache } from "./image_cache.ts";
import { ImageProcessor, type PictureSettings } from "./processor.ts";
import { Random } from "./random.ts";
import type { ReadSample, SampleSource } from "./sample_reader.ts";
import { tokenizerFor } from "./tokenizer.ts";

/** What a builder must know: plain data. */
export interface BuilderOptions {
  /** "bytes", or a folder: see `tokenizerFor()`. */
  tokenizer: string;
  /** Tokens per row, T. */
  maxLength: number;
  /** Where shorter rows are padded. Default "left", as nanoVLM v0.1. */
  paddingSide?: PaddingSide;
  /** How pictures are made ready; their side is S. */
  pictures: PictureSettings;
  /** Random changes to the pictures. Default "none", as nanoVLM v0.1. */
  augmentation?: Augmentation;
  /** Rows per batch, B. */
  batchSize: number;
  /** The share of rows that may be bad. Default 0.01. */
  allowedBadRows?: number;
  /** Bytes of decoded and resized pictures to keep. Default 256 MiB. */
  cacheBytes?: number;
}

/** Which batch. */
export interface BatchPosition {
  /** Of the shuffling. */
  seed: number;
  /** From 0. */
  epoch: number;
  /** Number of the batch within the epoch, from 0. */
  batch: number;
}

/** A batch and what was learned about the dataset in making it. */
export interface BuiltBatch {
  /** The batch itself; absent where too many rows were bad. */
  batch?: Batch;
  /** All rows that were read or tried. */
  rows: number[];
  /** Rows that could not be read, each once. */
  skipped: SkippedRow[];
}

/** Questions that a bad row is expected to have, at most, before a batch is given up. */
const SAMPLES_A_BAD_ROW = 50;

/** The tokenizer and picture size that batches are made with. */
export class BatchBuilder {
  readonly #source: SampleSource;
  readonly #collator: VQACollator;
  readonly #batchSize: number;
  readonly #cache: ImageCache;
  readonly #augmentation: Augmentation;
  /** Bad rows that a batch may meet: as many as it has samples, and twice what is to be expected of the allowed share. */
  readonly #mostBad: number;

  private constructor(source: SampleSource, collator: VQACollator, options: BuilderOptions) {
    this.#source = source;
    this.#collator = collator;
    this.#batchSize = options.batchSize;
    this.#cache = new ImageCache(options.cacheBytes ?? 256 * 2 ** 20);
    this.#augmentation = options.augmentation ?? "none";
    const share = Math.min(options.allowedBadRows ?? ALLOWED_BAD_ROWS, 0.99);
    this.#mostBad = Math.max(16, this.#batchSize) * (1 + 2 * share / (1 - share));
  }

  /**
   * Loads what the options name.
   *
   * @throws {Error} when a file is missing
   * @throws {SyntaxError} when a file is damaged
   * @throws {RangeError} when an option is out of range
   */
  static async open(options: BuilderOptions, source: SampleSource): Promise<BatchBuilder> {
    const { paddingSide = "left" } = options;
    const tokenizer = await tokenizerFor(options.tokenizer);
    const processor = new ImageProcessor(options.pictures);
    const collator = new VQACollator(tokenizer, options.maxLength, processor, paddingSide);
    return new BatchBuilder(source, collator, options);
  }

  async #ready(read: ReadSample, random: Random): Promise<ReadySample> {
    if ("reason" in read) throw new Error(read.reason);
    const { sample } = read;
    const processor = this.#collator.imageProcessor;
    const image = await this.#cache.get(
      sample.row,
      () => processor.square(sample.image, sample.imageName),
    );
    return { ...sample, image: augment(image, this.#augmentation, random) };
  }

  /**
   * Builds a batch: batchSize samples of the epoch's shuffled order, from number
   * batch * batchSize on. In place of one that cannot be read the next sample after the batch
   * comes in (which then occurs twice in the epoch), and after it the next again.
   *
   * Samples are asked for at once, also while another batch is being built.
   *
   * So many rows may be bad that the batch is given up: it is missing in the result then.
   */
  async build({ seed, epoch, batch }: BatchPosition): Promise<BuiltBatch> {
    const ready: ReadySample[] = [];
    const rows: number[] = [];
    const skipped = new Map<number, SkippedRow>(); // by row, each once however many questions it has
    let [start, bad] = [batch * this.#batchSize, 0];
    while (ready.length < this.#batchSize) {
      const count = this.#batchSize - ready.length;
      const read = await this.#source.read({ seed, epoch, start, count });
      for (const [i, each] of read.entries()) {
        rows.push(each.row);
        try {
          // Chance depends on the place in the epoch's order alone, so that a resumed run draws the same.
          ready.push(await this.#ready(each, new Random(seed, epoch, start + i)));
        } catch (error) {
          const reason = reasonAt(each.place, error);
          skipped.set(each.row, { row: each.row, imageName: each.place, reason });
          bad++;
        }
        if (skipped.size > this.#mostBad || bad > SAMPLES_A_BAD_ROW * this.#mostBad) {
          return { rows, skipped: [...skipped.values()] };
        }
      }
      start += count;
    }
    return { batch: this.#collator.collate(ready), rows, skipped: [...skipped.values()] };
  }
}
