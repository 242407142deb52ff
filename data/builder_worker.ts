/**
 * A thread of the loader that builds batches of what reader_worker.ts reads.
 */
import {
  BatchBuilder,
  type BatchPosition,
  type BuilderOptions,
  type BuiltBatch,
} from "./batch_builder.ts";
import { type Endpoint, Line, serve } from "./line.ts";
import type { ReadSample, SamplePosition } from "./sample_reader.ts";

/** What the loader asks for: to get ready, then batches. */
export type BuilderQuestion =
  | { options: BuilderOptions; port: MessagePort }
  | { position: BatchPosition };

/** A batch, or undefined for being ready. */
export type BuilderAnswer = BuiltBatch | undefined;

let opened: BatchBuilder | undefined;

async function answer(question: BuilderQuestion): Promise<BuilderAnswer> {
  if ("options" in question) {
    const line = new Line<SamplePosition, ReadSample[]>(question.port);
    const source = { read: (position: SamplePosition) => line.ask(position) };
    opened = await BatchBuilder.open(question.options, source);
    return undefined;
  }
  if (!opened) throw new Error("Cannot build a batch: found no builder, expected it opened first");
  return await opened.build(question.position);
}

function batchBuffers(built: BuilderAnswer): Transferable[] {
  if (!built?.batch) return [];
  const { images, inputIds, attentionMask, labels } = built.batch;
  return [images, inputIds, attentionMask, labels].map((array) => array.buffer as ArrayBuffer);
}

serve(self as unknown as Endpoint, answer, batchBuffers);
