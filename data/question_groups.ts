/**
 * Samples in groups of similar length, their pictures decoded: what an evaluation asks at a time. Between samples.ts and
 * eval.ts. Ours.
 */
import { reasonAt, type SkippedRow } from "./bad_rows.ts";
import type { ReadySample } from "./collator.ts";
import type { ImageProcessor } from "./processor.ts";
import { rowName } from "./dataset.ts";
import { HubError } from "./hub.ts";
import type { Samples } from "./samples.ts";

/** How to group. */
export interface GroupOptions {
  readonly batchSize: number;
  readonly processor: ImageProcessor;
  /** What groups are similar in, such as the prompt's number of tokens. */
  readonly lengthOf: (sample: ReadySample) => number;
  /** Is told of every sample that cannot be read. */
  readonly onSkipped: (skipped: SkippedRow) => void;
  /** Ends the reading, when it is aborted, with its reason. */
  readonly signal?: AbortSignal | undefined;
}

/** Batches' worth of samples that are sorted by length together. */
const WINDOW_BATCHES = 16;

/**
 * Samples of similar lengths, `batchSize` at a time; only the last group may be smaller. Those that cannot be read are left
 * out.
 *
 * @param indices which samples
 * @throws {HubError} where the Hub cannot be reached
 */
export async function* questionGroups(
  samples: Samples,
  indices: readonly number[],
  { batchSize, processor, lengthOf, onSkipped, signal }: GroupOptions,
): AsyncGenerator<ReadySample[]> {
  const windowSize = WINDOW_BATCHES * batchSize;
  for (let start = 0; start < indices.length; start += windowSize) {
    const window: { sample: ReadySample; length: number }[] = [];
    for (const index of indices.slice(start, start + windowSize)) {
      signal?.throwIfAborted();
      try {
        const sample = await samples.at(index);
        const image = await processor.square(sample.image, sample.imageName);
        const ready = { ...sample, image };
        window.push({ sample: ready, length: lengthOf(ready) });
      } catch (error) {
        if (error instanceof HubError || !(error instanceof Error)) throw error;
        const { row } = samples.locate(index);
        const imageName = rowName(samples.dataset, row);
        onSkipped({ row, imageName, reason: reasonAt(imageName, error) });
      }
    }
    window.sort((a, b) => a.length - b.length);
    const sorted = window.map(({ sample }) => sample);
    for (let at = 0; at < sorted.length; at += batchSize) yield sorted.slice(at, at + batchSize);
  }
}

/** A group with its last sample repeated up to `size`. */
export function filledUp<T>(group: readonly T[], size: number): T[] {
  return [...group, ...Array.from({ length: size - group.length }, () => group.slice(-1)).flat()];
}
