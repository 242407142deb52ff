/**
 * The stream of training batches: shuffled anew each epoch (sample_order.ts), read and built ahead
 * of time in workers, and resumable at any batch. Between collator.ts and the model.
 *
 * Source: what PyTorch's DataLoader does for nanoVLM v0.1 (shuffle and drop_last on).
 */
import { ALLOWED_BAD_ROWS, requireFewBad, type SkippedRow, TooManyBadRows } from "./bad_rows.ts";
import type { BuiltBatch } from "./batch_builder.ts";
import type { Batch } from "./collator.ts";
import { type BatchOptions, type BatchSource, openHere, openWorkers } from "./loader_source.ts";

export type { SkippedRow } from "./bad_rows.ts";

/** What to load, and how far ahead. Plain data. */
export interface LoaderOptions extends BatchOptions {
  /** Of the shuffling: a whole number from 0 to 2^32 - 1. */
  seed: number;
  /**
   * Threads that build batches, beside one that reads; 0 does everything in this one. Default: as
   * `defaultWorkers()`.
   */
  workers?: number;
  /** Batches that each worker builds ahead. Default 2. */
  prefetchBatches?: number;
}

/** A place in the stream: plain data, to be saved with a checkpoint. */
export interface LoaderState {
  /** Of the shuffling. */
  seed: number;
  /** From 0. */
  epoch: number;
  /** Samples of the epoch's order that are behind: a multiple of the batch size. */
  index: number;
  /** Numbers of the rows before it that could not be read; absent where there are none. */
  bad_rows?: readonly number[] | undefined;
}

/**
 * One builder less than the processor has cores, for the thread that trains needs one, and at most
 * four: each takes a core to build about 100 samples of 640x480 a second, and 100 to 200 MiB
 * (docs/benchmarks.md). The thread that reads has little to do.
 */
export function defaultWorkers(): number {
  return Math.max(1, Math.min(4, navigator.hardwareConcurrency - 1));
}

/** The budget for pictures is shared out among the workers. */
async function openSource(options: LoaderOptions, builders: number): Promise<BatchSource> {
  if (builders === 0) return await openHere(options);
  const cacheBytes = (options.cacheBytes ?? 256 * 2 ** 20) / builders;
  const ahead = (options.prefetchBatches ?? 2) * builders;
  return await openWorkers({ ...options, cacheBytes }, { builders, ahead });
}

function requireWhole(what: string, value: number, least: number): void {
  if (!Number.isInteger(value) || value < least) {
    throw new RangeError(
      `Cannot open loader: found ${what} "${value}", expected a whole number from ${least} on`,
    );
  }
}

/**
 * Endless batches of a dataset. The last samples of an epoch that do not fill a batch are left
 * out. The same seed gives the same batches whatever the number of workers.
 *
 * A row that cannot be read is counted in `skipped` and another sample takes its place. More than
 * `allowedBadRows` of those read so far, and more than 3, end the stream with an error.
 */
export class Loader implements Disposable {
  /** Number of samples of the dataset. */
  readonly samples: number;
  /** Number of batches of an epoch. */
  readonly batchesPerEpoch: number;
  /** Samples of a batch. */
  readonly batchSize: number;
  readonly #allowedBadRows: number;
  readonly #source: BatchSource;
  /** Batches to keep under way while the consumer is busy. */
  readonly #ahead: number;
  readonly #skipped: SkippedRow[] = [];
  /** Numbers of those, and of the ones that were met before the place that was restored. */
  readonly #badRows = new Set<number>();
  /** 1 at rows that were read or tried. (rows) */
  readonly #tried: Uint8Array;
  #triedRows = 0;
  /** At most so many were tried before the place that was restored. */
  #triedBefore = 0;
  #waitMilliseconds = 0;
  #seed: number;
  /** Number of the next batch, counted through all epochs. */
  #next = 0;
  /** Batches under way, the next one first. */
  #queue: Promise<BuiltBatch>[] = [];
  /** Ends with the newest call of `next()`. */
  #last: Promise<unknown> = Promise.resolve();

  private constructor(options: LoaderOptions, source: BatchSource, workers: number) {
    this.samples = source.samples;
    this.batchesPerEpoch = Math.floor(source.samples / options.batchSize);
    this.batchSize = options.batchSize;
    this.#allowedBadRows = options.allowedBadRows ?? ALLOWED_BAD_ROWS;
    this.#source = source;
    this.#ahead = (options.prefetchBatches ?? 2) * workers;
    this.#tried = new Uint8Array(source.rows);
    this.#seed = options.seed;
  }

  /**
   * Opens the dataset, and starts the workers.
   *
   * @throws {Error} when a file is missing
   * @throws {SyntaxError} when a file is damaged
   * @throws {TypeError} when the dataset's columns are of no known schema
   * @throws {RangeError} when an option is out of range, or a batch is larger than the dataset
   */
  static async open(options: LoaderOptions): Promise<Loader> {
    const { workers = defaultWorkers(), prefetchBatches = 2 } = options;
    requireWhole("batch size", options.batchSize, 1);
    requireWhole("number of workers", workers, 0);
    requireWhole("number of batches ahead", prefetchBatches, 1);
    requireWhole("seed", options.seed, 0);
    requireWhole("number of buffer bytes", options.bufferBytes ?? 0, 0);
    const loader = new Loader(options, await openSource(options, workers), workers);
    if (loader.batchesPerEpoch === 0) {
      loader.close();
      throw new RangeError(
        `Cannot train in steps of ${options.batchSize} questions: found ${loader.samples} to train on in ` +
          `"${options.dataset}", expected as many as a step takes. Take more data, or --batch-size ${loader.samples}.`,
      );
    }
    return loader;
  }

  /** Rows that could not be read so far, each once. */
  get skipped(): readonly SkippedRow[] {
    return this.#skipped;
  }

  /** Time that `next()` has waited for batches since opening. */
  get waitMilliseconds(): number {
    return this.#waitMilliseconds;
  }

  /** The place of the batch that `next()` returns next. */
  state(): LoaderState {
    const epoch = Math.floor(this.#next / this.batchesPerEpoch);
    const index = (this.#next % this.batchesPerEpoch) * this.batchSize;
    const bad = this.#badRows.size > 0 ? { bad_rows: [...this.#badRows] } : {};
    return { seed: this.#seed, epoch, index, ...bad };
  }

  /**
   * Goes to a place in the stream, such as one saved with a checkpoint.
   *
   * @throws {RangeError} when the place is not the beginning of a batch of this loader
   */
  restore({ seed, epoch, index, bad_rows: bad = [] }: LoaderState): void {
    const batch = index / this.batchSize;
    const whole = [seed, epoch, batch].every((value) => Number.isInteger(value) && value >= 0);
    if (!whole || batch >= this.batchesPerEpoch) {
      throw new RangeError(
        `Cannot restore loader: found seed "${seed}", epoch "${epoch}", index "${index}", expected ` +
          `whole numbers, the index a multiple of ${this.batchSize} below ` +
          `${this.batchesPerEpoch * this.batchSize}. The dataset or the batch size is another one.`,
      );
    }
    this.#seed = seed;
    this.#next = epoch * this.batchesPerEpoch + batch;
    this.#queue = [];
    for (const row of bad) this.#badRows.add(row);
    this.#triedBefore = epoch > 0 ? this.#source.rows : index + bad.length;
  }

  #request(number: number): Promise<BuiltBatch> {
    const epoch = Math.floor(number / this.batchesPerEpoch);
    const batch = number % this.batchesPerEpoch;
    const built = this.#source.build(number, { seed: this.#seed, epoch, batch });
    built.catch(() => {}); // next() reports it when its turn comes
    return built;
  }

  #fill(length: number): void {
    while (this.#queue.length < length) {
      this.#queue.push(this.#request(this.#next + this.#queue.length));
    }
  }

  /** Counts the rows of a batch and gives it; stops the stream when too many are bad. */
  #account({ rows, skipped, batch }: BuiltBatch): Batch {
    for (const row of rows) {
      if (!this.#tried[row]) this.#triedRows++;
      this.#tried[row] = 1;
    }
    for (const bad of skipped) {
      if (this.#badRows.has(bad.row)) continue;
      this.#badRows.add(bad.row);
      this.#skipped.push(bad);
    }
    const { rows: all } = this.#source;
    const tried = Math.min(all, this.#triedBefore + this.#triedRows);
    const before = this.#badRows.size - this.#skipped.length;
    const limits = { rows: all, allowed: this.#allowedBadRows, before };
    requireFewBad(this.#skipped, tried, limits);
    if (batch) return batch;
    throw new TooManyBadRows(this.#skipped, tried, limits);
  }

  /**
   * The next batch; the one after an epoch's last is the next epoch's first. Calls at once
   * get batches one after the other.
   *
   * @throws {TooManyBadRows} when too many rows cannot be read; the message names the first
   * @throws {Error} when a worker breaks, or the loader is closed
   */
  next(): Promise<Batch> {
    const batch = this.#last.then(() => this.#take());
    this.#last = batch.then(() => {}, () => {}); // keeps no batch; who asked hears of an error
    return batch;
  }

  async #take(): Promise<Batch> {
    const start = performance.now();
    try {
      this.#fill(Math.max(1, this.#ahead));
      const [first] = this.#queue;
      if (!first) throw new Error("Cannot load data: found no batch under way, expected one");
      const built = await first;
      const batch = this.#account(built);
      this.#queue.shift();
      this.#next++;
      this.#fill(this.#ahead);
      return batch;
    } catch (error) {
      this.#queue = []; // the place stays, so that a further call tries the same batch again
      throw error;
    } finally {
      this.#waitMilliseconds += performance.now() - start;
    }
  }

  /** Ends the workers. A `next()` under way fails. */
  close(): void {
    this.#source.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
