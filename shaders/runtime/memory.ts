/**
 * Memory of a plan: liveness, and a pool of buffers that transient tensors take turns in.
 *
 * Live tensors never share a buffer: WebGPU refuses one buffer bound to be read and written in one dispatch,
 * even at disjoint offsets.
 */
import type { Device } from "./device.ts";
import type { Command, Recorder } from "./recorder.ts";
import type { Storage, Tensor } from "./tensor.ts";

/** Gives every transient storage a buffer, shared by storages whose lives do not meet. */
export async function layOut(
  device: Device,
  rec: Recorder,
): Promise<{ buffers: GPUBuffer[]; bytes: number }> {
  const lastUse = new Map<Storage, number>();
  rec.commands.forEach((command, i) => {
    for (const tensor of tensorsOf(command)) lastUse.set(tensor.storage, i);
  });
  const free: GPUBuffer[] = [];
  const buffers: GPUBuffer[] = [];
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC |
    GPUBufferUsage.COPY_DST;
  for (const [i, command] of rec.commands.entries()) {
    const storages = new Set(
      [...tensorsOf(command)].map((tensor) => tensor.storage),
    );
    for (const storage of storages) {
      if (storage.persistent || storage.buffer) continue;
      storage.buffer = takeFitting(free, storage.bytes);
      if (!storage.buffer) {
        const what = `make the buffer of ${storage.label} (${storage.bytes} bytes)`;
        storage.buffer = await device.scoped(
          what,
          () => device.buffer(storage.label, storage.bytes, usage),
        );
        buffers.push(storage.buffer);
      }
    }
    for (const storage of storages) {
      if (
        !storage.persistent && !rec.kept.has(storage) && storage.buffer &&
        lastUse.get(storage) === i
      ) {
        free.push(storage.buffer);
      }
    }
  }
  return {
    buffers,
    bytes: buffers.reduce((sum, buffer) => sum + buffer.size, 0),
  };
}

/** The smallest free buffer that holds `bytes` and is at most twice as large. */
function takeFitting(free: GPUBuffer[], bytes: number): GPUBuffer | undefined {
  let best = -1;
  free.forEach((buffer, i) => {
    if (
      buffer.size >= bytes && buffer.size <= 2 * bytes &&
      buffer.size < (free[best]?.size ?? Infinity)
    ) best = i;
  });
  return best < 0 ? undefined : free.splice(best, 1)[0];
}

function tensorsOf(command: Command): Iterable<Tensor> {
  return "clear" in command ? [command.clear] : command.tensors.values();
}
