/**
 * The plan: recorded commands laid out in memory once and replayed as often as wanted.
 *
 * Liveness gives every transient tensor a pooled buffer that is free from its first to its last use; then all
 * uniforms and bind groups are made. `run()` only encodes: about 2 microseconds a dispatch.
 */
import { type Command, type Dispatch, list } from "./command.ts";
import { type Device, DeviceError } from "./device.ts";
import { compile, type Compiled, packParams } from "./kernel.ts";
import { allocate, assignSlots, BufferPool, livesOf } from "./memory.ts";
import { type PlanSize, planSize } from "./plan_size.ts";
import { type KernelTime, sumTimes } from "./profile.ts";
import { Recorder, type RecorderOptions } from "./recorder.ts";
import { bufferOf, bytesOf, readAll, type Tensor } from "./tensor.ts";

export type { KernelTime } from "./profile.ts";

/** A launch with everything that WebGPU needs. */
interface Prepared {
  readonly name: string;
  readonly flops: number;
  readonly pipeline: GPUComputePipeline;
  readonly bindGroup: GPUBindGroup;
  readonly workgroups: readonly [number, number, number];
}

type Step = Prepared | { readonly clear: Tensor };

/** How to record a plan. */
export interface PlanOptions extends RecorderOptions {
  /** Whether to record the tape, for `backprop`. */
  readonly training?: boolean;
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
    readonly size: PlanSize,
  ) {}

  /**
   * Records `build` once and lays it out. On a device that only counts buffers, the plan tells its size and cannot run.
   *
   * @throws {DeviceError} {ShaderError} naming the kernel and its shapes.
   */
  static async record<T>(
    device: Device,
    build: (rec: Recorder) => T,
    { training = false, pool, ...options }: PlanOptions = {},
  ): Promise<Plan<T>> {
    const rec = new Recorder(device, training, options);
    const result = build(rec);
    const lives = livesOf(rec);
    const slots = assignSlots(lives);
    const memory = pool ?? new BufferPool();
    await allocate(device, slots, memory);
    const uniforms = await packUniforms(device, rec.commands);
    const steps: Step[] = [];
    let index = 0;
    for (const command of device.allocates ? rec.commands : []) {
      steps.push("clear" in command ? command : await prepare(device, command, uniforms, index++));
    }
    return new Plan(
      device,
      result,
      steps,
      [...rec.owned.map(bufferOf), uniforms.buffer],
      pool ? undefined : memory,
      planSize(rec, lives, slots),
    );
  }

  /** Number of kernel launches in a run. */
  get dispatches(): number {
    return this.size.dispatches;
  }

  /**
   * Encodes and submits the whole list; does not wait.
   *
   * @throws {DeviceError} what the GPU reported about earlier runs.
   */
  run(): void {
    this.device.check();
    const encoder = this.device.gpu.createCommandEncoder({ label: "plan" });
    this.encode(encoder);
    this.device.gpu.queue.submit([encoder.finish()]);
  }

  /** Appends the whole list to an encoder, among other things to submit. @throws {DeviceError} */
  encode(encoder: GPUCommandEncoder): void {
    if (!this.device.allocates) {
      throw new DeviceError(
        "Cannot run the plan: its buffers were only counted, expected a device that makes them",
      );
    }
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
  }

  /** Runs once with a timestamp around every launch; the sums by kernel, slowest first. @throws {DeviceError} */
  async profile(): Promise<KernelTime[]> {
    return sumTimes(await this.launchTimes());
  }

  /** Runs once with a timestamp around every launch; their times, in the plan's order. @throws {DeviceError} */
  async launchTimes(): Promise<KernelTime[]> {
    if (!this.device.gpu.features.has("timestamp-query")) {
      throw new DeviceError(
        `Cannot profile: ${this.device.description} has no timestamp queries`,
      );
    }
    const times: KernelTime[] = [];
    for (let start = 0; start < this.steps.length; start += 1024) {
      const part = this.steps.slice(start, start + 1024);
      const stamps = await this.#timed(part);
      part.forEach((step, i) => {
        if ("clear" in step) return;
        const milliseconds = Number((stamps[2 * i + 1] ?? 0n) - (stamps[2 * i] ?? 0n)) / 1e6;
        times.push({ name: step.name, count: 1, milliseconds, flops: step.flops });
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
    device.write(buffer, 0, data);
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
  return { name: kernel.name, flops: dispatch.flops, pipeline, bindGroup, workgroups };
}
