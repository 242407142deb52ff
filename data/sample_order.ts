/**
 * The order of an epoch's samples: what the sample reader walks along. It depends on nothing but
 * its arguments, so that a place in the stream is a seed, an epoch and an index.
 *
 * A dataset that fits the shuffle buffer is shuffled as a whole. A larger one through a sliding
 * window, so that each row group is read once an epoch: the groups are shuffled and laid end to
 * end, and every sample lands at a random distance, up to the buffer's size, behind its group's
 * beginning. Read from one end to the other, the groups with samples still to come are never more
 * than the buffer's bytes and one group, and one group after the other comes and goes. Ours; what
 * is known as a shuffle buffer draws samples in the order in which it happens to be filled, and
 * would have to be filled again to go on in mid-epoch.
 */
import type { DatasetPart, RowGroup } from "./dataset.ts";
import { permutation, Random } from "./random.ts";

/** What the order of samples depends on. */
export interface OrderedSamples {
  /** Number of the first sample of each row, and in the end the number of all. (rows + 1) */
  readonly starts: Uint32Array;
  /** All rows in groups, in order; absent where any row is read as quickly alone. */
  readonly groups?: readonly RowGroup[] | undefined;
  /** All rows by source, in order; absent where there is one source. */
  readonly parts?: readonly DatasetPart[] | undefined;
  /** Each sample's kind, from 0; absent where all are alike. (samples) */
  readonly kinds?: Uint32Array | undefined;
}

/** Which order. */
export interface OrderChoice {
  /** Of the shuffling. */
  readonly seed: number;
  /** From 0. */
  readonly epoch: number;
  /** Bytes of row groups to shuffle among. */
  readonly bufferBytes: number;
  /** How far kinds are made equally frequent: n samples of a kind count as n^(1 - kindBalance). Default 0. */
  readonly kindBalance?: number;
}

/** Whether all of a dataset can be in memory at once. */
export function fitsBuffer({ groups = [] }: OrderedSamples, bufferBytes: number): boolean {
  return groups.reduce((sum, { bytes }) => sum + bytes, 0) <= bufferBytes;
}

/**
 * The numbers of an epoch's samples in the order in which they come: as many as the dataset has.
 *
 * Without weights each sample comes once. With them each part comes as often as its weight says,
 * in whole repetitions of all its samples and a random choice of them for the rest. Within a part,
 * `kindBalance` does the same with the kinds of its samples (Mahajan et al. 2018, "Exploring the
 * Limits of Weakly Supervised Pretraining", section 2.2, with 0.5).
 *
 * @throws {RangeError} when a part has no weight though another has, or a weight cannot be met
 */
export function sampleOrder(source: OrderedSamples, choice: OrderChoice): Uint32Array {
  const { seed, epoch, bufferBytes } = choice;
  const drawn = drawSamples(source, choice);
  const random = new Random(seed, epoch);
  if (fitsBuffer(source, bufferBytes)) {
    const order = permutation(drawn.length, random);
    return order.map((slot) => drawn[slot] ?? 0);
  }
  const offsets = groupOffsets(source, random);
  const reach = bufferBytes + offsets.totalBytes;
  const keys = new Float64Array(drawn.length); // (samples)
  drawn.forEach((sample, slot) => {
    const distance = random.uint32() / 0x100000000 * bufferBytes;
    keys[slot] = ((offsets.bySample[sample] ?? 0) + distance) / reach;
  });
  return sortedSlots(keys).map((slot) => drawn[slot] ?? 0);
}

/** Where each sample's group begins, in bytes, when the groups are laid end to end at random. */
function groupOffsets({ starts, groups = [] }: OrderedSamples, random: Random) {
  const bySample = new Float64Array(starts.at(-1) ?? 0); // (samples)
  let totalBytes = 0;
  for (const number of permutation(groups.length, random)) {
    const group = groups[number];
    if (!group) continue;
    bySample.fill(totalBytes, starts[group.start], starts[group.start + group.rows]);
    totalBytes += group.bytes;
  }
  return { bySample, totalBytes };
}

/**
 * The slots in the order of their keys, which are from 0 to less than 1. Key and slot are packed
 * into the 53 whole bits of a double, for typed arrays sort ten times as fast without a comparison
 * of one's own: the whole order of 2 million samples takes 0.7 s on one core.
 */
function sortedSlots(keys: Float64Array): Uint32Array {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(1, keys.length)));
  const levels = 2 ** 53 / slots;
  const packed = keys.map((key, slot) => Math.floor(key * levels) * slots + slot);
  return Uint32Array.from(packed.sort(), (value) => value % slots);
}

/** The samples that an epoch is made of, in no random order yet. */
function drawSamples(source: OrderedSamples, choice: OrderChoice): Uint32Array {
  const { seed, epoch, kindBalance = 0 } = choice;
  const drawn = new Uint32Array(source.starts.at(-1) ?? 0);
  let filled = 0;
  for (const { first, length, count, number } of shares(source)) {
    const samples = Uint32Array.from({ length }, (_, i) => first + i);
    const kinds = kindBalance > 0 ? byKind(samples, source.kinds) : [samples];
    const counts = apportion(kinds.map((kind) => kind.length ** (1 - kindBalance)), count);
    kinds.forEach((kind, at) => {
      const key = kinds.length > 1 ? [number, at] : [number];
      const taken = repeated(kind, counts[at] ?? 0, new Random(seed, epoch, ...key));
      drawn.set(taken, filled);
      filled += taken.length;
    });
  }
  return drawn;
}

/** The samples of each source, and how many of them an epoch takes. */
function shares(source: OrderedSamples) {
  const { starts, parts = [] } = source;
  const total = starts.at(-1) ?? 0;
  if (parts.every(({ weight }) => weight === undefined)) {
    return [{ first: 0, length: total, count: total, number: 0 }];
  }
  const counts = sampleCounts(source);
  return parts.map(({ start, rows }, number) => {
    const first = starts[start] ?? 0;
    const length = (starts[start + rows] ?? 0) - first;
    return { first, length, count: counts[number] ?? 0, number };
  }).filter(({ count }) => count > 0);
}

function byKind(samples: Uint32Array, kinds: Uint32Array | undefined): Uint32Array[] {
  const groups = Map.groupBy(samples, (sample) => kinds?.[sample] ?? 0);
  return [...groups.values()].map((group) => Uint32Array.from(group));
}

/** `count` samples: all of them as often as they go into it whole, and for the rest a random choice. */
function repeated(samples: Uint32Array, count: number, random: Random): Uint32Array {
  const { length } = samples;
  const whole = count - count % length;
  const taken = Uint32Array.from({ length: count }, (_, i) => samples[i % length] ?? 0);
  if (whole === count) return taken;
  const rest = permutation(length, random).subarray(0, count - whole);
  taken.set(rest.map((i) => samples[i] ?? 0), whole);
  return taken;
}

/**
 * How many samples of an epoch come from each part: its share, rounded so that the sum is the
 * number of all samples.
 *
 * @throws {RangeError} as `sampleOrder()`
 */
export function sampleCounts({ starts, parts = [] }: OrderedSamples): number[] {
  const total = starts.at(-1) ?? 0;
  const weights = parts.map(({ name, start, rows, weight = NaN }) => {
    const length = (starts[start + rows] ?? 0) - (starts[start] ?? 0);
    if (!(weight >= 0 && weight < Infinity) || length === 0 && weight > 0) {
      throw new RangeError(
        `Cannot mix datasets: found a weight of "${weight}" for "${name}" with ${length} samples, ` +
          `expected a number from 0 on for every source, and 0 for one without samples`,
      );
    }
    return weight;
  });
  const sum = weights.reduce((a, b) => a + b, 0);
  if (sum === 0) {
    throw new RangeError("Cannot mix datasets: found only weights of 0, expected one above");
  }
  return apportion(weights, total);
}

/** Whole numbers in the proportion of the weights, rounded so that their sum is `total`. */
function apportion(weights: readonly number[], total: number): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  const exact = weights.map((weight) => total * weight / sum);
  const counts = exact.map(Math.floor);
  const missing = total - counts.reduce((a, b) => a + b, 0);
  const byRemainder = exact.map((value, part) => ({ part, remainder: value - Math.floor(value) }))
    .sort((a, b) => b.remainder - a.remainder);
  for (const { part } of byRemainder.slice(0, missing)) counts[part] = (counts[part] ?? 0) + 1;
  return counts;
}
