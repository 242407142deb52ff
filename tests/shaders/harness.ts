/**
 * Runs one recorded op on the GPU and hands back its result and gradients, for the tests of kernels.
 *
 * Sits under every file of tests/shaders/. Whatever runs here runs twice: every transient buffer is filled with
 * NaN first, so an element that a kernel forgets shows, and both runs must agree bit for bit.
 */
import { assertEquals } from "@std/assert";
import { addInto } from "../../shaders/add.ts";
import { Device, DeviceError } from "../../shaders/runtime/device.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import {
  type Activation,
  bufferOf,
  type DType,
  type Parameter,
  persistent,
  readAll,
  type Storage,
  type Tensor,
  type TypedArray,
} from "../../shaders/runtime/tensor.ts";

/** One input: its values, and whether the op takes it as a trainable parameter. */
export interface OpInput {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
  /** "f32" when absent. Only f32 and f16 inputs have gradients. */
  readonly dtype?: DType;
  readonly parameter?: boolean;
  /** false: no gradient flows into it. */
  readonly needsGradient?: boolean;
}

/** What the recording function gets for each input: a Parameter where `parameter` is true, else a Tensor. */
export type Recorded<I> = { [K in keyof I]: I[K] extends { parameter: true } ? Parameter : Tensor };

/** How to run. */
export interface RunOptions {
  /** Gradient of y; without it no backward pass runs. */
  dy?: ArrayLike<number>;
  /** What stands in every gradient before the op's backward pass, which must then add; absent: nothing does. */
  existing?: number;
  /** "f16": in mixed precision, with f16 copies of the parameters. */
  activation?: Activation;
}

/** What a run left behind. */
export interface OpRun<I> {
  /** The returned tensor. */
  readonly y: TypedArray;
  /** Gradients of the inputs that got one. */
  readonly gradients: { readonly [K in keyof I]?: Float32Array };
  /** What every input's own buffer holds afterwards: for ops that write in place. */
  readonly inputs: { readonly [K in keyof I]: TypedArray };
}

/**
 * The devices to test on: with and without subgroups where the adapter has them, and where it loads two floats at once
 * also with subgroups and loads of four; none without an adapter.
 */
export const DEVICES: readonly { readonly family: string; readonly device: Device }[] =
  await openDevices();

async function openDevices(): Promise<{ family: string; device: Device }[]> {
  try {
    const plain = {
      family: "workgroup memory",
      device: await Device.open({ subgroups: false, wide: false }),
    };
    const device = await Device.open();
    if (device.subgroupSize === 0) return [plain];
    const found = [{ family: "subgroups", device }, plain];
    if (!device.wide) return found;
    return [...found, {
      family: "subgroups, four floats a load",
      device: await Device.open({ wide: false }),
    }];
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    console.log(`tests of kernels are skipped: ${error.message}`);
    return [];
  }
}

/** Declares a test once a device; ignored where there is none (the reason was printed). */
export function testOnDevices(name: string, test: (device: Device) => Promise<void>): void {
  if (DEVICES.length === 0) {
    Deno.test({ name: `${name} (no GPU)`, ignore: true, fn: () => {} });
  }
  for (const { family, device } of DEVICES) {
    Deno.test(`${name} (${family})`, () => test(device));
  }
}

/** Declares a test once, for ops that have one form for all devices. */
export function testOnGpu(name: string, test: (device: Device) => Promise<void>): void {
  const device = DEVICES[0]?.device;
  Deno.test({ name, ignore: !device, fn: () => device && test(device) });
}

/** Words that are NaN as f32 and as two f16. */
const NANS = [0x7fc07e00, 0xffc1ff45];

/**
 * Records `build` in training mode, runs it twice and reads everything back. `build` returns the tensor y whose
 * gradient `dy` is.
 */
export async function runOp<const I extends Readonly<Record<string, OpInput>>>(
  device: Device,
  inputs: I,
  build: (rec: Recorder, x: Recorded<I>) => Tensor,
  options: RunOptions = {},
): Promise<OpRun<I>> {
  const { activation = "f32" } = options;
  const made = makeInputs(device, inputs, activation);
  const given = Object.fromEntries(
    Object.entries(made).map(([name, { value, gradient, half, input }]) => [
      name,
      input.parameter ? { value, gradient, half } : value,
    ]),
  ) as Recorded<I>;
  const plan = await Plan.record(device, (rec) => {
    const y = build(rec, given);
    return recordBackward(rec, { y, made }, options);
  }, { training: true, activation });
  const { y, seed, gradients } = plan.result;
  const values = Object.values(made).map(({ value }) => value);
  const read = [y, ...gradients.map((g) => g.gradient), ...values];
  const runs: TypedArray[][] = [];
  for (const nan of NANS) {
    fill(device, { ...plan.result, made, nan }, options);
    plan.run();
    runs.push(await readAll(device, read));
  }
  release(plan, [...values, ...Object.values(made).flatMap((m) => [m.gradient, m.half]), seed]);
  const [first = [], second = []] = runs;
  first.forEach((data, i) => assertSameBits(data, second[i]!, String(read[i])));
  const offset = 1 + gradients.length;
  return {
    y: first[0]!,
    gradients: Object.fromEntries(
      gradients.map(({ name }, i) => [name, Float32Array.from(first[1 + i]!)]),
    ),
    inputs: Object.fromEntries(Object.keys(made).map((name, i) => [name, first[offset + i]])),
  } as OpRun<I>;
}

/** What was recorded, and what must be filled before a run. */
interface Recording {
  readonly y: Tensor;
  readonly seed: Tensor | undefined;
  readonly gradients: readonly { name: string; gradient: Tensor }[];
  readonly transient: ReadonlySet<Storage>;
}

/** The backward pass where there is a dy, and the lists of what to read and to fill. */
function recordBackward(
  rec: Recorder,
  { y, made }: { y: Tensor; made: Record<string, Made> },
  { dy, existing }: RunOptions,
): Recording {
  rec.keep(y);
  const seed = dy && persistent(rec.device, "dy", y.shape, y.dtype);
  if (seed) {
    if (existing !== undefined) fillGradients(rec, { y, made, existing });
    rec.backprop(y, seed);
  }
  const gradients = Object.entries(made).flatMap(([name, { value, half }]) => {
    const gradient = dy && (rec.gradientOf(value) ?? (half && rec.gradientOf(half)));
    return gradient ? [{ name, gradient: rec.keep(gradient) }] : [];
  });
  const storages = rec.commands.flatMap((command) =>
    "clear" in command ? [command.clear] : [...command.tensors.values()]
  ).map(({ storage }) => storage);
  return { y, seed, gradients, transient: new Set(storages.filter((s) => !s.persistent)) };
}

/** Uploads everything that a run reads, and NaN wherever it must write first. */
function fill(
  device: Device,
  { made, seed, transient, nan }: Recording & { made: Record<string, Made>; nan: number },
  { dy, existing = 0 }: RunOptions,
): void {
  for (const { value, gradient, half, input } of Object.values(made)) {
    value.upload(device, typed(input));
    gradient?.upload(device, new Float32Array(gradient.length).fill(existing));
    half?.upload(device, typed({ ...input, dtype: "f16" }));
  }
  if (dy && seed) seed.upload(device, typed({ shape: [], data: dy, dtype: seed.dtype }));
  for (const storage of transient) poison(device, storage, nan);
}

interface Made {
  readonly value: Tensor;
  readonly gradient: Tensor | undefined;
  readonly half: Tensor | undefined;
  readonly input: OpInput;
}

function makeInputs(
  device: Device,
  inputs: Readonly<Record<string, OpInput>>,
  activation: Activation,
): Record<string, Made> {
  return Object.fromEntries(
    Object.entries(inputs).map(([name, input]) => {
      const { shape, dtype = "f32", parameter = false, needsGradient = true } = input;
      const value = persistent(device, name, shape, dtype);
      value.needsGradient = !parameter && needsGradient && (dtype === "f32" || dtype === "f16");
      const gradient = parameter && needsGradient
        ? persistent(device, `d${name}`, shape)
        : undefined;
      const half = parameter && activation === "f16"
        ? persistent(device, `${name} f16`, shape, "f16")
        : undefined;
      return [name, { value, gradient, half, input }];
    }),
  );
}

/** Last on the tape, so first to play: gives every plain input a gradient before the op's own backward pass. */
function fillGradients(
  rec: Recorder,
  { y, made, existing }: { y: Tensor; made: Record<string, Made>; existing: number },
): void {
  const values = Object.values(made).map(({ value }) => value).filter((value) =>
    value.needsGradient && value.storage !== y.storage
  );
  rec.backward(y, values, () => {
    for (const value of values) {
      const target = rec.gradientTarget(value);
      if (!target || target.accumulate) continue;
      const { shape, dtype, length } = value;
      const data = typed({ shape, dtype, data: new Array<number>(length).fill(existing) });
      rec.clear(target.tensor);
      addInto(rec, target.tensor, rec.constant("existing", shape, dtype, data));
    }
  });
}

function typed({ dtype = "f32", data }: OpInput): TypedArray {
  if (dtype === "f32") return Float32Array.from(data);
  if (dtype === "f16") return Float16Array.from(data);
  return dtype === "u32" ? Uint32Array.from(data) : Int32Array.from(data);
}

function poison(device: Device, storage: Storage, nan: number): void {
  if (!storage.buffer) return;
  const words = new Uint32Array(storage.buffer.size / 4).fill(nan);
  device.gpu.queue.writeBuffer(storage.buffer, 0, words);
}

function assertSameBits(first: TypedArray, second: TypedArray, name: string): void {
  const [a, b] = [first, second].map((data) => new Uint8Array(data.buffer, 0, data.byteLength));
  const byte = a!.findIndex((bits, i) => bits !== b![i]);
  const differs = Math.floor(byte / first.BYTES_PER_ELEMENT);
  assertEquals(
    differs,
    -1,
    `${name}: a replay differs at [${differs}]: ${first[differs]}, then ${second[differs]} ` +
      `(NaN: the element was never written)`,
  );
}

function release(plan: Plan, tensors: readonly (Tensor | undefined)[]): void {
  plan.destroy();
  for (const tensor of tensors) if (tensor) bufferOf(tensor).destroy();
}
