/**
 * Seeded random numbers: the only source of chance in the data room (shuffling, drawn shapes).
 *
 * Source: xoshiro128** 1.1 by Blackman and Vigna ("Scrambled Linear Pseudorandom Number
 * Generators", 2021), its four words of state filled by SplitMix32.
 */

/** The finalizer of SplitMix32: spreads every bit of a 32-bit word over all others. */
function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x21f0aaad);
  word = Math.imul(word ^ (word >>> 15), 0x735a2d97);
  return (word ^ (word >>> 15)) >>> 0;
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}

/**
 * A stream of random numbers that is the same on every machine for the same key.
 *
 * The key is any list of whole numbers, such as a seed and an epoch: different keys give
 * unrelated streams.
 *
 * @throws {RangeError} when a number of the key is not a whole number from 0 to 2^32 - 1
 */
export class Random {
  #a = 0;
  #b = 0;
  #c = 0;
  #d = 0;

  /** Starts the stream of a key, as described above. */
  constructor(...key: number[]) {
    let state = 0;
    for (const part of key) {
      if (!Number.isInteger(part) || part < 0 || part > 0xffffffff) {
        throw new RangeError(
          `Cannot seed random numbers: found "${part}", expected a whole number from 0 to 2^32 - 1`,
        );
      }
      state = mix((mix(state + 0x9e3779b9) + part) >>> 0);
    }
    const next = () => mix(state = (state + 0x9e3779b9) >>> 0);
    this.#a = next();
    this.#b = next();
    this.#c = next();
    this.#d = next() | 1; // the all-zero state would stay zero for ever
  }

  /** The next whole number from 0 to 2^32 - 1. */
  uint32(): number {
    const result = Math.imul(rotateLeft(Math.imul(this.#b, 5), 7), 9) >>> 0;
    const shifted = this.#b << 9;
    this.#c ^= this.#a;
    this.#d ^= this.#b;
    this.#b ^= this.#c;
    this.#a ^= this.#d;
    this.#c ^= shifted;
    this.#d = rotateLeft(this.#d, 11);
    return result;
  }

  /** A whole number from 0 to `bound` - 1, each equally likely (rejection, no modulo bias). */
  below(bound: number): number {
    if (!Number.isInteger(bound) || bound < 1 || bound > 0xffffffff) {
      throw new RangeError(
        `Cannot draw a random number: found bound "${bound}", expected a whole number from 1 to 2^32 - 1`,
      );
    }
    const limit = 0x100000000 - (0x100000000 % bound);
    let word = this.uint32();
    while (word >= limit) word = this.uint32();
    return word % bound;
  }

  /** A number from `low` (included) to `high` (excluded), in steps of 2^-32 of the span. */
  between(low: number, high: number): number {
    return low + (high - low) * (this.uint32() / 0x100000000);
  }
}

/**
 * The numbers 0 to `length` - 1 in random order (Fisher-Yates).
 *
 * @param length how many numbers
 * @param random the stream to draw from
 */
export function permutation(length: number, random: Random): Uint32Array {
  const order = Uint32Array.from({ length }, (_, i) => i);
  for (let last = length - 1; last > 0; last--) {
    const pick = random.below(last + 1);
    const held = order[last] ?? 0;
    order[last] = order[pick] ?? 0;
    order[pick] = held;
  }
  return order;
}
