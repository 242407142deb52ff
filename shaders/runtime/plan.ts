/**
 * The plan: recorded commands laid out in memory once and replayed as often as wanted.
 *
 * Liveness gives every transient tensor a pooled buffer that is free from its first to its last use; then all
 * uniforms and bind groups are made. `run()` only encodes: about 2 microseconds a dispatch.
 */
import { type Device, DeviceError } from "./device.ts";
import { compile, type Compiled, packParams } from "./kernel.ts";
import { BufferPool, layOut } from "./memory.ts";
import { type Command, type Dispatch, list, Recorder } from "./recorder.ts";
import { type Activation, bufferOf, bytesOf, readAll, type Tensor } from "./tensor.ts";

/** A launch with everything that WebGPU needs. */
interface Prepared {
  readonly name: string;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

type Step = Prepared | { readonly clear: Tensor };

/** Time of one launch. */
export interface LaunchTime {
  /** The kernel's. */
  readonly name: string;
  readonly milliseconds: number;
}

/** Time of one kernel over a profiled run. */
export interface KernelTime {
  readonly name: string;
  readonly count: number;
  readonly milliseconds: number;
}

/** How to record a plan. */
export interface PlanOptions {
  /** Whether to record the tape, for `backprop`. */
  readonly training?: boolean;
  /** Collects intermediate tensors, see Recorder.tap(). */
  readonly taps?: Map<string, Tensor>;
  /** "f16" for mixed precision, see Recorder. */
  readonly activation?: Activation;
  /** Memory to share with other plans that never run at the same time; by default the plan has its own. */
  readonly pool?: BufferPool;
}

/** A fixed list of dispatches over fixed memory. */
export class Plan<T = unknown> {
  private constructor(
    readonly device: Device,
    /** What the recording function returned: tensors to upload to or to read. */
    readonly result: T,
    readonly steps: readonly Step[],
    readonly buffers: readonly GPUBuffer[],
    readonly ownPool: BufferPool | undefined,
  ) {}

  /**
   * Records `build` once and lays it out.
   *
   * @throws {DeviceError} {ShaderError} naming the kernel and its shapes.
   */
  static async record<T>(
    device: Device,
    build: (rec: Recorder) => T,
    { training = false, taps, activation, pool }: PlanOptions = {},
  ): Promise<Plan<T>> {
    const rec = new Recorder(device, training, taps, activation);
    const result = build(rec);
    const memory = pool ?? new BufferPool();
    await layOut(device, rec, memory);
    const uniforms = await packUniforms(device, rec.commands);
    const steps: Step[] = [];
    let index = 0;
    for (const command of rec.commands) {
      steps.push("clear" in command ? command : await prepare(device, command, uniforms, index++));
    }
    return new Plan(
      device,
      result,
      steps,
      [...rec.owned.map(bufferOf), uniforms.buffer],
      pool ? undefined : memory,
    );
  }

  /** Number of kernel launches in a run. */
  get dispatches(): number {
    return this.steps.filter((step) => "pipeline" in step).length;
  }

  /**
   * Encodes and submits the whole list; does not wait.
   *
   * @throws {DeviceError} what the GPU reported about earlier runs.
   */
  run(): void {
    this.device.check();
    const encoder = this.device.gpu.createCommandEncoder({ label: "plan" });
    let pass: GPUComputePassEncoder | undefined;
    for (const step of this.steps) {
      if ("clear" in step) {
        pass?.end();
        pass = undefined;
        encodeClear(encoder, step.clear);
      } else {
        pass ??= encoder.beginComputePass();
        encode(pass, step);
      }
    }
    pass?.end();
    this.device.gpu.queue.submit([encoder.finish()]);
  }

  /** Runs once with a timestamp around every launch; the sums by kernel, slowest first. @throws {DeviceError} */
  async profile(): Promise<KernelTime[]> {
    const launches = Map.groupBy(await this.launchTimes(), ({ name }) => name);
    return [...launches].map(([name, its]) => ({
      name,
      count: its.length,
      milliseconds: its.reduce((sum, { milliseconds }) => sum + milliseconds, 0),
    })).sort((a, b) => b.milliseconds - a.milliseconds);
  }

  /** Runs once with a timestamp around every launch; their times in the order of the plan. @throws {DeviceError} */
  async launchTimes(): Promise<LaunchTime[]> {
    if (!this.device.gpu.features.has("timestamp-query")) {
      throw new DeviceError(
        `Cannot profile: ${this.device.description} has no timestamp queries`,
      );
    }
    const times: LaunchTime[] = [];
    for (let start = 0; start < this.steps.length; start += 1024) {
      const part = this.steps.slice(start, start + 1024);
      const stamps = await this.#timed(part);
      part.forEach((step, i) => {
        if ("clear" in step) return;
        const nanoseconds = (stamps[2 * i + 1] ?? 0n) - (stamps[2 * i] ?? 0n);
        times.push({ name: step.name, milliseconds: Number(nanoseconds) / 1e6 });
      });
    }
    return times;
  }

  /** Time of one run, by the GPU's clock where it has one. @throws {DeviceError} */
  async milliseconds(): Promise<number> {
    if (this.device.gpu.features.has("timestamp-query")) {
      return (await this.profile()).reduce((sum, kernel) => sum + kernel.milliseconds, 0);
    }
    const start = performance.now();
    this.run();
    await this.device.idle();
    return performance.now() - start;
  }

  async #timed(part: readonly Step[]): Promise<BigUint64Array> {
    const { gpu } = this.device;
    const querySet = gpu.createQuerySet({
      type: "timestamp",
      count: part.length * 2,
    });
    const bytes = part.length * 16;
    const resolved = this.device.buffer(
      "timestamps",
      bytes,
      GPUBufferUsage.QUERY_RESOLVE | GPUBufferUsage.COPY_SRC,
    );
    const staging = this.device.buffer(
      "timestamps read",
      bytes,
      GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
    );
    const encoder = gpu.createCommandEncoder({ label: "profile" });
    part.forEach((step, i) => {
      if ("clear" in step) return encodeClear(encoder, step.clear);
      const pass = encoder.beginComputePass({
        timestampWrites: {
          querySet,
          beginningOfPassWriteIndex: 2 * i,
          endOfPassWriteIndex: 2 * i + 1,
        },
      });
      encode(pass, step);
      pass.end();
    });
    encoder.resolveQuerySet(querySet, 0, part.length * 2, resolved, 0);
    encoder.copyBufferToBuffer(resolved, 0, staging, 0, bytes);
    gpu.queue.submit([encoder.finish()]);
    await staging.mapAsync(GPUMapMode.READ);
    const stamps = new BigUint64Array(staging.getMappedRange().slice(0));
    this.device.check();
    for (const resource of [querySet, resolved, staging]) resource.destroy();
    return stamps;
  }

  /** Reads kept or persistent floating-point tensors after a run, in one wait. @throws {DeviceError} */
  async read(...tensors: Tensor[]): Promise<Float32Array[]> {
    return (await readAll(this.device, tensors)).map((data) =>
      data instanceof Float16Array ? new Float32Array(data) : new Float32Array(data.buffer)
    );
  }

  /** Frees the plan's buffers, except those of a shared pool. */
  destroy(): void {
    for (const buffer of this.buffers) buffer.destroy();
    this.ownPool?.destroy();
  }
}

function encode(pass: GPUComputePassEncoder, step: Prepared): void {
  pass.setPipeline(step.pipeline);
  pass.setBindGroup(0, step.bindGroup);
  pass.dispatchWorkgroups(...step.workgroups);
}

function encodeClear(encoder: GPUCommandEncoder, tensor: Tensor): void {
  encoder.clearBuffer(
    bufferOf(tensor),
    tensor.storage.byteOffset,
    bytesOf(tensor.shape, tensor.dtype),
  );
}

interface Uniforms {
  readonly buffer: GPUBuffer;
  readonly ranges: readonly { offset: number; size: number }[];
}

/** All dispatches' params in one buffer. */
function packUniforms(
  device: Device,
  commands: readonly Command[],
): Promise<Uniforms> {
  const alignment = device.limits.minUniformBufferOffsetAlignment;
  const packed = commands.flatMap((command) =>
    "clear" in command ? [] : [packParams(command.kernel, command.params)]
  );
  let bytes = 0;
  const ranges = packed.map((params) => {
    const offset = bytes;
    bytes += Math.ceil(params.byteLength / alignment) * alignment;
    return { offset, size: params.byteLength };
  });
  const data = new Uint8Array(Math.max(16, bytes));
  packed.forEach((params, i) => data.set(params, ranges[i]?.offset));
  return device.scoped("make the plan's uniforms", () => {
    const buffer = device.buffer(
      "params",
      data.byteLength,
      GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST,
    );
    device.gpu.queue.writeBuffer(buffer, 0, data);
    return { buffer, ranges };
  });
}

async function prepare(
  device: Device,
  dispatch: Dispatch,
  uniforms: Uniforms,
  index: number,
): Promise<Prepared> {
  const { kernel, tensors, workgroups } = dispatch;
  const what = `${kernel.name} on ${list(tensors)}`;
  const { pipeline, layout }: Compiled = await compile(
    device,
    kernel,
    dispatch.constants,
  );
  const entries: GPUBindGroupEntry[] = [{
    binding: 0,
    resource: { buffer: uniforms.buffer, ...uniforms.ranges[index] },
  }];
  const limit = device.limits.maxStorageBufferBindingSize;
  for (const [name, { number }] of kernel.layout) {
    const tensor = tensors.get(name);
    if (!tensor) {
      throw new TypeError(`Cannot prepare ${what}: "${name}" is missing`);
    }
    const { byteOffset: offset, bytes } = tensor.storage;
    const size = Math.max(4, bytes);
    if (size > limit) {
      throw new DeviceError(
        `Cannot prepare ${what}: ${tensor} takes ${size} bytes, expected at most ${limit} on ${device.description}; ` +
          "choose a smaller model or batch",
      );
    }
    entries.push({
      binding: number,
      resource: { buffer: bufferOf(tensor), offset, size },
    });
  }
  const bindGroup = await device.scoped(
    `bind ${what}`,
    () => device.gpu.createBindGroup({ label: kernel.name, layout, entries }),
  );
  return { name: kernel.name, pipeline, bindGroup, workgroups };
}
