/**
 * AdamW over a model's flat parameter groups: one dispatch a part that trains (more only where a group is larger than one binding),
 * all hyperparameters in a small buffer, so that a recorded step serves every learning rate.
 *
 * Source: torch.optim.AdamW with nanoVLM's settings (train.py at v0.1).
 */
import { adamw, adamwHyper, adamwMixed } from "../shaders/adamw.ts";
import { gradientNorm } from "../shaders/gradient_norm.ts";
import type { Device } from "../shaders/runtime/device.ts";
import type { Recorder } from "../shaders/runtime/recorder.ts";
import { bufferOf, persistent, slice, type Tensor } from "../shaders/runtime/tensor.ts";
import { LossScaler } from "./loss_scaler.ts";
import type { ParameterGroup, ParameterStore } from "./module.ts";

/** PyTorch's defaults, which nanoVLM keeps. */
const ADAMW = { beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0.01 };

/** Learning rates of the new projector, and of both backbones. */
export interface LearningRates {
  readonly projector: number;
  readonly backbones: number;
}

interface GroupState {
  readonly group: ParameterGroup;
  readonly gradient: Tensor;
  readonly m: Tensor;
  readonly v: Tensor;
  readonly hyper: Tensor;
}

/** The optimizer's state. */
export class AdamW implements Disposable {
  readonly #device: Device;
  readonly #states: readonly GroupState[];
  /** Decides in mixed precision whether a step is applied; absent in float32. */
  readonly scaler: LossScaler | undefined;

  /**
   * Makes moments for all parts that train.
   *
   * @throws {DeviceError} where the device cannot hold the moments.
   * @throws {TypeError} where nothing trains.
   */
  constructor(readonly store: ParameterStore) {
    this.#device = store.device;
    this.#states = store.groups.flatMap((group) => stateOf(store.device, group) ?? []);
    if (this.#states.length === 0) {
      throw new TypeError("Cannot optimize a model in which nothing trains");
    }
    this.scaler = store.options.dtype === "f16" ? new LossScaler(store.device, ADAMW) : undefined;
  }

  /** Bytes of both moments. */
  get bytes(): number {
    return this.#states.reduce((sum, { m, v }) => sum + m.storage.bytes + v.storage.bytes, 0);
  }

  /** Views of both moments of the parameter `name`. @throws {RangeError} where there is none. */
  moments(name: string): { m: Tensor; v: Tensor } {
    const { group, first, shape } = this.store.place(name);
    const state = this.#states.find((state) => state.group === group);
    if (!state) throw new RangeError(`Cannot find the moments of "${name}": it is not trained`);
    return { m: slice(state.m, first, shape), v: slice(state.v, first, shape) };
  }

  /** Records setting all gradients to zero. */
  zeroGradients(rec: Recorder): void {
    for (const { gradient } of this.#states) rec.clear(gradient);
  }

  /** Records the update and gives the norm of all gradients, [1]. */
  record(rec: Recorder): Tensor {
    const gradients = this.#states.flatMap(({ gradient }) => bindable(this.#device, gradient));
    const { norm } = gradientNorm(rec, gradients);
    const decided = this.scaler?.decide(rec, norm);
    for (const state of this.#states) this.#update(rec, state, decided?.decision);
    return decided?.norm ?? norm;
  }

  /** Records the update of a group: in mixed precision as decided, and of the f16 copies too. */
  #update(rec: Recorder, { group, gradient, m, v, hyper }: GroupState, decision?: Tensor): void {
    const flats = [group.value, gradient, m, v, group.half];
    const [values, ...others] = flats.map((flat) => flat ? bindable(this.#device, flat) : []);
    values?.forEach((value, i) => {
      const [gradient, m, v, half] = others.map((parts) => parts[i]);
      if (!gradient || !m || !v) return;
      if (half && decision) adamwMixed(rec, { value, gradient, m, v, hyper, half, decision });
      else adamw(rec, { value, gradient, m, v, hyper });
    });
  }

  /** Sets step (from 1; mixed precision counts on the GPU) and learning rates for the next run of the recorded update. */
  setStep(step: number, rates: LearningRates): void {
    for (const { group, hyper } of this.#states) {
      const learningRate = group.name === "projector" ? rates.projector : rates.backbones;
      hyper.upload(this.#device, adamwHyper({ ...ADAMW, step, learningRate }));
    }
  }

  /** Frees the moments. */
  destroy(): void {
    for (const { m, v, hyper } of this.#states) {
      for (const tensor of [m, v, hyper]) bufferOf(tensor).destroy();
    }
    this.scaler?.destroy();
  }

  [Symbol.dispose](): void {
    this.destroy();
  }
}

/** Moments for a part, if it trains. */
function stateOf(device: Device, group: ParameterGroup): GroupState | undefined {
  const { name, gradient, value: { shape } } = group;
  return gradient && {
    group,
    gradient,
    m: persistent(device, `${name} first moment`, shape),
    v: persistent(device, `${name} second moment`, shape),
    hyper: persistent(device, `${name} hyperparameters`, [8]),
  };
}

/** A flat tensor in parts that a binding can hold in f32; parts of f16 tensors hold the same elements. */
function bindable(device: Device, flat: Tensor): Tensor[] {
  const step = Math.floor(device.limits.maxStorageBufferBindingSize / 4 / 128) * 128;
  const parts: Tensor[] = [];
  for (let first = 0; first < flat.length; first += step) {
    parts.push(slice(flat, first, [Math.min(step, flat.length - first)]));
  }
  return parts;
}
