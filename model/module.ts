/**
 * Parameters: all of a model's tensors in one flat buffer for each optimizer group, with gradients beside them.
 *
 * Modules (vision_transformer.ts, …) take their parameters from here by nanoVLM's names. Tensors that stand next
 * to each other in the state dict and are multiplied by the same input (q, k, v; gate, up) lie without a gap, so
 * one product serves them all.
 */
import type { Device } from "../shaders/runtime/device.ts";
import {
  bufferOf,
  elements,
  type Parameter,
  persistent,
  read,
  slice,
  type Tensor,
} from "../shaders/runtime/tensor.ts";
import type { ParameterShape } from "./checkpoint.ts";

/** Parameters that share a learning rate: the new projector, or the backbones. */
export interface ParameterGroup {
  readonly name: "projector" | "backbones";
  /** Flat f32, with zeros between parameters. */
  readonly value: Tensor;
  /** Of the same layout; absent where nothing trains. */
  readonly gradient: Tensor | undefined;
}

/** Elements between which parameters begin: 256 bytes, the widest alignment that WebGPU allows a device. */
const ALIGNMENT = 64;
/** Parameters that begin right behind the one before. */
const STACKED = /\.(k_proj|v_proj|up_proj)\.weight$/;

interface Place {
  readonly group: ParameterGroup;
  readonly first: number;
  readonly shape: readonly number[];
}

/** A model's parameters on a device. */
export class ParameterStore {
  readonly groups: readonly ParameterGroup[];
  readonly #places: Map<string, Place> = new Map();

  /**
   * Makes room for `shapes`, all zero; with gradients if `training`.
   *
   * @throws {DeviceError} where the device cannot hold them.
   */
  constructor(
    readonly device: Device,
    readonly shapes: readonly ParameterShape[],
    readonly training: boolean,
  ) {
    const projector = shapes.filter(({ name }) => name.startsWith("MP."));
    const backbones = shapes.filter(({ name }) => !name.startsWith("MP."));
    this.groups = [this.#group("projector", projector), this.#group("backbones", backbones)];
  }

  #group(name: ParameterGroup["name"], shapes: readonly ParameterShape[]): ParameterGroup {
    let end = 0;
    const firsts = shapes.map(({ name, shape }) => {
      const first = STACKED.test(name) ? end : Math.ceil(end / ALIGNMENT) * ALIGNMENT;
      end = first + elements(shape);
      return first;
    });
    const length = [Math.max(1, Math.ceil(end / ALIGNMENT)) * ALIGNMENT];
    const group: ParameterGroup = {
      name,
      value: persistent(this.device, `${name} values`, length),
      gradient: this.training ? persistent(this.device, `${name} gradients`, length) : undefined,
    };
    shapes.forEach(({ name, shape }, i) => {
      this.#places.set(name, { group, first: firsts[i] ?? 0, shape });
    });
    return group;
  }

  /** Number of trainable values. */
  get count(): number {
    return this.shapes.reduce((sum, { shape }) => sum + elements(shape), 0);
  }

  #place(name: string): Place {
    const place = this.#places.get(name);
    if (!place) {
      throw new RangeError(`Cannot find the parameter "${name}": the model has none of that name`);
    }
    return place;
  }

  /**
   * A parameter by name, or several stacked by rows: (rows of all, columns). A convolution's weight is seen as
   * (outputs, everything else).
   *
   * @throws {RangeError} where a name is unknown or the parameters do not stand side by side.
   */
  parameter(...names: [string, ...string[]]): Parameter {
    const places = names.map((name) => this.#place(name));
    const { group, first, shape } = this.#place(names[0]);
    const length = places.reduce((sum, { shape }) => sum + elements(shape), 0);
    const last = places.at(-1);
    if (last && last.first + elements(last.shape) !== first + length) {
      throw new RangeError(`Cannot stack ${names.join(", ")}: they do not stand side by side`);
    }
    const columns = elements(shape.slice(1));
    const view = shape.length === 1 ? [length] : [length / columns, columns];
    const cut = (flat: Tensor, label: string) => slice(flat, first, view, label);
    return {
      value: cut(group.value, names[0]),
      gradient: group.gradient && cut(group.gradient, `d${names[0]}`),
    };
  }

  /** Sets one parameter. @throws {TypeError} where the length differs. */
  upload(name: string, data: Float32Array): void {
    const { group, first, shape } = this.#place(name);
    if (data.length !== elements(shape)) {
      throw new TypeError(`Cannot set ${name}: ${data.length} values, expected [${shape}]`);
    }
    this.device.write(
      bufferOf(group.value),
      first * Float32Array.BYTES_PER_ELEMENT,
      new Float32Array(data),
    );
  }

  /** Reads one parameter. @throws {DeviceError} */
  read(name: string): Promise<Float32Array<ArrayBuffer>> {
    return this.#read(name, this.#place(name).group.value);
  }

  /** Reads one parameter's gradient. @throws {DeviceError} {TypeError} where nothing trains. */
  readGradient(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { gradient } = this.#place(name).group;
    if (!gradient) {
      throw new TypeError(
        `Cannot read the gradient of ${name}: the model was not made for training`,
      );
    }
    return this.#read(name, gradient);
  }

  #read(name: string, flat: Tensor): Promise<Float32Array<ArrayBuffer>> {
    const { first, shape } = this.#place(name);
    return read(this.device, slice(flat, first, shape, name));
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const { value, gradient } of this.groups) {
      bufferOf(value).destroy();
      if (gradient) bufferOf(gradient).destroy();
    }
  }
}
