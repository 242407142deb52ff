/**
 * The recorder: an op appends its forward dispatch, and what to append for its backward pass.
 *
 * A tape while recording, a fixed list of dispatches while running: nothing here touches the GPU; plan.ts lays
 * the list out and replays it.
 */
import {
  checkBindings,
  type Command,
  type DispatchOptions,
  list,
  withoutUnread,
} from "./command.ts";
import type { Device } from "./device.ts";
import type { Kernel } from "./kernel.ts";
import {
  type Activation,
  bytesOf,
  type DType,
  type Parameter,
  persistent,
  Storage,
  Tensor,
  type TypedArray,
} from "./tensor.ts";
import { addInto } from "../add.ts";

/** How to record. */
export interface RecorderOptions {
  /** Collects intermediate tensors, kept for reading after a run: values by name, gradients by "d" and the name. */
  readonly taps?: Map<string, Tensor>;
  /**
   * "f16" is mixed precision: ops that make the inputs of matrix products then give f16, and products read the weights'
   * f16 copies. "f32" when absent.
   */
  readonly activation?: Activation;
  /** "off" when absent. */
  readonly recompute?: Recompute;
}

/**
 * What the backward pass computes again rather than find in memory: "off", what takes no time to speak of, see recipe();
 * "on", whole blocks, see checkpoint().
 */
export type Recompute = "off" | "on";

/** Where a gradient goes: `accumulate` says that something is there already, to be added to. */
export interface GradientTarget {
  readonly tensor: Tensor;
  readonly accumulate: boolean;
}

/** Records dispatches forward and, from the tape, backward. */
export class Recorder {
  readonly commands: Command[] = [];
  /** Tensors whose buffers outlive the plan's own recycling, to be read after a run. */
  readonly kept: Set<Storage> = new Set();
  /** Persistent tensors that the plan owns: constants. */
  readonly owned: Tensor[] = [];
  /** Where the backward pass begins; what lives on both sides is an activation. */
  backwardStart = Infinity;
  readonly taps: Map<string, Tensor> | undefined;
  readonly activation: Activation;
  readonly #recompute: Recompute;
  #tape: { readonly y: Tensor; readonly play: (dy: Tensor) => void }[] = [];
  #replays = false;
  readonly #recipes: Map<Storage, () => Tensor> = new Map();
  readonly #gradients: Map<Storage, Tensor> = new Map();
  readonly #parameters: Map<Storage, Tensor> = new Map();

  /** `training` false records no tape. */
  constructor(
    readonly device: Device,
    readonly training: boolean = false,
    { taps, activation = "f32", recompute = "off" }: RecorderOptions = {},
  ) {
    this.taps = taps;
    this.activation = activation;
    this.#recompute = recompute;
  }

  /** A transient tensor. */
  tensor(
    label: string,
    shape: readonly number[],
    dtype: DType = "f32",
  ): Tensor {
    return new Tensor(
      new Storage(label, bytesOf(shape, dtype), false),
      [...shape],
      dtype,
    );
  }

  /** A table that never changes, uploaded now and freed with the plan. */
  constant(
    label: string,
    shape: readonly number[],
    dtype: DType,
    data: TypedArray,
  ): Tensor {
    const tensor = persistent(this.device, label, shape, dtype, data);
    this.owned.push(tensor);
    return tensor;
  }

  /** Keeps a tensor's memory from being reused, so that it can be read after a run. */
  keep(tensor: Tensor): Tensor {
    this.kept.add(tensor.storage);
    return tensor;
  }

  /** Names an intermediate tensor; nothing happens unless this recorder collects them. Returns it. */
  tap(name: string, x: Tensor): Tensor {
    if (!this.taps) return x;
    this.taps.set(name, this.keep(x));
    return this.backward(x, [x], (dx) => {
      const copy = this.keep(this.tensor(`d${name}`, x.shape, x.dtype));
      this.taps?.set(`d${name}`, copy);
      this.clear(copy);
      addInto(this, copy, dx);
    });
  }

  /** A parameter's value in f32, its gradient known to the tape. */
  use({ value, gradient }: Parameter): Tensor {
    return this.#known(value, gradient);
  }

  /** A parameter as matrix products read it: its f16 copy in mixed precision. Its gradient is known to the tape. */
  weight({ value, gradient, half }: Parameter): Tensor {
    return this.#known(this.activation === "f16" && half ? half : value, gradient);
  }

  #known(value: Tensor, gradient: Tensor | undefined): Tensor {
    if (!this.training || !gradient) return value;
    this.#parameters.set(value.storage, gradient);
    return new Tensor(value.storage, value.shape, value.dtype, true);
  }

  /**
   * Appends a launch.
   *
   * @throws {TypeError} where a tensor's gradient buffer was handed on, its elements are not of the kernel's type, or one
   * is read and written at once.
   * @throws {RangeError} where the grid is larger than WebGPU allows.
   */
  dispatch<P extends string, B extends string>(
    kernel: Kernel<P, B>,
    options: DispatchOptions<P, B>,
  ): void {
    const { params, constants = {}, flops = 0 } = options;
    const [x, y = 1, z = 1] = options.workgroups;
    const tensors = new Map<string, Tensor>(Object.entries(options.tensors));
    checkBindings(kernel, tensors);
    const limit = this.device.limits.maxComputeWorkgroupsPerDimension;
    if (![x, y, z].every((n) => Number.isInteger(n) && n >= 0 && n <= limit)) {
      throw new RangeError(
        `Cannot dispatch ${kernel.name} on ${
          list(tensors)
        }: grid ${x} x ${y} x ${z}, expected at most ${limit} each`,
      );
    }
    if (x * y * z === 0) return;
    this.commands.push({
      kernel,
      params,
      tensors,
      constants,
      workgroups: [x, y, z],
      flops,
    });
  }

  /** Appends setting a tensor to zero. */
  clear(tensor: Tensor): void {
    this.commands.push({ clear: tensor });
  }

  /**
   * Says how `y`'s gradient flows on to `inputs`; `play` appends the backward dispatches.
   * Nothing is recorded where no input needs a gradient. Returns `y`.
   */
  backward(
    y: Tensor,
    inputs: readonly (Tensor | undefined)[],
    play: (dy: Tensor) => void,
  ): Tensor {
    if (this.training && inputs.some((input) => input?.needsGradient)) {
      y.needsGradient = true;
      this.#tape.push({ y, play });
    }
    return y;
  }

  /**
   * Where to write the gradient of `x`, or undefined if it needs none; it has x's element type. The first writer stores,
   * later ones add; parameters' gradients, always f32, are always added to (they are cleared once a step).
   */
  gradientTarget(x: Tensor): GradientTarget | undefined {
    if (!x.needsGradient) return undefined;
    const parameter = this.#parameters.get(x.storage);
    if (parameter) return { tensor: parameter, accumulate: true };
    const known = this.#gradients.get(x.storage);
    if (known) return { tensor: known, accumulate: true };
    const tensor = this.tensor(`d${x.storage.label}`, x.shape, x.dtype);
    this.#gradients.set(x.storage, tensor);
    return { tensor, accumulate: false };
  }

  /**
   * The gradient of `x` grows by `dy`, unchanged, as through a residual connection. The first time `dy`'s buffer
   * is handed on, and reading `dy` afterwards throws; later it is added.
   */
  passGradient(x: Tensor, dy: Tensor): void {
    if (!x.needsGradient) return;
    if (x.dtype !== dy.dtype) {
      throw new TypeError(`Cannot pass ${dy.dtype} ${dy} on to ${x}: expected ${x.dtype}`);
    }
    if (this.#parameters.has(x.storage) || this.#gradients.has(x.storage)) {
      const target = this.gradientTarget(x);
      if (target) addInto(this, target.tensor, dy);
      return;
    }
    this.#gradients.set(x.storage, new Tensor(dy.storage, x.shape, dy.dtype));
    dy.moved = true;
  }

  /** The gradient recorded so far for `x`, for tests and diagnostics. */
  gradientOf(x: Tensor): Tensor | undefined {
    return this.#parameters.get(x.storage) ?? this.#gradients.get(x.storage);
  }

  /**
   * Says how to make `y` again, bit for bit, from what is kept anyway: `y` itself need not wait for the backward
   * pass. `remake` asks `saved()` for its inputs.
   */
  recipe(y: Tensor, remake: () => Tensor): void {
    if (this.training && !this.#replays) this.#recipes.set(y.storage, remake);
  }

  /** `x` for the backward pass: made again there, once, where it has a recipe. */
  saved(x: Tensor): Tensor {
    const remake = this.#recipes.get(x.storage);
    if (!remake) return x;
    const copy = remake();
    this.#recipes.set(x.storage, () => copy);
    return copy.view(...x.shape);
  }

  /**
   * Records a block whose activations are dropped, where the plan was asked to recompute: the backward pass records
   * the block again. Gradients have the same bits. `block` gives its only result, and changes nothing from outside.
   */
  checkpoint(block: () => Tensor): Tensor {
    if (!this.training || this.#recompute !== "on") return block();
    const outer = this.#tape;
    this.#tape = [];
    const y = block();
    this.#tape = outer;
    if (y.needsGradient) outer.push({ y, play: (dy) => this.#replay(block, dy) });
    return y;
  }

  #replay(block: () => Tensor, dy: Tensor): void {
    const outer = this.#tape;
    this.#tape = [];
    const start = this.commands.length;
    this.#replays = true; // what is recorded again is needed at once
    const y = block();
    this.#replays = false;
    const end = this.commands.length;
    this.#play(y, dy);
    this.#tape = outer;
    const replayed = this.commands.splice(start);
    this.commands.push(...withoutUnread(replayed, end - start, this.kept));
  }

  /** Appends the whole backward pass: `seed` is the gradient of `y`, `[1]` for a loss. */
  backprop(y: Tensor, seed: Tensor): void {
    this.backwardStart = this.commands.length;
    this.#play(y, seed);
  }

  #play(y: Tensor, dy: Tensor): void {
    this.#gradients.set(y.storage, dy);
    for (const { y, play } of this.#tape.splice(0).reverse()) {
      const dy = this.#gradients.get(y.storage);
      if (dy) play(new Tensor(dy.storage, y.shape, dy.dtype));
    }
  }
}

/** The grid for `count` threads in workgroups of `size`, folded into two dimensions past 65,535 (see index.wgsl). */
export function grid(count: number, size: number): [number, number] {
  const workgroups = Math.ceil(count / size);
  const x = Math.min(workgroups, 32768);
  return [x, Math.ceil(workgroups / Math.max(1, x))];
}
