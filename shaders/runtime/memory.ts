/**
 * Memory of a plan: liveness, and a pool of buffers that transient tensors take turns in.
 *
 * Live tensors never share a buffer: WebGPU refuses one buffer bound to be read and written in one dispatch,
 * even at disjoint offsets.
 */
import type { Device } from "./device.ts";
import type { Command, Recorder } from "./recorder.ts";
import type { Storage } from "./tensor.ts";

/** Buffers for transient tensors. Plans that never run at once may share a pool; what one keeps, the next overwrites. */
export class BufferPool {
  readonly buffers: GPUBuffer[] = [];

  /** Bytes of all buffers. */
  get bytes(): number {
    return this.buffers.reduce((sum, buffer) => sum + buffer.size, 0);
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const buffer of this.buffers.splice(0)) buffer.destroy();
  }
}

const USAGE = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

/**
 * Gives every transient storage a buffer of the pool, shared by storages whose lives do not meet.
 *
 * @throws {DeviceError} where the device runs out of memory.
 */
export async function layOut(device: Device, rec: Recorder, pool: BufferPool): Promise<void> {
  const lastUse = new Map<Storage, number>();
  rec.commands.forEach((command, i) => {
    for (const storage of transientStorages(command)) lastUse.set(storage, i);
  });
  const free = [...pool.buffers];
  for (const [i, command] of rec.commands.entries()) {
    const storages = transientStorages(command);
    for (const storage of storages) {
      storage.buffer ??= takeFitting(free, storage.bytes) ?? await grow(device, pool, storage);
    }
    for (const storage of storages) {
      if (storage.buffer && !rec.kept.has(storage) && lastUse.get(storage) === i) {
        free.push(storage.buffer);
      }
    }
  }
}

async function grow(
  device: Device,
  pool: BufferPool,
  { label, bytes }: Storage,
): Promise<GPUBuffer> {
  const what = `make the buffer of ${label} (${bytes} bytes)`;
  const buffer = await device.scoped(what, () => device.buffer(label, bytes, USAGE));
  pool.buffers.push(buffer);
  return buffer;
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

function transientStorages(command: Command): Set<Storage> {
  const tensors = "clear" in command ? [command.clear] : [...command.tensors.values()];
  return new Set(tensors.map(({ storage }) => storage).filter(({ persistent }) => !persistent));
}
