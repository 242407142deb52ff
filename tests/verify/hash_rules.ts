/**
 * Weights and inputs out of an integer hash, so that a large golden case needs no weight file.
 *
 * All integers are uint32 with wraparound. The rules are those of the golden files' README; fnv1a32 is Fowler, Noll and
 * Vo's hash of the UTF-8 bytes.
 */
import type { ParameterShape } from "../../model/checkpoint.ts";
import type { VLMConfig } from "../../model/config.ts";
import { type HostBatch, IGNORED_LABEL } from "../../model/inputs.ts";

/** Text positions at the start of a row whose labels do not count. */
const UNLABELLED = 40;

/** Mixes the bits of a uint32. */
export function mix(x: number): number {
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The 32-bit FNV-1a hash of a name. */
export function fnv1a32(name: string): number {
  let hash = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(name)) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}

/** A number from -1 up to 1 for every index: `seed` is fnv1a32(name). */
export function unit(seed: number, i: number): number {
  return (mix((mix(i) + seed) | 0) >>> 8) / 8388608 - 1;
}

/** All values of a parameter. */
export function hashedWeights({ name, shape }: ParameterShape): Float32Array<ArrayBuffer> {
  const seed = fnv1a32(name);
  const values = new Float32Array(shape.reduce((product, side) => product * side, 1));
  const { offset, scale } = rangeOf(name, shape);
  for (let i = 0; i < values.length; i++) values[i] = offset + scale * unit(seed, i);
  return values;
}

function rangeOf(name: string, shape: readonly number[]): { offset: number; scale: number } {
  if (name.includes("token_embedding")) return { offset: 0, scale: 0.125 };
  if (name.includes("position_embedding")) return { offset: 0, scale: 0.5 };
  if (name.endsWith("bias")) return { offset: 0, scale: 0.125 };
  if (shape.length === 1) return { offset: 1, scale: 0.25 };
  const inputs = shape.slice(1).reduce((product, side) => product * side, 1);
  return { offset: 0, scale: Math.fround(Math.sqrt(3 / inputs)) };
}

/** The batch of `size` rows of `length` text tokens. */
export function hashedBatch(config: VLMConfig, size: number, length: number): HostBatch {
  const inputIds = new Int32Array(size * length);
  const attentionMask = new Int32Array(size * length);
  const labels = new Int32Array(size * length).fill(IGNORED_LABEL);
  for (let b = 0; b < size; b++) {
    for (let t = 13 + 7 * b; t < length; t++) {
      inputIds[b * length + t] = mix(b * length + t + 777) % config.lm_vocab_size;
      attentionMask[b * length + t] = 1;
    }
    for (let t = UNLABELLED; t < length - 1; t++) {
      labels[b * length + t] = inputIds[b * length + t + 1] ?? IGNORED_LABEL;
    }
  }
  const images = Float32Array.from(
    { length: size * 3 * config.vit_img_size ** 2 },
    (_, i) => (mix(i + 12345) >>> 24) / 255,
  );
  return { size, length, inputIds, attentionMask, labels, images };
}
