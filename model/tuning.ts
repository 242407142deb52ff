/**
 * What was measured about a device: kernels and element type. Plain data, for a cache.
 *
 * Between commands/device.ts, which keeps it in a file, and shaders/matmul_tuning.ts and precision.ts, which measure.
 */
import {
  fixedChoices,
  type MatmulChoices,
  possibleChoices,
  SIZES,
} from "../shaders/matmul_choice.ts";
import { tuneMatmul } from "../shaders/matmul_tuning.ts";
import type { Device } from "../shaders/runtime/device.ts";
import type { Activation } from "../shaders/runtime/tensor.ts";
import { preferredDtype } from "./precision.ts";

/** The kernels for matrix products by size, and the element type that `--dtype auto` takes. */
export interface Tuning {
  readonly matmul: MatmulChoices;
  readonly dtype: Activation;
}

/** Measures a device, which takes a few seconds, and sets what was found. @throws {DeviceError} {ShaderError} */
export async function tune(device: Device): Promise<Tuning> {
  return { matmul: await tuneMatmul(device), dtype: await preferredDtype(device) };
}

/** The same for all devices of a kind, without measuring: for runs that can be repeated bit for bit anywhere. */
export function fixedTuning(device: Device): Tuning {
  const f16 = device.f16 && !device.adapter.isFallbackAdapter;
  return { matmul: fixedChoices(device), dtype: f16 ? "f16" : "f32" };
}

/** Sets what is to be used. */
export function applyTuning(device: Device, { matmul, dtype }: Tuning): void {
  device.matmulChoices = matmul;
  device.preferredDtype = Promise.resolve(dtype);
}

/** What is used on a device by a model of `dtype`. */
export function tuningOf(device: Device, dtype: Activation): Tuning {
  return { matmul: device.matmulChoices ?? fixedChoices(device), dtype };
}

/** Whether `value`, from a file, is a tuning that this device can run. */
export function isTuning(device: Device, value: unknown): value is Tuning {
  if (typeof value !== "object" || value === null) return false;
  const { matmul, dtype } = value as Partial<Tuning>;
  if (dtype !== "f32" && !(dtype === "f16" && device.f16)) return false;
  const possible = possibleChoices(device);
  return SIZES.every((size) =>
    possible.some(({ kernel, slices }) =>
      matmul?.[size]?.kernel === kernel && matmul[size].slices === slices
    )
  );
}
