/**
 * AdamW over flat buffers: what turns gradients into new parameters.
 *
 * Source: Loshchilov and Hutter 2019, algorithm 2, as torch.optim.AdamW computes it.
 */
import ADAMW_MIXED_WGSL from "./adamw_mixed.wgsl" with { type: "text" };
import ADAMW_WGSL from "./adamw.wgsl" with { type: "text" };
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import { kernel } from "./runtime/kernel.ts";
import type { Device } from "./runtime/device.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** The kernels for a format of the f32 tensors, and the f16 copy's. */
function declare(format: Format, half: Format) {
  const tensors = [
    operand("gradient", 1, format),
    ...["value", "m", "v"].map((name, i) => output(name, 4 + i, format)),
  ];
  const declaration = {
    code: [...tensors, ADAMW_WGSL, INDEX_WGSL],
    params: { length: "u32" },
  } as const;
  const mixed = [...declaration.code, output("half", 8, half), ADAMW_MIXED_WGSL];
  return {
    forward: kernel({
      ...declaration,
      name: `adamw.forward.${format}`,
      entry: "forward",
      bindings: ["gradient", "hyper", "value", "m", "v"],
    }),
    forwardScaled: kernel({
      ...declaration,
      name: `adamw.forward_scaled.${format}`,
      entry: "forward_scaled",
      bindings: ["gradient", "hyper", "scale", "value", "m", "v"],
    }),
    mixed: kernel({
      ...declaration,
      name: `adamw.forward_mixed.${format}`,
      code: mixed,
      entry: "forward_mixed",
      bindings: ["gradient", "hyper", "value", "m", "v", "decision", "half"],
    }),
  };
}

const kernelsBy = byFormat(declare);

/** The kernels for `length` values. */
function kernels(device: Device, length: number): ReturnType<typeof declare> {
  return kernelsBy(formatOf(device, length), formatOf(device, length, "f16"));
}

/** Values that a workgroup updates. */
const GROUP_VALUES = 2048;

/** Hyperparameters of one step; `step` counts from 1. */
export interface AdamwHyper {
  readonly learningRate: number;
  readonly beta1: number;
  readonly beta2: number;
  readonly epsilon: number;
  readonly weightDecay: number;
  readonly step: number;
}

/**
 * The `hyper` tensor's values, [8], with all differences taken in float64.
 *
 * @throws {RangeError} where step is no integer of at least 1.
 */
export function adamwHyper(options: AdamwHyper): Float32Array<ArrayBuffer> {
  const { learningRate, beta1, beta2, epsilon, weightDecay, step } = options;
  if (!Number.isInteger(step) || step < 1) {
    throw new RangeError(`Cannot take step ${step} of AdamW: expected an integer of at least 1`);
  }
  const corrections = [1 - beta1 ** step, 1 - beta2 ** step];
  const values = [learningRate, beta1, beta2, epsilon, weightDecay, ...corrections, 1 - beta2];
  return Float32Array.from(values);
}

/** What adamw() reads and writes, all f32. */
export interface AdamwTensors {
  /** (n), updated. */
  readonly value: Tensor;
  /** (n). */
  readonly gradient: Tensor;
  /** (n), the first moment, updated. */
  readonly m: Tensor;
  /** (n), the second moment, updated. */
  readonly v: Tensor;
  /** [8], from adamwHyper(). */
  readonly hyper: Tensor;
  /** [1], multiplies the gradient: from gradientNorm(). */
  readonly scale?: Tensor;
}

/**
 * Records one step: `value`, `m` and `v` are updated in place.
 *
 * @throws {TypeError} where the lengths differ.
 */
export function adamw(rec: Recorder, tensors: AdamwTensors): void {
  const { value, gradient, m, v, hyper, scale } = tensors;
  if ([gradient, m, v].some(({ length }) => length !== value.length) || hyper.length !== 8) {
    throw new TypeError(
      `Cannot update ${value} by ${gradient}, ${m}, ${v} and ${hyper}: expected ${value.length} elements each and 8`,
    );
  }
  const params = { length: value.length };
  const { forward, forwardScaled } = kernels(rec.device, value.length);
  const workgroups = grid(value.length, GROUP_VALUES);
  const bound = { gradient, hyper, value, m, v };
  if (scale) rec.dispatch(forwardScaled, { params, tensors: { ...bound, scale }, workgroups });
  else rec.dispatch(forward, { params, tensors: bound, workgroups });
}

/** What adamwMixed() reads and writes, beside what adamw() does. */
export interface AdamwMixedTensors extends Omit<AdamwTensors, "scale"> {
  /** f16 (n), written: the new value, rounded. */
  readonly half: Tensor;
  /** [3], from lossScale(); in place of hyper's step. */
  readonly decision: Tensor;
}

/**
 * Records one step in mixed precision, which the GPU may skip.
 *
 * @throws {TypeError} where the lengths differ.
 */
export function adamwMixed(rec: Recorder, tensors: AdamwMixedTensors): void {
  const { value, gradient, m, v, half } = tensors;
  const { length } = value;
  if ([gradient, m, v, half].some((tensor) => tensor.length !== length)) {
    throw new TypeError(
      `Cannot update ${value} and ${half} by ${gradient}, ${m} and ${v}: expected ${length} elements each`,
    );
  }
  rec.dispatch(kernels(rec.device, length).mixed, {
    params: { length },
    tensors: { ...tensors },
    workgroups: grid(length, GROUP_VALUES),
  });
}
