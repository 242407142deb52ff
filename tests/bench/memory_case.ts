/**
 * What the cases of memory_cases.ts are made of: inputs that are freed together, and ops counted by passes over the memory.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import { elements, type Parameter, persistent, type Tensor } from "../../shaders/runtime/tensor.ts";
import type { KernelCase, Work } from "./kernels.ts";
import { alias, type Build, randomOf } from "./timing.ts";

export const FORWARD = "forward";
export const BACKWARD = "backward";

/** Makes a case's inputs and remembers them, to be freed. */
export class Inputs {
  readonly tensors: Tensor[] = [];
  constructor(readonly device: Device) {}

  /** Random numbers of deviation 1, or of another. */
  f32(shape: readonly number[], deviation?: number): Tensor {
    const tensor = persistent(this.device, "input", shape, "f32", randomOf(shape, deviation));
    this.tensors.push(tensor);
    return tensor;
  }

  /** Zeros. */
  zeros(shape: readonly number[]): Tensor {
    const tensor = persistent(this.device, "zeros", shape);
    this.tensors.push(tensor);
    return tensor;
  }

  /** Given numbers. */
  u32(values: Uint32Array<ArrayBuffer>, shape: readonly number[] = [values.length]): Tensor {
    const tensor = persistent(this.device, "input", shape, "u32", values);
    this.tensors.push(tensor);
    return tensor;
  }

  /** Random numbers with a gradient. */
  parameter(shape: readonly number[], deviation?: number): Parameter {
    return { value: this.f32(shape, deviation), gradient: this.zeros(shape) };
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
export function memoryCase(name: string, { shape, work, make, check }: Definition): KernelCase {
  const parts = Object.fromEntries(
    Object.entries(work).map(([part, { bytes, flops = 0 }]): [string, Work] => [
      part,
      { shape: shape.join(" x "), flops, bytes },
    ]),
  );
  return {
    name,
    section: "memory",
    prepare: (device) => {
      const inputs = new Inputs(device);
      const build = make(inputs);
      return Promise.resolve({ subject: { build, check }, parts, tensors: inputs.tensors });
    },
  };
}

/** Bytes of `passes` over a tensor of `shape`. */
export function passes(count: number, shape: readonly number[]): number {
  return 4 * count * elements(shape);
}

/** A differentiable op of one input. */
export function unary(
  inputs: Inputs,
  { x, y, op }: {
    x: readonly number[];
    y: readonly number[];
    op: (rec: Recorder, x: Tensor) => Tensor;
  },
): Build {
  const [values, dy] = [inputs.f32(x), inputs.f32(y)];
  return (rec, mark) => {
    mark(FORWARD);
    const result = op(rec, alias(values, { gradient: true }));
    mark(BACKWARD);
    rec.backprop(result, dy);
    return [result];
  };
}
