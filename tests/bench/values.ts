/**
 * Random inputs of the benches: the same numbers for the same shape every time, so that checks can make them anew.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import {
  type Activation,
  elements,
  persistent,
  type Tensor,
} from "../../shaders/runtime/tensor.ts";

/** Uniform numbers with mean 0 and the given deviation, by xorshift32. */
export function randomArray(length: number, deviation = 1): Float32Array<ArrayBuffer> {
  const values = new Float32Array(length);
  const width = Math.sqrt(12) * deviation;
  let state = 0x9e3779b9 ^ length;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    values[i] = ((state >>> 0) / 2 ** 32 - 0.5) * width;
  }
  return values;
}

/** What a random tensor is. */
export interface RandomOptions {
  readonly deviation?: number;
  /** "f16": numbers that f16 holds. */
  readonly dtype?: Activation;
}

/** The elements of a random tensor of `shape`. */
export function randomOf(
  shape: readonly number[],
  { deviation, dtype = "f32" }: RandomOptions = {},
): Float32Array<ArrayBuffer> {
  const values = randomArray(elements(shape), deviation);
  return dtype === "f16" ? Float32Array.from(new Float16Array(values)) : values;
}

/** A random tensor on the device. */
export function randomTensor(
  device: Device,
  shape: readonly number[],
  options: RandomOptions = {},
): Tensor {
  const { dtype = "f32" } = options;
  const values = randomOf(shape, options);
  const data = dtype === "f16" ? new Float16Array(values) : values;
  return persistent(device, "random input", shape, dtype, data);
}

/** Half the distance of two f16 numbers near 1, relatively: the error of storing a number as f16. */
const HALF_ROUNDING = 2 ** -11;
/** The same for the smallest f16 numbers, absolutely. */
const HALF_UNDERFLOW = 2 ** -25;

/** What storing numbers of these sizes adds to their error bounds: nothing in f32, whose rounding the bounds hold already. */
export function storageError(dtype: Activation, sizes: Float64Array): Float64Array {
  return sizes.map((size) => dtype === "f16" ? HALF_ROUNDING * Math.abs(size) + HALF_UNDERFLOW : 0);
}
