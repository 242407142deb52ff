/**
 * Counts whole numbers, such as lengths, and says how they are spread, in memory that grows with
 * their variety only.
 *
 * Under dataset_survey.ts. Ours.
 */

/** Neighbouring values together. */
export interface Bin {
  readonly from: number;
  /** The last value in it; Infinity where it holds all from `from` on. */
  readonly to: number;
  readonly count: number;
  /** How many of them are above the limit. */
  readonly over: number;
}

/** How values are spread; NaN where there are none. */
export interface Spread {
  readonly least: number;
  readonly median: number;
  readonly mean: number;
  readonly most: number;
}

/** Beyond this share of the values, far ones share one bin. */
const MAIN_SHARE = 0.99;

/** 1, 2, 5, 10, 20, …: the least that is not below `width`. */
function roundUp(width: number): number {
  const power = 10 ** Math.floor(Math.log10(Math.max(1, width)));
  return [1, 2, 5, 10].map((step) => step * power).find((step) => step >= width) ?? width;
}

/** Whole numbers, counted. */
export class Tally {
  readonly #counts = new Map<number, number>();
  #sum = 0;
  #count = 0;

  /** How many values there are. */
  get count(): number {
    return this.#count;
  }

  /** Takes one value. */
  add(value: number): void {
    this.#counts.set(value, (this.#counts.get(value) ?? 0) + 1);
    this.#count++;
    this.#sum += value;
  }

  #sorted(): [number, number][] {
    return [...this.#counts].sort(([a], [b]) => a - b);
  }

  /** How many values are above `limit`. */
  above(limit: number): number {
    return this.#sorted().reduce((sum, [value, count]) => value > limit ? sum + count : sum, 0);
  }

  /** The least value that at least that share of all does not exceed; NaN where there is none. */
  quantile(share: number): number {
    let left = share * this.#count;
    for (const [value, count] of this.#sorted()) if ((left -= count) <= 0) return value;
    return NaN;
  }

  /** How the values are spread. */
  get spread(): Spread {
    return {
      least: this.quantile(0),
      median: this.quantile(0.5),
      mean: this.#sum / this.#count,
      most: this.quantile(1),
    };
  }

  /**
   * The values in bins of the same width, without gaps; a few that lie far beyond the others are
   * together in the last one.
   *
   * @param most bins, but for one
   * @param limit what bins count `over` by
   */
  bins(most: number, limit: number): Bin[] {
    if (this.#count === 0) return [];
    const { least, most: last } = this.spread;
    const main = this.quantile(MAIN_SHARE);
    const end = last - least > 1.5 * (main - least) ? main : last;
    const width = roundUp((end - least + 1) / most);
    const start = Math.floor(least / width) * width;
    const number = Math.floor((end - start) / width) + 1;
    const isOpen = last >= start + number * width;
    const bins = Array.from({ length: isOpen ? number + 1 : number }, (_, i) => {
      const from = start + i * width;
      return { from, to: i === number ? Infinity : from + width - 1, count: 0, over: 0 };
    });
    for (const [value, count] of this.#counts) {
      const bin = bins[Math.min(bins.length - 1, Math.floor((value - start) / width))];
      if (!bin) continue;
      bin.count += count;
      if (value > limit) bin.over += count;
    }
    return bins;
  }
}
