/**
 * Tensors: a shape and a dtype over a piece of GPU memory.
 *
 * A persistent tensor (parameters, inputs, results) has its buffer from the start. A transient one is made
 * while recording and gets a pooled buffer when the plan is laid out (see plan.ts). Views share the storage,
 * and so the gradient.
 */
import type { Device } from "./device.ts";

/** Element types of tensors; all are four bytes wide. */
export type DType = "f32" | "u32" | "i32";
/** The matching typed arrays. */
export type TypedArray =
  | Float32Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>;

const BYTES_PER_ELEMENT = 4;

/** A piece of GPU memory that tensors view: a whole buffer, or a range of one. */
export class Storage {
  /** The buffer; transient storages get theirs when the plan is laid out. */
  buffer: GPUBuffer | undefined;
  /** Where in the buffer it begins. */
  byteOffset = 0;

  constructor(
    readonly label: string,
    readonly bytes: number,
    readonly persistent: boolean,
  ) {}
}

/** A shape over a storage. */
export class Tensor {
  /** Set when this handle's gradient buffer was handed on: reading it would see another tensor's gradient. */
  moved = false;

  constructor(
    readonly storage: Storage,
    readonly shape: readonly number[],
    readonly dtype: DType,
    /** Whether a gradient flows into it. */
    public needsGradient = false,
  ) {
    if (bytesOf(shape) > storage.bytes) {
      throw new RangeError(
        `Cannot view "${storage.label}" as [${shape}]: it holds ${storage.bytes} bytes, expected ${
          bytesOf(shape)
        }`,
      );
    }
  }

  /** Number of elements. */
  get length(): number {
    return elements(this.shape);
  }

  /** The same memory under another shape of as many elements. */
  view(...shape: number[]): Tensor {
    if (elements(shape) !== this.length) {
      throw new TypeError(
        `Cannot view [${this.shape}] as [${shape}]: expected ${this.length} elements`,
      );
    }
    return new Tensor(this.storage, shape, this.dtype, this.needsGradient);
  }

  /** Length of axis `i`; negative counts from the end. */
  dim(i: number): number {
    const length = this.shape.at(i);
    if (length === undefined) {
      throw new RangeError(`Cannot take axis ${i} of [${this.shape}]`);
    }
    return length;
  }

  /** "name [2, 3]" for messages. */
  toString(): string {
    return `${this.storage.label} [${this.shape.join(", ")}]`;
  }

  /**
   * Copies `data` to the GPU; the tensor must be persistent.
   *
   * @throws {TypeError} where the length differs.
   */
  upload(device: Device, data: TypedArray): void {
    if (data.length !== this.length) {
      throw new TypeError(
        `Cannot upload to ${this}: ${data.length} values, expected ${this.length}`,
      );
    }
    device.write(bufferOf(this), this.storage.byteOffset, data);
  }
}

/** A trainable tensor with its gradient. One may hold several of the checkpoint's tensors, stacked by rows. */
export interface Parameter {
  readonly value: Tensor;
  /** Absent where nothing trains. */
  readonly gradient: Tensor | undefined;
}

/** Number of elements of `shape`. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Bytes of a tensor of `shape`. */
export function bytesOf(shape: readonly number[]): number {
  return elements(shape) * BYTES_PER_ELEMENT;
}

/** The buffer under a tensor. @throws {TypeError} where it has none yet. */
export function bufferOf(tensor: Tensor): GPUBuffer {
  const { buffer } = tensor.storage;
  if (!buffer) {
    throw new TypeError(
      `Cannot use ${tensor}: it has no buffer before the plan is laid out`,
    );
  }
  return buffer;
}

/**
 * Makes a persistent tensor with a buffer of its own, zero or holding `data`.
 *
 * @throws {DeviceError} where the device cannot hold it.
 */
export function persistent(
  device: Device,
  label: string,
  shape: readonly number[],
  dtype: DType = "f32",
  data?: TypedArray,
): Tensor {
  const storage = new Storage(label, bytesOf(shape), true);
  storage.buffer = device.buffer(
    label,
    storage.bytes,
    GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC,
  );
  const tensor = new Tensor(storage, shape, dtype);
  if (data) tensor.upload(device, data);
  return tensor;
}

/**
 * Reads tensors back, all in one wait (a wait costs about 12 ms in Deno, so read late and together).
 *
 * @throws {DeviceError} what the GPU reported since the last check.
 */
export async function readAll(
  device: Device,
  tensors: readonly Tensor[],
): Promise<TypedArray[]> {
  const encoder = device.gpu.createCommandEncoder({ label: "read" });
  const staging = tensors.map((tensor) => {
    const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
    const bytes = bytesOf(tensor.shape);
    const buffer = device.buffer(`read ${tensor}`, bytes, usage);
    encoder.copyBufferToBuffer(
      bufferOf(tensor),
      tensor.storage.byteOffset,
      buffer,
      0,
      bytes,
    );
    return buffer;
  });
  device.gpu.queue.submit([encoder.finish()]);
  try {
    await Promise.all(
      staging.map((buffer) => buffer.mapAsync(GPUMapMode.READ)),
    );
    device.check();
    return tensors.map((tensor, i) => typed(tensor.dtype, staging[i]?.getMappedRange().slice(0)));
  } catch (error) {
    device.check();
    throw error;
  } finally {
    for (const buffer of staging) buffer.destroy();
  }
}

/**
 * A persistent view of a part of a persistent tensor, from element `first` on. To be bound it must begin at a
 * multiple of the device's `minStorageBufferOffsetAlignment`.
 *
 * @throws {RangeError} where it reaches past the end.
 */
export function slice(
  tensor: Tensor,
  first: number,
  shape: readonly number[],
  label: string = tensor.storage.label,
): Tensor {
  if (first < 0 || first + elements(shape) > tensor.length) {
    throw new RangeError(
      `Cannot slice ${tensor} from ${first} as [${shape}]: it reaches past the end`,
    );
  }
  const storage = new Storage(label, bytesOf(shape), true);
  storage.buffer = bufferOf(tensor);
  storage.byteOffset = tensor.storage.byteOffset + first * BYTES_PER_ELEMENT;
  return new Tensor(storage, shape, tensor.dtype);
}

/** Reads one f32 tensor back. @throws {DeviceError} {TypeError} */
export async function read(
  device: Device,
  tensor: Tensor,
): Promise<Float32Array<ArrayBuffer>> {
  const [data] = await readAll(device, [tensor]);
  if (!(data instanceof Float32Array)) {
    throw new TypeError(`Cannot read ${tensor} as f32: it is ${tensor.dtype}`);
  }
  return data;
}

function typed(
  dtype: DType,
  bytes: ArrayBuffer = new ArrayBuffer(0),
): TypedArray {
  if (dtype === "f32") return new Float32Array(bytes);
  return dtype === "u32" ? new Uint32Array(bytes) : new Int32Array(bytes);
}
