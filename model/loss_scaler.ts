/**
 * The loss scale of mixed precision and what was decided by it: a few numbers that stay on the GPU.
 *
 * Between training_step.ts, whose loss it multiplies, and optimizer.ts, whose step it may skip. Source:
 * torch.amp.GradScaler.
 */
import { firstLossScale, lossScale } from "../shaders/loss_scale.ts";
import type { Device } from "../shaders/runtime/device.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import { bufferOf, persistent, type Tensor } from "../shaders/runtime/tensor.ts";

/** Scales losses up, so that gradients do not vanish in f16, and skips steps whose gradients overflow. */
export class LossScaler {
  /** [4]: scale, skipped steps, good steps since the scale changed, applied steps. */
  readonly state: Tensor;

  /** @throws {DeviceError} where the device has no memory left. */
  constructor(device: Device, readonly betas: { beta1: number; beta2: number }) {
    this.state = persistent(device, "loss scale", [4], "f32", firstLossScale());
  }

  /** Goes to the state after `steps` applied steps, with the first scale. */
  goTo(steps: number, device: Device): void {
    const [scale = NaN] = firstLossScale();
    this.state.upload(device, Float32Array.of(scale, 0, 0, steps));
  }

  /** Records the decision about a step from the norm of its scaled gradients; see lossScale(). */
  decide(rec: Recorder, scaledNorm: Tensor): { norm: Tensor; decision: Tensor } {
    return lossScale(rec, { scaledNorm, state: this.state, ...this.betas });
  }

  /** Frees the state. */
  destroy(): void {
    bufferOf(this.state).destroy();
  }
}
