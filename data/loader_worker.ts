/**
 * A worker of loader.ts: opens the dataset itself and builds batches on demand. Every request gets
 * exactly one reply, in the order of the requests.
 */
import {
  BatchBuilder,
  type BatchOptions,
  type BatchPosition,
  type BuiltBatch,
} from "./batch_builder.ts";

/** What the loader asks for. */
export type WorkerRequest =
  | { kind: "open"; options: BatchOptions }
  | { kind: "build"; position: BatchPosition };

/** What comes back. */
export type WorkerReply =
  | { kind: "opened"; samples: number; rows: number }
  | { kind: "built"; built: BuiltBatch }
  | { kind: "failed"; name: string; message: string };

/** This worker's end of the line; the project is otherwise checked as a window's code. */
const scope = self as unknown as {
  onmessage: (event: MessageEvent<WorkerRequest>) => void;
  postMessage(message: WorkerReply, transfer: Transferable[]): void;
};

let builder: BatchBuilder | undefined;

async function answer(request: WorkerRequest): Promise<WorkerReply> {
  if (request.kind === "open") {
    builder = await BatchBuilder.open(request.options);
    const { length, dataset } = builder.samples;
    return { kind: "opened", samples: length, rows: dataset.rows };
  }
  if (!builder) throw new Error("Cannot build a batch: found no dataset, expected it opened first");
  return { kind: "built", built: await builder.build(request.position) };
}

/** What is handed over instead of copied. */
function buffers(reply: WorkerReply): Transferable[] {
  if (reply.kind !== "built") return [];
  const { images, inputIds, attentionMask, labels } = reply.built.batch;
  return [images, inputIds, attentionMask, labels].map((array) => array.buffer as ArrayBuffer);
}

async function reply(request: WorkerRequest): Promise<void> {
  let result: WorkerReply;
  try {
    result = await answer(request);
  } catch (error) {
    const { name, message } = error instanceof Error ? error : new Error(String(error));
    result = { kind: "failed", name, message };
  }
  scope.postMessage(result, buffers(result));
}

let last = Promise.resolve();
scope.onmessage = (event) => {
  last = last.then(() => reply(event.data));
};
