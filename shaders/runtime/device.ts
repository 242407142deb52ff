/**
 * The GPU: adapter, features, limits and every way in which it can fail.
 *
 * First file of the runtime: tensors, kernels and plans are all made on a `Device`. WebGPU reports most
 * errors asynchronously and drops the offending command; here they always become exceptions.
 *
 * Source: W3C WebGPU, sections 4.4 (GPUDevice) and 22 (errors).
 */
import type { MatmulChoices } from "../matmul_choice.ts";
import { DeviceError, OutOfMemoryError } from "./device_error.ts";
import type { Compiled } from "./kernel.ts";
import type { Activation } from "./tensor.ts";

export { DeviceError, OutOfMemoryError };

/** How to open a device. */
export interface DeviceOptions {
  /** `false` pretends that the adapter has no subgroups, which selects the other kernels. */
  subgroups?: boolean;
  /** `false` loads four floats at once even where two at a time are faster. */
  wide?: boolean;
  /** `false` pretends that the adapter has no f16, so that everything is float32. */
  f16?: boolean;
  /** `false` counts the bytes of buffers instead of making them: for plans of what does not fit. */
  allocates?: boolean;
}

/** Feature names that Deno's type definitions do not list. */
const SUBGROUPS = "subgroups" as GPUFeatureName;
const F16: GPUFeatureName = "shader-f16";
const INT64 = "wgpu-shader-int64" as GPUFeatureName;

/** Storage buffers that one kernel may bind; the attention kernels need more than WebGPU's default of 8. */
const STORAGE_BUFFERS = 12;

/** An opened GPU with its pipeline cache. */
export class Device implements Disposable {
  /** Lanes of a subgroup, or 0 where subgroups are absent or their width is not fixed. */
  readonly subgroupSize: number;
  /** Whether to load two floats as one u64: faster where a CPU plays the GPU and loads lane by lane. */
  readonly wide: boolean;
  /** Whether kernels may read and write f16. */
  readonly f16: boolean;
  /** Pipelines by kernel and constants. */
  readonly pipelines: Map<string, Promise<Compiled>> = new Map();
  /** The faster element type for activations, once it was measured (model/precision.ts). */
  preferredDtype: Promise<Activation> | undefined;
  /** The kernels for matrix products, once they were measured (matmul_tuning.ts). */
  matmulChoices: MatmulChoices | undefined;
  /** Whether buffers are real; without, nothing can be run. */
  readonly allocates: boolean;
  #error: DeviceError | undefined;
  #isClosed = false;
  #bytes = 0;
  #peakBytes = 0;
  #largestBytes = 0;

  private constructor(
    readonly gpu: GPUDevice,
    readonly adapter: GPUAdapterInfo,
    readonly options: DeviceOptions,
  ) {
    this.allocates = options.allocates ?? true;
    const usable = options.subgroups !== false && gpu.features.has(SUBGROUPS) &&
      adapter.subgroupMinSize === adapter.subgroupMaxSize;
    this.subgroupSize = usable ? adapter.subgroupMinSize : 0;
    this.wide = options.wide !== false && adapter.isFallbackAdapter && gpu.features.has(INT64);
    this.f16 = options.f16 !== false && gpu.features.has(F16);
    gpu.addEventListener("uncapturederror", (event) => {
      const { error } = event as GPUUncapturedErrorEvent;
      this.#error ??= new DeviceError(`Cannot go on: the GPU reported: ${error.message}`);
    });
    gpu.lost.then(({ message }) => {
      if (this.#isClosed) return;
      this.#error ??= new DeviceError(`Cannot go on: the GPU was lost: ${message}`);
    });
  }

  /**
   * Opens the default adapter with every feature and limit that our kernels use.
   *
   * @throws {DeviceError} where there is no adapter, or it refuses.
   */
  static async open(options: DeviceOptions = {}): Promise<Device> {
    const adapter = await navigator.gpu?.requestAdapter({
      powerPreference: "high-performance",
    });
    if (!adapter) {
      throw new DeviceError(
        "Cannot open a GPU: no WebGPU adapter was found; run `deno task setup` to see what is missing",
      );
    }
    const limits: Record<string, number> = {};
    for (
      const name of [
        "maxBufferSize",
        "maxStorageBufferBindingSize",
        "maxComputeWorkgroupStorageSize",
        "maxComputeInvocationsPerWorkgroup",
        "minStorageBufferOffsetAlignment",
        "minUniformBufferOffsetAlignment",
      ] as const
    ) limits[name] = adapter.limits[name];
    limits.maxStorageBuffersPerShaderStage = Math.min(
      STORAGE_BUFFERS,
      adapter.limits.maxStorageBuffersPerShaderStage,
    );
    const optional: GPUFeatureName[] = [SUBGROUPS, "timestamp-query", F16, INT64];
    return new Device(
      await request(adapter, optional, limits),
      adapter.info,
      options,
    );
  }

  /** Supported limits. */
  get limits(): GPUSupportedLimits {
    return this.gpu.limits;
  }

  /** "llvmpipe (LLVM 15.0.6, 256 bits)" or the like. */
  get description(): string {
    return this.adapter.description || this.adapter.device ||
      this.adapter.vendor;
  }

  /** @throws {DeviceError} the first error that no scope caught, or the loss of the device. */
  check(): void {
    if (this.#error) throw this.#error;
  }

  /** The same device with the same kernels, on which buffers are only counted. */
  forPlanning(): Device {
    const device = new Device(this.gpu, this.adapter, { ...this.options, allocates: false });
    device.matmulChoices = this.matmulChoices;
    return device;
  }

  /** Bytes of all buffers that are there now. */
  get bytes(): number {
    return this.#bytes;
  }

  /** The most bytes that were there at once. */
  get peakBytes(): number {
    return this.#peakBytes;
  }

  /** Bytes of the largest buffer so far. */
  get largestBytes(): number {
    return this.#largestBytes;
  }

  /**
   * Makes a buffer.
   *
   * @throws {DeviceError} where it is larger than the device allows or memory runs out (at the next `scoped`).
   */
  buffer(label: string, bytes: number, usage: GPUBufferUsageFlags): GPUBuffer {
    const size = Math.max(4, Math.ceil(bytes / 4) * 4);
    if (!this.allocates) return this.#counted(standIn(label, size, usage));
    if (size > this.limits.maxBufferSize) {
      throw new DeviceError(
        `Cannot make the buffer "${label}": ${bytes} bytes, expected at most ${this.limits.maxBufferSize} ` +
          `on ${this.description}; choose a smaller model or batch`,
      );
    }
    return this.#counted(this.gpu.createBuffer({ label, size, usage }));
  }

  /** Counts a buffer until it is destroyed, however that comes. */
  #counted(buffer: GPUBuffer): GPUBuffer {
    const { size } = buffer;
    const free = buffer.destroy.bind(buffer);
    let counts = true;
    buffer.destroy = () => {
      if (counts) this.#bytes -= size;
      counts = false;
      free();
    };
    this.#bytes += size;
    this.#peakBytes = Math.max(this.#peakBytes, this.#bytes);
    this.#largestBytes = Math.max(this.#largestBytes, size);
    return buffer;
  }

  /** Copies data into a buffer; nothing where buffers are only counted. */
  write(buffer: GPUBuffer, offset: number, data: BufferSource): void {
    if (this.allocates) this.gpu.queue.writeBuffer(buffer, offset, data);
  }

  /**
   * Bytes that are free, where that can be told: on a processor, where it is the system's memory. WebGPU keeps the sizes
   * of GPUs' memories to itself, see canHold().
   */
  get freeBytes(): number | undefined {
    const permission = { name: "sys", kind: "systemMemoryInfo" } as const;
    if (!this.adapter.isFallbackAdapter) return undefined;
    if (Deno.permissions.querySync(permission).state !== "granted") return undefined;
    return Deno.systemMemoryInfo().available;
  }

  /** Whether `bytes` more can be had, by having them for a moment. A processor's driver promises more than there is. */
  async canHold(bytes: number): Promise<boolean> {
    const part = Math.min(this.limits.maxBufferSize, 2 ** 30);
    const buffers: GPUBuffer[] = [];
    this.gpu.pushErrorScope("out-of-memory");
    for (let left = bytes; left > 0; left -= part) {
      const size = Math.ceil(Math.min(part, left) / 4) * 4;
      buffers.push(this.gpu.createBuffer({ label: "probe", size, usage: GPUBufferUsage.STORAGE }));
    }
    const error = await this.gpu.popErrorScope();
    for (const buffer of buffers) buffer.destroy();
    return error === null;
  }

  /**
   * Runs `make` so that what WebGPU has against it, or a lack of memory, is thrown with `what` in front.
   *
   * @throws {DeviceError}
   */
  async scoped<T>(what: string, make: () => T): Promise<T> {
    this.gpu.pushErrorScope("out-of-memory");
    this.gpu.pushErrorScope("validation");
    let made: T;
    try {
      made = make();
    } catch (error) {
      await this.gpu.popErrorScope();
      await this.gpu.popErrorScope();
      throw error;
    }
    const invalid = await this.gpu.popErrorScope();
    const memory = await this.gpu.popErrorScope();
    if (memory) throw new OutOfMemoryError(`Cannot ${what}: out of GPU memory: ${memory.message}`);
    if (invalid) throw new DeviceError(`Cannot ${what}: ${invalid.message}`);
    return made;
  }

  /** Waits until all submitted work is done. @throws {DeviceError} */
  async idle(): Promise<void> {
    await this.gpu.queue.onSubmittedWorkDone();
    this.check();
  }

  /** Frees the device and everything made on it. */
  destroy(): void {
    this.#isClosed = true;
    this.gpu.destroy();
  }

  readonly [Symbol.dispose] = (): void => this.destroy();
}

/** Requests the device with the optional features that it grants; `adapter.features` hides some. */
async function request(
  adapter: GPUAdapter,
  optional: GPUFeatureName[],
  requiredLimits: Record<string, number>,
): Promise<GPUDevice> {
  const label = "nanovlm";
  let wanted = optional;
  while (true) {
    try {
      return await adapter.requestDevice({ label, requiredFeatures: wanted, requiredLimits });
    } catch (error) {
      if (wanted.length === 0) {
        throw new DeviceError(`Cannot open the GPU "${adapter.info.description}": ${error}`);
      }
      wanted = wanted === optional ? await granted(optional) : [];
    }
  }
}

/** The features that the adapter grants one by one; each try takes an adapter of its own, for a device spends it. */
async function granted(optional: GPUFeatureName[]): Promise<GPUFeatureName[]> {
  const features: GPUFeatureName[] = [];
  for (const feature of optional) {
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
    try {
      (await adapter?.requestDevice({ requiredFeatures: [feature] }))?.destroy();
      if (adapter) features.push(feature);
    } catch {
      // Refused: the kernels do without.
    }
  }
  return features;
}

/** What passes for a buffer where buffers are only counted. */
function standIn(label: string, size: number, usage: GPUBufferUsageFlags): GPUBuffer {
  const buffer: Pick<GPUBuffer, "label" | "size" | "usage" | "destroy"> = {
    label,
    size,
    usage,
    destroy: () => {},
  };
  return buffer as GPUBuffer;
}
