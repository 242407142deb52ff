/**
 * The thread of the loader that reads: opens the dataset, and hands samples to the threads that
 * build batches (builder_worker.ts) over ports of their own, past the thread of the model, which
 * may be busy.
 */
import { type Endpoint, serve } from "./line.ts";
import {
  type ReaderOptions,
  type ReadSample,
  type SamplePosition,
  SampleReader,
} from "./sample_reader.ts";

/** What the loader asks for, once. */
export interface ReaderQuestion {
  options: ReaderOptions;
  /** See `SampleReader`. */
  lookBehind: number;
  /** One for each builder. */
  ports: MessagePort[];
}

/** What it learns. */
export interface ReaderFacts {
  samples: number;
  rows: number;
}

/** Copies a picture out of the row group that it is a part of, so that it can be handed over. */
function detached(read: ReadSample): ReadSample {
  if ("reason" in read) return read;
  const { image } = read.sample;
  const copy = image instanceof Uint8Array ? image.slice() : { ...image, data: image.data.slice() };
  return { ...read, sample: { ...read.sample, image: copy } };
}

function pictureBuffers(all: ReadSample[]): Transferable[] {
  return all.flatMap((read) => {
    if ("reason" in read) return [];
    const { image } = read.sample;
    const { buffer } = image instanceof Uint8Array ? image : image.data;
    return [buffer as ArrayBuffer];
  });
}

async function answer({ options, lookBehind, ports }: ReaderQuestion): Promise<ReaderFacts> {
  const reader = await SampleReader.open(options, lookBehind);
  const read = async (position: SamplePosition) => (await reader.read(position)).map(detached);
  for (const port of ports) serve(port, read, pictureBuffers);
  return { samples: reader.samples.length, rows: reader.samples.dataset.rows };
}

serve(self as unknown as Endpoint, answer);
