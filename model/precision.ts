/**
 * float32 or mixed precision: what was asked for, or what is faster on the device.
 *
 * Between the flag --dtype of the entry scripts and the models that they make.
 */
import { matmul } from "../shaders/matmul.ts";
import type { Device } from "../shaders/runtime/device.ts";
import { Plan } from "../shaders/runtime/plan.ts";
import { type Activation, bufferOf, persistent } from "../shaders/runtime/tensor.ts";
import type { TrainConfig } from "./config.ts";

/** What may be asked for; "auto" is mixed precision where the device has it and it is faster there. */
export type DtypeChoice = TrainConfig["dtype"];

/** A product like those of nanoVLM's blocks. */
const SIZE = { rows: 512, columns: 768, depth: 768 };
const PAIRS = 7;
/**
 * f16 must save this share of the time, in all pairs of runs but one: what else the machine does must not decide where both
 * take equally long, and a training step gains less than its products. (On llvmpipe a product saves 0.1 and a step nothing.)
 */
const LEAST_SAVING = 0.2;

/** The element type for a model, as asked for or preferred. @throws {DeviceError} {ShaderError} */
export function chooseDtype(device: Device, asked: DtypeChoice): Promise<Activation> {
  return asked === "auto" ? preferredDtype(device) : Promise.resolve(asked);
}

/** The faster element type on a device, measured once by a matrix product. @throws {DeviceError} {ShaderError} */
export function preferredDtype(device: Device): Promise<Activation> {
  device.preferredDtype ??= measure(device);
  return device.preferredDtype;
}

async function measure(device: Device): Promise<Activation> {
  if (!device.f16) return "f32";
  const [f32, f16] = [await record(device, "f32"), await record(device, "f16")];
  let faster = 0;
  for (let pair = 0; pair <= PAIRS; pair++) {
    const [slow, fast] = [await f32.plan.milliseconds(), await f16.plan.milliseconds()];
    // The driver compiles in the first pair.
    if (pair > 0 && fast < (1 - LEAST_SAVING) * slow) faster++;
  }
  f32.destroy();
  f16.destroy();
  return faster >= PAIRS - 1 ? "f16" : "f32";
}

/** x · Wᵀ of `dtype`. */
async function record(device: Device, dtype: Activation) {
  const { rows, columns, depth } = SIZE;
  const make = (label: string, shape: number[]) => persistent(device, label, shape, dtype);
  const tensors = await device.scoped("make the memory to measure f16", () => ({
    lhs: make("lhs", [rows, depth]),
    rhs: make("rhs", [columns, depth]),
    y: make("y", [rows, columns]),
  }));
  const plan = await Plan.record(
    device,
    (rec) => matmul(rec, { ...tensors, ...SIZE, transposeRhs: true }),
  );
  const destroy = () => {
    plan.destroy();
    for (const tensor of Object.values(tensors)) bufferOf(tensor).destroy();
  };
  return { plan, destroy };
}
