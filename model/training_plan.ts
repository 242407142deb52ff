/**
 * What training takes, to the byte, before anything is allocated: model, optimizer and step are made on a device that
 * only counts, by the same code that makes them to run.
 *
 * Between plan_choice.ts and training_step.ts. Ours.
 */
import type { Device } from "../shaders/runtime/device.ts";
import type { Recompute } from "../shaders/runtime/recorder.ts";
import type { Activation, Tensor } from "../shaders/runtime/tensor.ts";
import type { Part, VLMConfig } from "./config.ts";
import { imageTokens } from "./inputs.ts";
import type { ParameterGroup } from "./module.ts";
import { AdamW } from "./optimizer.ts";
import { type StepSize, Trainer } from "./training_step.ts";
import { VisionLanguageModel } from "./vision_language_model.ts";

/** How a step is taken. */
export interface StepShape {
  /** Rows a step. */
  readonly batchSize: number;
  /** Rows at once, at most `batchSize`. */
  readonly microBatchSize: number;
  readonly recompute: Recompute;
  /** "f16" for mixed precision; "f32" when absent. */
  readonly dtype?: Activation;
  /** Parts that do not train; none when absent. */
  readonly frozen?: readonly Part[];
}

/** What training takes. The parts of memory add up to the total. */
export interface TrainingPlan extends StepShape {
  readonly dtype: Activation;
  /** Tokens a row, of image and text. */
  readonly length: number;
  readonly parameters: number;
  /** With the f16 copies of mixed precision. */
  readonly parametersBytes: number;
  readonly gradientsBytes: number;
  readonly momentsBytes: number;
  /** What the forward pass leaves for the backward pass. */
  readonly activationsBytes: number;
  /** Everything else: inputs, constants, and what lives within one of the passes. */
  readonly workspaceBytes: number;
  readonly totalBytes: number;
  /** Floating-point operations of the products, with those that are done twice. */
  readonly flopsPerStep: number;
  /** Kernel launches. */
  readonly dispatchesPerStep: number;
  /** Why this device cannot do it, whatever memory it has; absent where it can. */
  readonly obstacle?: string;
}

/**
 * Plans steps of one shape for full rows, in which every text token has a label: no batch takes more. Works for plans
 * that are larger than the device.
 *
 * @throws {DeviceError} where it is asked for f16 and has none.
 * @throws {RangeError} where the micro-batch has more rows than the device's kernels can be launched for.
 */
export async function planTraining(
  device: Device,
  config: VLMConfig,
  shape: StepShape,
): Promise<TrainingPlan> {
  const counter = device.forPlanning();
  const { dtype = "f32", frozen = [] } = shape;
  const model = new VisionLanguageModel(counter, config, { training: true, frozen, dtype });
  const optimizer = new AdamW(model.store);
  const step = await new Trainer(model, optimizer, shape)
    .measure(shape.batchSize, config.lm_max_length);
  const bytes = (flat: Tensor | undefined) => flat?.storage.bytes ?? 0;
  const sum = (of: (group: ParameterGroup) => number) =>
    model.store.groups.reduce((total, group) => total + of(group), 0);
  const parametersBytes = sum(({ value, half }) => bytes(value) + bytes(half));
  const gradientsBytes = sum(({ gradient }) => bytes(gradient));
  const momentsBytes = optimizer.bytes;
  const { activationBytes: activationsBytes } = step;
  const totalBytes = counter.peakBytes;
  const obstacle = obstacleOf(counter, step);
  return {
    ...shape,
    dtype,
    length: imageTokens(config) + config.lm_max_length,
    parameters: model.store.count,
    parametersBytes,
    gradientsBytes,
    momentsBytes,
    activationsBytes,
    workspaceBytes: totalBytes - parametersBytes - gradientsBytes - momentsBytes - activationsBytes,
    totalBytes,
    flopsPerStep: step.flops,
    dispatchesPerStep: step.dispatches,
    ...(obstacle === undefined ? {} : { obstacle }),
  };
}

function obstacleOf(counter: Device, { largest }: StepSize): string | undefined {
  const { maxStorageBufferBindingSize, maxBufferSize } = counter.limits;
  if (largest.bytes > maxStorageBufferBindingSize) {
    return `"${largest.label}" takes ${largest.bytes} bytes, expected at most ${maxStorageBufferBindingSize} on ` +
      `${counter.description} for one tensor`;
  }
  if (counter.largestBytes > maxBufferSize) {
    return `the largest buffer takes ${counter.largestBytes} bytes, expected at most ${maxBufferSize} on ` +
      counter.description;
  }
  return undefined;
}
