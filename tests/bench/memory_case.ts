/**
 * What the cases of memory_cases.ts are made of: inputs that are freed together, and ops counted by passes over the memory.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import {
  type Activation,
  elementBytes,
  elements,
  type Parameter,
  persistent,
  type Tensor,
} from "../../shaders/runtime/tensor.ts";
import type { KernelCase, Work } from "./kernels.ts";
import { alias, type Build } from "./timing.ts";
import { type RandomOptions, randomTensor } from "./values.ts";

export const FORWARD = "forward";
export const BACKWARD = "backward";

/** Makes a case's inputs and remembers them, to be freed. */
export class Inputs {
  readonly tensors: Tensor[] = [];
  constructor(readonly device: Device, readonly dtype: Activation) {}

  /** Random numbers of deviation 1, or of another. */
  f32(shape: readonly number[], deviation = 1): Tensor {
    return this.#random(shape, { deviation });
  }

  /** Random numbers of deviation 1 in the type of activations. */
  activation(shape: readonly number[]): Tensor {
    return this.#random(shape, { dtype: this.dtype });
  }

  #random(shape: readonly number[], options: RandomOptions): Tensor {
    const tensor = randomTensor(this.device, shape, options);
    this.tensors.push(tensor);
    return tensor;
  }

  /** Zeros. */
  zeros(shape: readonly number[], dtype: Activation = "f32"): Tensor {
    const tensor = persistent(this.device, "zeros", shape, dtype);
    this.tensors.push(tensor);
    return tensor;
  }

  /** Given numbers. */
  given(shape: readonly number[], values: Float32Array<ArrayBuffer>): Tensor {
    const tensor = persistent(this.device, "input", shape, "f32", values);
    this.tensors.push(tensor);
    return tensor;
  }

  /** Given whole numbers. */
  u32(values: Uint32Array<ArrayBuffer>, shape: readonly number[] = [values.length]): Tensor {
    const tensor = persistent(this.device, "input", shape, "u32", values);
    this.tensors.push(tensor);
    return tensor;
  }

  /** Random numbers with a gradient. */
  parameter(shape: readonly number[], deviation = 1): Parameter {
    const half = this.dtype === "f16"
      ? this.#random(shape, { deviation, dtype: "f16" })
      : undefined;
    return { value: this.f32(shape, deviation), gradient: this.zeros(shape), half };
  }
}

/** A case without its name. */
export interface Definition {
  readonly shape: readonly number[];
  /** Passes over the memory by part, in bytes, and flops where they count. */
  readonly work: Readonly<Record<string, { bytes: number; flops?: number }>>;
  readonly make: (inputs: Inputs) => Build;
  readonly check: (outputs: readonly Float32Array[]) => void;
}

/** A case of the memory section. */
export function memoryCase(
  name: string,
  dtype: Activation,
  { shape, work, make, check }: Definition,
): KernelCase {
  const parts = Object.fromEntries(
    Object.entries(work).map(([part, { bytes, flops = 0 }]): [string, Work] => [
      part,
      { shape: shape.join(" x "), flops, bytes },
    ]),
  );
  return {
    name,
    section: "memory",
    dtype,
    prepare: (device) => {
      const inputs = new Inputs(device, dtype);
      const build = make(inputs);
      return Promise.resolve({ subject: { build, check }, parts, tensors: inputs.tensors });
    },
  };
}

/** Bytes of `count` passes over a tensor of `shape`. */
export function passes(count: number, shape: readonly number[], dtype: Activation = "f32"): number {
  return elementBytes(dtype) * count * elements(shape);
}

/** A differentiable op of one input. */
export function unary(
  inputs: Inputs,
  { x, y, op, wide = false }: {
    x: readonly number[];
    y: readonly number[];
    op: (rec: Recorder, x: Tensor) => Tensor;
    /** x is f32 in mixed precision too: norms read the residual stream. */
    wide?: boolean;
  },
): Build {
  const values = wide ? inputs.f32(x) : inputs.activation(x);
  const dy = inputs.activation(y);
  return (rec, mark) => {
    mark(FORWARD);
    const result = op(rec, alias(values, { gradient: true }));
    mark(BACKWARD);
    rec.backprop(result, dy);
    return [result];
  };
}
