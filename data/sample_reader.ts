/**
 * Reads samples in the order of the epoch, without decoding their pictures; the only part of the
 * loader that opens the dataset. Between samples.ts and batch_builder.ts, in a thread of its own
 * (reader_worker.ts) where there are workers.
 */
import { rowName } from "./dataset.ts";
import { type DatasetOptions, openDataset, type Split } from "./datasets.ts";
import { GroupWindow } from "./group_window.ts";
import { HubError } from "./hub.ts";
import { fitsBuffer, sampleOrder } from "./sample_order.ts";
import { type Sample, Samples } from "./samples.ts";

/** What a reader must know: plain data. */
export interface ReaderOptions {
  /** "shapes", files, datasets on the Hub, or several: see `openDataset()`. */
  dataset: string;
  /** How to open it; `rows` and `datasetSeed` beside it come first. */
  datasetOptions?: DatasetOptions;
  /** Which part of it. */
  split: Split;
  /** Only that many rows from the start. */
  rows?: number;
  /** The seed of "shapes". Default 0. */
  datasetSeed?: number;
  /** "first" as nanoVLM v0.1 does, or "all" questions of a row as samples of their own. */
  questionsPerRow: "first" | "all";
  /**
   * How far the kinds of questions are made equally frequent, from 0, as they are, to 1: see
   * sample_order.ts. Above 0 all questions are read when opening. Default 0.
   */
  kindBalance?: number;
  /**
   * Bytes of row groups, uncompressed, to keep and to shuffle among. A dataset that fits is
   * shuffled as a whole. Default 512 MiB.
   */
  bufferBytes?: number;
}

/** A stretch of the stream of samples. */
export interface SamplePosition {
  /** Of the shuffling. */
  seed: number;
  /** From 0. */
  epoch: number;
  /** Samples of the epoch's order before it; beyond the epoch's end its beginning follows. */
  start: number;
  /** Number of samples. */
  count: number;
}

/** A sample, or why there is none. */
export type ReadSample =
  & {
    /** Its number in the dataset. */
    row: number;
    /** What to call the row in messages. */
    place: string;
  }
  & ({ sample: Sample } | { reason: string });

/** Where batches get their samples from. */
export interface SampleSource {
  /** Reads a stretch; what cannot be read is in its place in the result. */
  read(position: SamplePosition): Promise<ReadSample[]>;
}

/** Default of `bufferBytes`. */
const BUFFER_BYTES = 512 * 2 ** 20;

/** Walks along the shuffled samples of a dataset. */
export class SampleReader implements SampleSource {
  /** All samples of the dataset. */
  readonly samples: Samples;
  readonly #bufferBytes: number;
  readonly #kindBalance: number;
  /** Absent where the whole dataset can stay in memory. */
  readonly #window: GroupWindow | undefined;
  #seed: number | undefined;
  /** Orders by epoch: the last one asked for, and perhaps the one before. */
  readonly #orders = new Map<number, Uint32Array>();

  /**
   * Sets up the reader; nothing is read yet.
   *
   * @param samples what to read from; their kinds are known where they are to be balanced
   * @param options `lookBehind`: how many samples behind the furthest one are still asked for in
   * ordinary running: those of the batches that are built at once
   */
  constructor(
    samples: Samples,
    options: Pick<ReaderOptions, "bufferBytes" | "kindBalance"> & { lookBehind?: number } = {},
  ) {
    const { bufferBytes = BUFFER_BYTES, kindBalance = 0, lookBehind = 0 } = options;
    const { starts, dataset: { groups = [] } } = samples;
    this.samples = samples;
    this.#bufferBytes = bufferBytes;
    this.#kindBalance = kindBalance;
    this.#window = fitsBuffer({ starts, groups }, bufferBytes)
      ? undefined
      : new GroupWindow(starts, groups, lookBehind);
  }

  /**
   * Opens what the options name.
   *
   * @throws {Error} when a file is missing
   * @throws {SyntaxError} when a file is damaged
   * @throws {TypeError} when the dataset's columns are of no known schema
   * @throws {RangeError} when an option is out of range
   */
  static async open(options: ReaderOptions, lookBehind: number = 0): Promise<SampleReader> {
    const { rows, datasetSeed, bufferBytes = BUFFER_BYTES } = options;
    const dataset = await openDataset(options.dataset, options.split, {
      ...options.datasetOptions,
      ...(rows === undefined ? {} : { rows }),
      ...(datasetSeed === undefined ? {} : { seed: datasetSeed }),
      cacheBytes: bufferBytes,
    });
    const { questionsPerRow, kindBalance = 0 } = options;
    const samples = kindBalance > 0
      ? await Samples.openByKind(dataset, questionsPerRow)
      : await Samples.open(dataset, questionsPerRow);
    return new SampleReader(samples, { bufferBytes, lookBehind, kindBalance });
  }

  #orderOf({ seed, epoch }: SamplePosition): Uint32Array {
    if (seed !== this.#seed) this.#orders.clear();
    this.#seed = seed;
    const known = this.#orders.get(epoch);
    if (known) return known;
    const { starts, kinds, dataset: { groups, parts } } = this.samples;
    const [bufferBytes, kindBalance] = [this.#bufferBytes, this.#kindBalance];
    const choice = { seed, epoch, bufferBytes, kindBalance };
    const order = sampleOrder({ starts, groups, parts, kinds }, choice);
    for (const other of this.#orders.keys()) if (other !== epoch - 1) this.#orders.delete(other);
    this.#orders.set(epoch, order);
    this.#window?.add(epoch, order);
    return order;
  }

  async #readSample(index: number): Promise<ReadSample> {
    const { row } = this.samples.locate(index);
    const place = rowName(this.samples.dataset, row);
    try {
      return { row, place, sample: await this.samples.at(index) };
    } catch (error) {
      if (error instanceof HubError) throw error; // the network's fault is not the row's
      return { row, place, reason: error instanceof Error ? error.message : String(error) };
    }
  }

  async read(position: SamplePosition): Promise<ReadSample[]> {
    const { epoch, start, count } = position;
    const order = this.#orderOf(position);
    if (this.#window) {
      const { held, next } = this.#window.at(epoch, start, count);
      this.samples.dataset.hold?.(held, next);
    }
    const read: ReadSample[] = [];
    for (let at = start; at < start + count; at++) {
      read.push(await this.#readSample(order[at % order.length] ?? 0));
    }
    return read;
  }
}
