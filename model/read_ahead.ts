/**
 * Many tensors from the GPU one after the other, read several at once: a wait for the GPU costs 12 ms in Deno, and a model
 * has hundreds of tensors, most of them small.
 *
 * Under vision_language_model.ts and training_state.ts, which write them to files.
 */
import type { Device } from "../shaders/runtime/device.ts";
import { readAll, type Tensor } from "../shaders/runtime/tensor.ts";

/** Bytes to read at once, beyond the tensor that was asked for. */
const BYTES_AHEAD = 32 * 2 ** 20;

/** Reads f32 tensors, quickest in the order of their names. */
export class ReadAhead {
  readonly #names: readonly string[];
  readonly #read: Map<string, Float32Array<ArrayBuffer>> = new Map();

  constructor(readonly device: Device, readonly tensors: ReadonlyMap<string, Tensor>) {
    this.#names = [...tensors.keys()].sort();
  }

  /**
   * A tensor's values, which are forgotten here.
   *
   * @throws {DeviceError}
   * @throws {TypeError} where there is no such tensor, or it is not f32
   */
  async load(name: string): Promise<Float32Array<ArrayBuffer>> {
    if (!this.#read.has(name)) await this.#fetch(name);
    const data = this.#read.get(name);
    if (!data) {
      throw new TypeError(`Cannot read "${name}" from the GPU: there is no such f32 tensor`);
    }
    this.#read.delete(name);
    return data;
  }

  /** Reads a tensor and those behind it, as far as they are few bytes. */
  async #fetch(name: string): Promise<void> {
    const chosen: [string, Tensor][] = [];
    let bytes = 0;
    for (const next of this.#names.slice(Math.max(0, this.#names.indexOf(name)))) {
      const tensor = this.tensors.get(next);
      if (!tensor || this.#read.has(next)) break;
      bytes += tensor.storage.bytes;
      if (chosen.length > 0 && bytes > BYTES_AHEAD) break;
      chosen.push([next, tensor]);
    }
    const values = await readAll(this.device, chosen.map(([, tensor]) => tensor));
    chosen.forEach(([name], i) => {
      const data = values[i];
      if (data instanceof Float32Array) this.#read.set(name, data);
    });
  }
}
