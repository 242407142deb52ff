/**
 * What a training run needs besides its model to go on bit for bit: AdamW's moments and the loss scale, as a file.
 *
 * Between runs/checkpoint.ts and optimizer.ts. Source: torch's optimizer.state_dict() and GradScaler.state_dict(), under
 * names of ours.
 */
import type { Tensor } from "../shaders/runtime/tensor.ts";
import { ReadAhead } from "./read_ahead.ts";
import { CheckpointError, openSafetensors, writeSafetensors } from "./safetensors.ts";
import type { Trainer } from "./training_step.ts";

/** [4], in mixed precision: see LossScaler. */
const LOSS_SCALE = "loss_scale";

/**
 * Writes `m.<parameter>` and `v.<parameter>` of every parameter that trains, and `loss_scale` in mixed precision, to `path`.
 *
 * Steps under way are waited for; the file takes its name when it is whole.
 *
 * @returns its checksum
 * @throws {DeviceError}
 * @throws {Error} where it cannot be written
 */
export async function saveTrainingState(path: string, trainer: Trainer): Promise<string> {
  const tensors = stateTensors(trainer);
  const ahead = new ReadAhead(trainer.model.device, tensors);
  return await writeSafetensors(
    path,
    [...tensors].map(([name, { shape }]) => ({ name, shape, data: () => ahead.load(name) })),
  );
}

/**
 * Gives `trainer` the state in `path`, after which it has taken `step` steps. Where the file has no loss scale, because the
 * run was in float32, mixed precision begins with its first one.
 *
 * @throws {CheckpointError} where a tensor is missing or misshapen, or the file is damaged
 * @throws {Deno.errors.NotFound} where there is none
 */
export function loadTrainingState(path: string, trainer: Trainer, step: number): void {
  using file = openSafetensors(path);
  const { device } = trainer.model;
  trainer.goTo(step);
  for (const [name, tensor] of stateTensors(trainer)) {
    if (name === LOSS_SCALE && !file.tensors.has(name)) continue;
    const data = file.readFloat32(name);
    if (data.length !== tensor.length) {
      throw new CheckpointError(
        path,
        `"${name}" has ${data.length} values`,
        `the model's ${tensor.length}`,
        "Put the files of one checkpoint in the folder.",
      );
    }
    tensor.upload(device, data);
  }
}

function stateTensors({ model: { store }, optimizer }: Trainer): Map<string, Tensor> {
  const tensors = new Map<string, Tensor>();
  for (const { name } of store.trained) {
    const { m, v } = optimizer.moments(name);
    tensors.set(`m.${name}`, m).set(`v.${name}`, v);
  }
  const { scaler } = optimizer;
  return scaler ? tensors.set(LOSS_SCALE, scaler.state) : tensors;
}
