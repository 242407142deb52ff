/**
 * Which row groups are in use at a place in the stream of samples, and which one comes next. Tells
 * the dataset of sample_reader.ts what to keep in memory.
 */
import type { RowGroup } from "./dataset.ts";

/** Groups to keep, and one to read ahead if there is another one to come in this epoch. */
export interface GroupUse {
  readonly held: number[];
  readonly next: number | undefined;
}

/** Where in the stream each group's first and last samples are. */
interface Uses {
  readonly epoch: number;
  readonly first: Float64Array;
  readonly last: Float64Array;
}

/** Follows the reading of epochs whose orders it is told. Positions go on through all epochs. */
export class GroupWindow {
  /** Number of the first sample of each group. (groups) */
  readonly #starts: Uint32Array;
  readonly #samples: number;
  readonly #lookBehind: number;
  #uses: Uses[] = [];
  /** End of the furthest positions read. */
  #front = 0;

  /**
   * Starts at the beginning of the first epoch.
   *
   * @param starts number of the first sample of each row, and in the end the number of all
   * @param groups all rows in groups
   * @param lookBehind how many positions behind the furthest one may still be read
   */
  constructor(starts: Uint32Array, groups: readonly RowGroup[], lookBehind: number) {
    this.#starts = Uint32Array.from(groups, ({ start }) => starts[start] ?? 0);
    this.#samples = starts.at(-1) ?? 0;
    this.#lookBehind = lookBehind;
  }

  /** Takes in the order of an epoch; of others only the one before is remembered. */
  add(epoch: number, order: Uint32Array): void {
    const first = new Float64Array(this.#starts.length).fill(Infinity);
    const last = new Float64Array(this.#starts.length).fill(-Infinity);
    const origin = epoch * this.#samples;
    order.forEach((sample, at) => {
      const group = this.#groupOf(sample);
      if (first[group] === Infinity) first[group] = origin + at;
      last[group] = origin + at;
    });
    this.#uses = [...this.#uses.filter((uses) => uses.epoch === epoch - 1), { epoch, first, last }];
  }

  /** The group of a sample; of groups without samples, which begin at the same number, the last. */
  #groupOf(sample: number): number {
    let low = 0; // the group's number is in [low, high)
    let high = this.#starts.length;
    while (high - low > 1) {
      const middle = (low + high) >> 1;
      if ((this.#starts[middle] ?? 0) <= sample) low = middle;
      else high = middle;
    }
    return low;
  }

  /** What is in use when `count` samples from `start` on are read in an epoch that was added. */
  at(epoch: number, start: number, count: number): GroupUse {
    const from = epoch * this.#samples + start;
    const isJump = from + count < this.#front - this.#lookBehind;
    this.#front = isJump ? from + count : Math.max(this.#front, from + count);
    const oldest = Math.min(from, this.#front - this.#lookBehind);
    const held = new Set<number>();
    let next: number | undefined;
    let nearest = Infinity;
    for (const { first, last } of this.#uses) {
      first.forEach((position, group) => {
        if (position >= this.#front && position < nearest) {
          nearest = position;
          next = group;
        } else if (position < this.#front && (last[group] ?? 0) >= oldest) held.add(group);
      });
    }
    return { held: [...held], next };
  }
}
