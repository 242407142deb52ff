/**
 * Builds any batch of any epoch by its number alone; runs inside the loader, or in its workers.
 * Because a batch depends on nothing but the seed and its number, the number of workers cannot
 * change what is learned. Between sample_reader.ts and loader.ts.
 */
import { augment, type Augmentation } from "./augmentation.ts";
import { type SkippedRow, tooManyBad } from "./bad_rows.ts";
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
  /** The batch itself. */
  batch: Batch;
  /** All rows that were read or tried. */
  rows: number[];
  /** Rows that could not be read, once for each try. */
  skipped: SkippedRow[];
}

/** The tokenizer and picture size that batches are made with. */
export class BatchBuilder {
  readonly #source: SampleSource;
  readonly #collator: VQACollator;
  readonly #batchSize: number;
  readonly #cache: ImageCache;
  readonly #augmentation: Augmentation;

  private constructor(source: SampleSource, collator: VQACollator, options: BuilderOptions) {
    this.#source = source;
    this.#collator = collator;
    this.#batchSize = options.batchSize;
    this.#cache = new ImageCache(options.cacheBytes ?? 256 * 2 ** 20);
    this.#augmentation = options.augmentation ?? "none";
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
   * @throws {RangeError} when more samples than fit in the batch (and more than 16) are bad
   */
  async build({ seed, epoch, batch }: BatchPosition): Promise<BuiltBatch> {
    const ready: ReadySample[] = [];
    const rows: number[] = [];
    const skipped: SkippedRow[] = [];
    let start = batch * this.#batchSize;
    while (ready.length < this.#batchSize) {
      const count = this.#batchSize - ready.length;
      const read = await this.#source.read({ seed, epoch, start, count });
      for (const [i, each] of read.entries()) {
        rows.push(each.row);
        try {
          // Chance depends on the place in the epoch's order alone, so that a resumed run draws the same.
          ready.push(await this.#ready(each, new Random(seed, epoch, start + i)));
        } catch (error) {
          const reason = error instanceof Error ? error.message : String(error);
          skipped.push({ row: each.row, imageName: each.place, reason });
        }
        if (skipped.length > Math.max(16, this.#batchSize)) throw tooManyBad(skipped);
      }
      start += count;
    }
    return { batch: this.#collator.collate(ready), rows, skipped };
  }
}
