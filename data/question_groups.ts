/**
 * Samples in groups of similar length, their pictures decoded: what an evaluation asks at a time. Between samples.ts and
 * eval.ts. Ours.
 */
import type { ReadySample } from "./collator.ts";
import type { ImageProcessor } from "./processor.ts";
import type { Samples } from "./samples.ts";

/** How to group. */
export interface GroupOptions {
  readonly batchSize: number;
  readonly processor: ImageProcessor;
  /** What groups are similar in, such as the prompt's number of tokens. */
  readonly lengthOf: (sample: ReadySample) => number;
}

/** Batches' worth of samples that are sorted by length together. */
const WINDOW_BATCHES = 16;

/**
 * Samples of similar lengths, `batchSize` at a time; only the last group may be smaller.
 *
 * @param indices which samples
 * @throws {SyntaxError} where a picture cannot be decoded
 */
export async function* questionGroups(
  samples: Samples,
  indices: readonly number[],
  { batchSize, processor, lengthOf }: GroupOptions,
): AsyncGenerator<ReadySample[]> {
  const windowSize = WINDOW_BATCHES * batchSize;
  for (let start = 0; start < indices.length; start += windowSize) {
    const window: { sample: ReadySample; length: number }[] = [];
    for (const index of indices.slice(start, start + windowSize)) {
      const sample = await samples.at(index);
      const image = await processor.square(sample.image, sample.imageName);
      const ready = { ...sample, image };
      window.push({ sample: ready, length: lengthOf(ready) });
    }
    window.sort((a, b) => a.length - b.length);
    const sorted = window.map(({ sample }) => sample);
    for (let at = 0; at < sorted.length; at += batchSize) yield sorted.slice(at, at + batchSize);
  }
}
