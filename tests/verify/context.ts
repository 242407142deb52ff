/**
 * What all cases of a verification share: the GPU, opened when the first case needs it.
 *
 * Between tests/verify.ts and the cases.
 */
import { Device } from "../../shaders/runtime/device.ts";

/** Opens the GPU at most once. */
export class Context {
  #device: Promise<Device> | undefined;

  /** The GPU. @throws {DeviceError} where there is none. */
  device(): Promise<Device> {
    this.#device ??= Device.open();
    return this.#device;
  }

  /** Frees the GPU, if it was opened. */
  async close(): Promise<void> {
    try {
      (await this.#device)?.destroy();
    } catch {
      // Opening failed: there is nothing to free, and the cases reported it.
    }
  }
}
