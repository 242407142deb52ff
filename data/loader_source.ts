/**
 * Where the loader gets its batches from: this thread, or one worker that reads and several that
 * build. All give the same batches.
 */
import { BatchBuilder, type BatchPosition, type BuilderOptions } from "./batch_builder.ts";
import type { BuiltBatch } from "./batch_builder.ts";
import type { BuilderAnswer, BuilderQuestion } from "./builder_worker.ts";
import { Line } from "./line.ts";
import type { ReaderFacts, ReaderQuestion } from "./reader_worker.ts";
import { type ReaderOptions, SampleReader } from "./sample_reader.ts";

/** What to read and what to make of it. */
export interface BatchOptions extends ReaderOptions, BuilderOptions {}

/** Something that builds batches by number. */
export interface BatchSource {
  /** Number of samples of the dataset. */
  readonly samples: number;
  /** Number of rows of the dataset. */
  readonly rows: number;
  /** Builds a batch; calls with neighbouring numbers go to different threads. */
  build(number: number, position: BatchPosition): Promise<BuiltBatch>;
  /** Ends what was started. */
  close(): void;
}

/** Reads and builds in this thread. */
export async function openHere(options: BatchOptions): Promise<BatchSource> {
  const reader = await SampleReader.open(options);
  const builder = await BatchBuilder.open(options, reader);
  return {
    samples: reader.samples.length,
    rows: reader.samples.dataset.rows,
    build: (_, position) => builder.build(position),
    close: () => {},
  };
}

/** The scripts of the threads. */
const SCRIPTS = {
  reader: new URL("./reader_worker.ts", import.meta.url),
  builder: new URL("./builder_worker.ts", import.meta.url),
};

/** The workers of a loader: when one breaks, no batch comes any more from any. */
class Crew {
  readonly #workers: Worker[] = [];
  readonly #lines: { break(error: Error): void }[] = [];

  hire<Question, Answer>(script: URL): Line<Question, Answer> {
    const worker = new Worker(script, { type: "module" });
    const line = new Line<Question, Answer>(worker);
    this.#workers.push(worker);
    this.#lines.push(line);
    worker.onerror = (event) => {
      event.preventDefault();
      this.#break(`a broken worker (${event.message}), expected batches`);
    };
    return line;
  }

  #break(found: string): void {
    const error = new Error(`Cannot load data: found ${found}`);
    for (const line of this.#lines) line.break(error);
  }

  dismiss(): void {
    for (const worker of this.#workers) worker.terminate();
    this.#break("a closed loader, expected an open one");
  }
}

/**
 * Reads in one worker and builds in others.
 *
 * @param options what each of them must know
 * @param threads `builders`, and `ahead`, the number of batches that are asked for at once
 * @param scripts of the workers, other than the product's own in tests only
 * @throws {Error} what a worker met when opening, of the class it was there
 */
export async function openWorkers(
  options: BatchOptions,
  threads: { builders: number; ahead: number },
  scripts: { reader: URL; builder: URL } = SCRIPTS,
): Promise<BatchSource> {
  const crew = new Crew();
  try {
    const channels = Array.from({ length: threads.builders }, () => new MessageChannel());
    const builders = channels.map(() => crew.hire<BuilderQuestion, BuilderAnswer>(scripts.builder));
    const reader = crew.hire<ReaderQuestion, ReaderFacts>(scripts.reader);
    const ports = channels.map(({ port2 }) => port2);
    const lookBehind = (threads.ahead + 1) * options.batchSize;
    const [{ samples, rows }] = await Promise.all([
      reader.ask({ options, lookBehind, ports }, ports),
      ...channels.map(({ port1: port }, i) => builders[i]?.ask({ options, port }, [port])),
    ]);
    return {
      samples,
      rows,
      async build(number, position) {
        const built = await builders[number % builders.length]?.ask({ position });
        if (!built) throw new Error("Cannot build a batch: found no batch, expected one");
        return built;
      },
      close: () => crew.dismiss(),
    };
  } catch (error) {
    crew.dismiss();
    throw error;
  }
}
