/**
 * Parameters: all of a model's tensors in one flat buffer for each part, with gradients beside those that train.
 *
 * Modules (vision_transformer.ts, …) take their parameters from here by nanoVLM's names. Tensors that stand next
 * to each other in the state dict and are multiplied by the same input (q, k, v; gate, up) lie without a gap, so
 * one product serves them all.
 */
import type { Device } from "../shaders/runtime/device.ts";
import {
  type Activation,
  bufferOf,
  elementBytes,
  elements,
  type Parameter,
  persistent,
  read,
  slice,
  type Tensor,
} from "../shaders/runtime/tensor.ts";
import type { ParameterShape } from "./checkpoint.ts";
import { type Part, PARTS } from "./config.ts";

/** The parameters of a part. */
export interface ParameterGroup {
  readonly name: Part;
  /** Flat f32, with zeros between parameters. */
  readonly value: Tensor;
  /** Of the same layout; absent where the part does not train. */
  readonly gradient: Tensor | undefined;
  /** The values rounded to f16, of the same layout; absent in float32. */
  readonly half: Tensor | undefined;
}

/** What a store holds besides the values. */
export interface StoreOptions {
  /** Whether to make gradients. */
  readonly training: boolean;
  /** Parts that do not train and have none; none when absent. */
  readonly frozen?: readonly Part[];
  /** "f16": whether to keep f16 copies of the values. */
  readonly dtype: Activation;
}

/** How the names of a part's parameters begin. */
const PREFIXES: Readonly<Record<Part, string>> = {
  vision: "vision_encoder.",
  language: "decoder.",
  projector: "MP.",
};

/** Bytes between which parameters begin, copies too: the widest alignment that WebGPU allows a device. */
const ALIGNMENT_BYTES = 256;
/** Parameters that begin right behind the one before. */
const STACKED = /\.(k_proj|v_proj|up_proj)\.weight$/;

/** Where a parameter lies in its group's flat tensors. */
export interface Place {
  readonly group: ParameterGroup;
  /** Its first element. */
  readonly first: number;
  readonly shape: readonly number[];
}

/** A model's parameters on a device. */
export class ParameterStore {
  readonly groups: readonly ParameterGroup[];
  readonly #places: Map<string, Place> = new Map();

  /**
   * Makes room for `shapes`, all zero.
   *
   * @throws {DeviceError} where the device cannot hold them.
   */
  constructor(
    readonly device: Device,
    readonly shapes: readonly ParameterShape[],
    readonly options: StoreOptions,
  ) {
    this.groups = PARTS.map((part) =>
      this.#group(part, shapes.filter(({ name }) => name.startsWith(PREFIXES[part])))
    );
  }

  #group(name: ParameterGroup["name"], shapes: readonly ParameterShape[]): ParameterGroup {
    const { training, frozen = [], dtype } = this.options;
    const trains = training && !frozen.includes(name);
    const alignment = ALIGNMENT_BYTES / elementBytes(dtype);
    let end = 0;
    const firsts = shapes.map(({ name, shape }) => {
      const first = STACKED.test(name) ? end : Math.ceil(end / alignment) * alignment;
      end = first + elements(shape);
      return first;
    });
    const length = [Math.max(1, Math.ceil(end / alignment)) * alignment];
    const group: ParameterGroup = {
      name,
      value: persistent(this.device, `${name} values`, length),
      gradient: trains ? persistent(this.device, `${name} gradients`, length) : undefined,
      half: dtype === "f16" ? persistent(this.device, `${name} f16`, length, "f16") : undefined,
    };
    shapes.forEach(({ name, shape }, i) => {
      this.#places.set(name, { group, first: firsts[i] ?? 0, shape });
    });
    return group;
  }

  /** Whether there are gradients. */
  get training(): boolean {
    return this.options.training;
  }

  /** Number of values. */
  get count(): number {
    return this.shapes.reduce((sum, { shape }) => sum + elements(shape), 0);
  }

  /** The parameters that train. */
  get trained(): readonly ParameterShape[] {
    return this.shapes.filter(({ name }) => this.place(name).group.gradient);
  }

  /** Where a parameter lies. @throws {RangeError} where there is none of that name. */
  place(name: string): Place {
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
    const places = names.map((name) => this.place(name));
    const { group, first, shape } = this.place(names[0]);
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
      half: group.half && cut(group.half, `${names[0]} f16`),
    };
  }

  /** Sets one parameter. @throws {TypeError} where the length differs. */
  upload(name: string, data: Float32Array): void {
    const { group, first, shape } = this.place(name);
    if (data.length !== elements(shape)) {
      throw new TypeError(`Cannot set ${name}: ${data.length} values, expected [${shape}]`);
    }
    slice(group.value, first, shape).upload(this.device, new Float32Array(data));
    if (group.half) slice(group.half, first, shape).upload(this.device, new Float16Array(data));
  }

  /** Reads one parameter. @throws {DeviceError} */
  read(name: string): Promise<Float32Array<ArrayBuffer>> {
    return this.#read(name, this.place(name).group.value);
  }

  /** Reads one parameter's gradient. @throws {DeviceError} {TypeError} where it does not train. */
  readGradient(name: string): Promise<Float32Array<ArrayBuffer>> {
    const { gradient } = this.place(name).group;
    if (!gradient) {
      throw new TypeError(
        `Cannot read the gradient of ${name}: it is frozen, or the model was not made for training`,
      );
    }
    return this.#read(name, gradient);
  }

  #read(name: string, flat: Tensor): Promise<Float32Array<ArrayBuffer>> {
    const { first, shape } = this.place(name);
    return read(this.device, slice(flat, first, shape, name));
  }

  /** Frees the buffers. */
  destroy(): void {
    for (const { value, gradient, half } of this.groups) {
      for (const flat of [value, gradient, half]) if (flat) bufferOf(flat).destroy();
    }
  }
}
