/**
 * Tensors: a shape and a dtype over a piece of GPU memory.
 *
 * A persistent tensor (parameters, inputs, results) has its buffer from the start. A transient one is made
 * while recording and gets a pooled buffer when the plan is laid out (see plan.ts). Views share the storage,
 * and so the gradient.
 */
import type { Device } from "./device.ts";

/** The matching typed arrays. */
const ARRAYS = { f32: Float32Array, f16: Float16Array, u32: Uint32Array, i32: Int32Array };

/** Element types of tensors: four bytes wide, f16 two. */
export type DType = keyof typeof ARRAYS;
/** Element types of activations: f16 in mixed precision. */
export type Activation = "f32" | "f16";
/** What tensors are uploaded from and read into. */
export type TypedArray =
  | Float32Array<ArrayBuffer>
  | Float16Array<ArrayBuffer>
  | Uint32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>;

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
    if (bytesOf(shape, dtype) > storage.bytes) {
      throw new RangeError(
        `Cannot view "${storage.label}" as [${shape}]: it holds ${storage.bytes} bytes, expected ${
          bytesOf(shape, dtype)
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
   * @throws {TypeError} where the length differs, or the width of the elements.
   */
  upload(device: Device, data: TypedArray): void {
    if (data.length !== this.length || data.BYTES_PER_ELEMENT !== elementBytes(this.dtype)) {
      throw new TypeError(
        `Cannot upload to ${this.dtype} ${this}: ${data.length} values of ${data.BYTES_PER_ELEMENT} bytes, ` +
          `expected ${this.length} of ${elementBytes(this.dtype)}`,
      );
    }
    device.write(bufferOf(this), this.storage.byteOffset, wholeWords(data));
  }
}

/** A trainable tensor with its gradient. One may hold several of the checkpoint's tensors, stacked by rows. */
export interface Parameter {
  readonly value: Tensor;
  /** Absent where nothing trains. */
  readonly gradient: Tensor | undefined;
  /** The value rounded to f16, which matrix products read in mixed precision; absent in float32. */
  readonly half?: Tensor | undefined;
}

/** Number of elements of `shape`. */
export function elements(shape: readonly number[]): number {
  return shape.reduce((product, length) => product * length, 1);
}

/** Bytes of one element. */
export function elementBytes(dtype: DType): number {
  return ARRAYS[dtype].BYTES_PER_ELEMENT;
}

/** Bytes of a tensor of `shape`: whole words of four, as WebGPU copies and clears. */
export function bytesOf(shape: readonly number[], dtype: DType): number {
  return Math.ceil(elements(shape) * elementBytes(dtype) / 4) * 4;
}

/** `data`, with a zero behind it where f16 values fill no whole number of words. */
function wholeWords(data: TypedArray): TypedArray {
  if (data.byteLength % 4 === 0) return data;
  const padded = new Float16Array(data.length + 1);
  padded.set(data);
  return padded;
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
  const storage = new Storage(label, bytesOf(shape, dtype), true);
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
    const bytes = bytesOf(tensor.shape, tensor.dtype);
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
    return tensors.map((tensor, i) => typed(tensor, staging[i]?.getMappedRange().slice(0)));
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
  const storage = new Storage(label, bytesOf(shape, tensor.dtype), true);
  storage.buffer = bufferOf(tensor);
  storage.byteOffset = tensor.storage.byteOffset + first * elementBytes(tensor.dtype);
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

function typed({ dtype, length }: Tensor, bytes: ArrayBuffer = new ArrayBuffer(0)): TypedArray {
  return new ARRAYS[dtype](bytes, 0, length);
}
