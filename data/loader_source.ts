/**
 * Where the loader gets its batches from: this thread, or a worker. Both build the same ones.
 */
import { BatchBuilder, type BatchOptions } from "./batch_builder.ts";
import type { BatchPosition, BuiltBatch } from "./batch_builder.ts";
import type { WorkerReply, WorkerRequest } from "./loader_worker.ts";

/** Something that builds batches by number. */
export interface BatchSource {
  /** Number of samples of the dataset. */
  readonly samples: number;
  /** Number of rows of the dataset. */
  readonly rows: number;
  /** Builds a batch by its number. */
  build(position: BatchPosition): Promise<BuiltBatch>;
  /** Ends what was started. */
  close(): void;
}

/** Builds in this thread. */
export async function openHere(options: BatchOptions): Promise<BatchSource> {
  const builder = await BatchBuilder.open(options);
  return {
    samples: builder.samples.length,
    rows: builder.samples.dataset.rows,
    build: (position) => builder.build(position),
    close: () => {},
  };
}

interface Waiting {
  resolve(reply: WorkerReply): void;
  reject(error: Error): void;
}

/** The error that a worker met, of the same class. */
function revive({ name, message }: { name: string; message: string }): Error {
  if (name === "TypeError") return new TypeError(message);
  if (name === "RangeError") return new RangeError(message);
  if (name === "SyntaxError") return new SyntaxError(message);
  return new Error(message);
}

/** One worker and the requests that it has not answered yet. */
class WorkerLine {
  readonly #worker: Worker;
  readonly #waiting: Waiting[] = [];
  #broken: Error | undefined;

  constructor() {
    this.#worker = new Worker(new URL("./loader_worker.ts", import.meta.url), { type: "module" });
    this.#worker.onmessage = (event: MessageEvent<WorkerReply>) => {
      const waiting = this.#waiting.shift();
      if (event.data.kind === "failed") waiting?.reject(revive(event.data));
      else waiting?.resolve(event.data);
    };
    this.#worker.onerror = (event) => {
      event.preventDefault();
      this.#break(
        new Error(`Cannot load data: found a broken worker (${event.message}), expected batches`),
      );
    };
  }

  #break(error: Error): void {
    this.#broken ??= error;
    for (const waiting of this.#waiting.splice(0)) waiting.reject(error);
  }

  ask(request: WorkerRequest): Promise<WorkerReply> {
    return new Promise((resolve, reject) => {
      if (this.#broken) return reject(this.#broken);
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(request);
    });
  }

  close(): void {
    this.#worker.terminate();
    this.#break(new Error("Cannot load data: found a closed loader, expected an open one"));
  }
}

/**
 * Builds in a worker.
 *
 * @throws {Error} what the worker met when opening, of the class it was there
 */
export async function openWorker(options: BatchOptions): Promise<BatchSource> {
  const line = new WorkerLine();
  try {
    const opened = await line.ask({ kind: "open", options });
    if (opened.kind !== "opened") throw new Error(`Cannot open worker: found "${opened.kind}"`);
    return {
      samples: opened.samples,
      rows: opened.rows,
      async build(position) {
        const reply = await line.ask({ kind: "build", position });
        if (reply.kind !== "built") throw new Error(`Cannot build batch: found "${reply.kind}"`);
        return reply.built;
      },
      close: () => line.close(),
    };
  } catch (error) {
    line.close();
    throw error;
  }
}
