// Reads safetensors files one tensor at a time, so that a file larger than memory is no problem, and checks them first.
// And writes them, also one tensor at a time. Below checkpoint.ts and backbones.ts.
// Source: the format's description, https://github.com/huggingface/safetensors#format.
// Numbers are little-endian in the file and in memory: every machine with WebGPU is.
import { whatIs } from "../data/file_kind.ts";
import { writeBeside } from "./saved_files.ts";
import { CheckpointError, parseHeader, type TensorEntry } from "./safetensors_header.ts";

export { CheckpointError, type TensorEntry };
export type { Dtype } from "./safetensors_header.ts";

/** What the typed reads return. */
export type TensorData =
  | Float32Array<ArrayBuffer>
  | Int32Array<ArrayBuffer>
  | BigInt64Array<ArrayBuffer>
  | Uint8Array<ArrayBuffer>;

/** An open safetensors file. Close it, or declare it with `using`. */
export class SafetensorsFile implements Disposable {
  /** The texts under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** All tensors, by name. */
  readonly tensors: ReadonlyMap<string, TensorEntry>;
  readonly #file: Deno.FsFile;
  readonly #dataStart: number;

  /** Use openSafetensors(). */
  constructor(readonly path: string, file: Deno.FsFile) {
    this.#file = file;
    const header = readHeader(path, file);
    this.metadata = header.metadata;
    this.tensors = header.tensors;
    this.#dataStart = header.dataStart;
  }

  /**
   * The entry of tensor `name`.
   *
   * @throws {CheckpointError} if there is none
   */
  entry(name: string): TensorEntry {
    const entry = this.tensors.get(name);
    if (entry !== undefined) return entry;
    throw new CheckpointError(
      this.path,
      `it has no tensor "${name}"`,
      "one of that name",
    );
  }

  /**
   * The elements of tensor `name` in row-major order: F32, F16 and BF16 as float32, I32, I64, and U8 as they are.
   *
   * @throws {CheckpointError} if there is no such tensor, it is of another kind, or the file became shorter
   */
  read(name: string): TensorData {
    const { dtype } = this.entry(name);
    if (dtype === "I32") return new Int32Array(this.#bytes(name));
    if (dtype === "I64") return new BigInt64Array(this.#bytes(name));
    if (dtype === "U8") return new Uint8Array(this.#bytes(name));
    return this.#readFloat32(name);
  }

  /**
   * The elements of the F32, F16 or BF16 tensor `name` in row-major order, as float32 (which holds all three exactly).
   *
   * @throws {CheckpointError} if there is no such tensor, it is of another kind, a number in it is not finite, or the file
   * became shorter
   */
  readFloat32(name: string): Float32Array<ArrayBuffer> {
    const values = this.#readFloat32(name);
    for (let i = 0; i < values.length; i++) {
      const value = values[i] ?? 0;
      if (value - value === 0) continue; // which no infinity and no NaN is
      throw new CheckpointError(
        this.path,
        `tensor "${name}" has ${value} at element ${i}`,
        "finite numbers only",
        "The model is broken, perhaps by a training that failed: take an earlier one.",
      );
    }
    return values;
  }

  #readFloat32(name: string): Float32Array<ArrayBuffer> {
    const { dtype } = this.entry(name);
    if (dtype === "F32") return new Float32Array(this.#bytes(name));
    if (dtype === "F16") {
      return new Float32Array(new Float16Array(this.#bytes(name)));
    }
    if (dtype === "BF16") return fromBfloat16(this.#bytes(name));
    throw new CheckpointError(
      this.path,
      `tensor "${name}" is ${dtype}`,
      "F32, F16 or BF16",
    );
  }

  #bytes(name: string): ArrayBuffer {
    const [start, end] = this.entry(name).offsets;
    return readAt(this.path, this.#file, this.#dataStart + start, end - start);
  }

  /** Closes the file. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/**
 * Opens the safetensors file at `path` and checks its header against its length. Reads no tensor yet.
 *
 * @throws {CheckpointError} if it is damaged
 * @throws {Deno.errors.NotFound} if there is none
 */
export function openSafetensors(path: string): SafetensorsFile {
  const file = Deno.openSync(path);
  try {
    return new SafetensorsFile(path, file);
  } catch (error) {
    file.close();
    throw error;
  }
}

// A bfloat16 is the upper half of the float32 of the same value.
function fromBfloat16(buffer: ArrayBuffer): Float32Array<ArrayBuffer> {
  const halves = new Uint16Array(buffer);
  const bits = new Uint32Array(halves.length);
  for (let i = 0; i < halves.length; i++) bits[i] = (halves[i] ?? 0) << 16;
  return new Float32Array(bits.buffer);
}

function readAt(
  path: string,
  file: Deno.FsFile,
  start: number,
  length: number,
): ArrayBuffer {
  const bytes = new Uint8Array(length);
  file.seekSync(start, Deno.SeekMode.Start);
  for (let done = 0; done < length;) {
    const count = file.readSync(bytes.subarray(done));
    if (count === null) {
      throw new CheckpointError(
        path,
        `it ends before byte ${start + length}`,
        "the length it had when it was opened",
      );
    }
    done += count;
  }
  return bytes.buffer;
}

// The format allows ten times as much, for which reading takes half a minute and 1.5 GB; real headers have a few 10,000.
const MAX_HEADER_BYTES = 10_000_000;
const START_BYTES = 512;

function readHeader(path: string, file: Deno.FsFile) {
  const fileBytes = file.statSync().size;
  if (fileBytes < 8) {
    throw new CheckpointError(path, `it has ${fileBytes} bytes`, "at least 8");
  }
  const length = new DataView(readAt(path, file, 0, 8)).getBigUint64(0, true);
  const most = Math.min(fileBytes - 8, MAX_HEADER_BYTES);
  if (length > most) {
    const start = new Uint8Array(readAt(path, file, 0, Math.min(fileBytes, START_BYTES)));
    const kind = length > MAX_HEADER_BYTES ? whatIs(start) : "an unknown file";
    throw new CheckpointError(
      path,
      `its header claims ${length} bytes` +
        (kind.startsWith("an unknown file") ? "" : `, for it is ${kind}`),
      `at most ${most} in a file of ${fileBytes}`,
    );
  }
  const headerBytes = Number(length);
  const dataStart = 8 + headerBytes;
  const bytes = new Uint8Array(readAt(path, file, 8, headerBytes));
  return { ...parseHeader(path, bytes, fileBytes - dataStart), dataStart };
}

/** A tensor to write: its elements in row-major order, or what will make them when their turn comes. */
export interface TensorSource {
  readonly name: string;
  readonly shape: readonly number[];
  readonly data: Float32Array | (() => Float32Array | Promise<Float32Array>);
}

/**
 * Writes `tensors` as F32 to a safetensors file at `path`, sorted by name, as Python's save_model does.
 *
 * The bytes go to a file beside it, which takes the name `path` only when all of it is on the disk.
 *
 * @returns the checksum of the file
 * @throws {TypeError} if two tensors have the same name
 * @throws {RangeError} if a tensor's data does not have as many elements as its shape says
 */
export async function writeSafetensors(
  path: string,
  tensors: Iterable<TensorSource>,
  metadata: Readonly<Record<string, string>> = {},
): Promise<string> {
  const sorted = [...tensors].sort((a, b) => a.name < b.name ? -1 : 1);
  const header = formatHeader(path, sorted, metadata);
  return await writeBeside(path, async (put) => {
    await put(header);
    for (const { name, shape, data } of sorted) {
      const values = typeof data === "function" ? await data() : data;
      if (values.length !== elementCount(shape)) {
        throw new RangeError(
          `Cannot write "${path}": tensor "${name}" has ${values.length} elements, expected ${
            elementCount(shape)
          } for [${shape.join(", ")}]. Give data of that shape.`,
        );
      }
      await put(new Uint8Array(values.buffer, values.byteOffset, values.byteLength));
    }
  });
}

function elementCount(shape: readonly number[]): number {
  return shape.reduce((product, side) => product * side, 1);
}

function formatHeader(
  path: string,
  sorted: readonly TensorSource[],
  metadata: Readonly<Record<string, string>>,
): Uint8Array {
  const entries: Array<[string, unknown]> = [];
  if (Object.keys(metadata).length > 0) {
    entries.push(["__metadata__", metadata]);
  }
  let position = 0;
  for (const [index, { name, shape }] of sorted.entries()) {
    if (name === sorted[index + 1]?.name) {
      throw new TypeError(
        `Cannot write "${path}": two tensors have the name "${name}", expected each name once. Rename one.`,
      );
    }
    const end = position + 4 * elementCount(shape);
    entries.push([name, { dtype: "F32", shape, data_offsets: [position, end] }]);
    position = end;
  }
  const json = new TextEncoder().encode(
    JSON.stringify(Object.fromEntries(entries)),
  );
  const length = Math.ceil(json.length / 8) * 8;
  const header = new Uint8Array(8 + length).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(length), true);
  header.set(json, 8);
  return header;
}
