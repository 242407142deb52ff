/**
 * Kernels: a typed declaration of a WGSL entry point, checked against the WGSL itself, and compiled once a device.
 *
 * The declaration names the fields of `struct Params` (binding 0, a uniform) and the storage bindings; numbers, access
 * modes and element types are read off the WGSL, so TypeScript and shader cannot drift apart.
 */
import { type Device, DeviceError } from "./device.ts";
import type { DType } from "./tensor.ts";
import { unroll } from "./unroll.ts";

/** A kernel's declaration and its WGSL disagree, or the WGSL does not compile. */
export class ShaderError extends Error {
  override name = "ShaderError";
}

/** Scalar types of `struct Params`. */
export type ScalarType = "u32" | "i32" | "f32";
/** Values of `override` constants and of `const` lines put in front of the source. */
export type Constants = Readonly<Record<string, number | boolean>>;

/** What `kernel()` takes. */
export interface KernelSpec<P extends string, B extends string> {
  /** "rms_norm.forward"; stands in errors and profiles. */
  readonly name: string;
  /** WGSL files, concatenated. */
  readonly code: readonly string[];
  /** Entry point. */
  readonly entry: string;
  /** Fields of `struct Params`, in order. */
  readonly params: Readonly<Record<P, ScalarType>>;
  /** Names of the storage bindings that this entry point uses. */
  readonly bindings: readonly B[];
  /** Names of u32 constants that the source needs as `const` (array lengths, unrolled loops), given at dispatch. */
  readonly constants?: readonly string[];
}

/** One storage binding as the WGSL declares it. */
export interface Binding {
  readonly number: number;
  readonly writes: boolean;
  /** What its tensor must hold; vectors hold their scalars. */
  readonly dtype: DType;
}

/** A checked kernel. */
export interface Kernel<P extends string = string, B extends string = string>
  extends KernelSpec<P, B> {
  /** Number and access of each binding. */
  readonly layout: ReadonlyMap<B, Binding>;
}

/** A kernel compiled on a device. */
export interface Compiled {
  readonly pipeline: GPUComputePipeline;
  readonly layout: GPUBindGroupLayout;
}

/** Whole values only: what WGSL calls a Params field or a storage binding. */
const STRUCT = /struct\s+Params\s*\{([^}]*)\}/;
const STORAGE =
  /@group\(0\)\s*@binding\((\d+)\)\s*var<storage,\s*(read|read_write)>\s*(\w+)\s*:\s*array<([\w<>]+)>/g;
const ALIAS = /^alias\s+(\w+)\s*=\s*([\w<>]+)\s*;/gm;
const ENABLE = /^enable .*;$/gm;
/** Element types of bindings: scalars, vectors of them, atomics, and four numbers in words of 64 bits (operands.ts). */
const ELEMENTS: Readonly<Record<DType, RegExp>> = {
  f32: /^(f32|vec[234]f|vec2<u64>)$/,
  f16: /^(f16|vec[234]<f16>|u64|vec4<u64>)$/,
  u32: /^(u32|vec[234]u|atomic<u32>)$/,
  i32: /^(i32|vec[234]i|atomic<i32>)$/,
};

/**
 * Declares a kernel.
 *
 * @throws {ShaderError} where the declaration does not match the WGSL.
 */
export function kernel<P extends string, B extends string>(
  spec: KernelSpec<P, B>,
): Kernel<P, B> {
  const source = spec.code.join("\n");
  const declared = [
    ...(STRUCT.exec(source)?.[1] ?? "").matchAll(/(\w+)\s*:\s*(\w+)/g),
  ].map((m) => `${m[1]}: ${m[2]}`);
  const wanted = Object.entries(spec.params).map(([name, type]) => `${name}: ${type}`);
  if (declared.join() !== wanted.join()) {
    throw new ShaderError(
      `Cannot declare ${spec.name}: Params is {${declared.join(", ")}}, expected {${
        wanted.join(", ")
      }}`,
    );
  }
  if (!new RegExp(`fn\\s+${spec.entry}\\s*\\(`).test(source)) {
    throw new ShaderError(
      `Cannot declare ${spec.name}: the WGSL has no entry point "${spec.entry}"`,
    );
  }
  const layout = layoutOf(spec, source);
  const numbers = new Set(
    [...layout.values()].map((binding) => binding.number),
  );
  if (numbers.size !== layout.size || numbers.has(0)) {
    throw new ShaderError(
      `Cannot declare ${spec.name}: binding numbers repeat or take 0, which is Params`,
    );
  }
  return { ...spec, layout };
}

function layoutOf<P extends string, B extends string>(
  spec: KernelSpec<P, B>,
  source: string,
): Map<B, Binding> {
  const aliases = new Map([...source.matchAll(ALIAS)].map(([, name = "", type]) => [name, type]));
  const found = new Map([...source.matchAll(STORAGE)].map((match) => [match[3], match]));
  const layout = new Map<B, Binding>();
  for (const name of spec.bindings) {
    const [, number, access, , element = ""] = found.get(name) ?? [];
    if (number === undefined) {
      throw new ShaderError(
        `Cannot declare ${spec.name}: the WGSL has no storage binding "${name}"`,
      );
    }
    const type = aliases.get(element) ?? element;
    const dtype = (Object.keys(ELEMENTS) as DType[]).find((key) => ELEMENTS[key].test(type));
    if (!dtype) {
      throw new ShaderError(
        `Cannot declare ${spec.name}: "${name}" is an array of ${type}, expected scalars or vectors`,
      );
    }
    layout.set(name, { number: Number(number), writes: access === "read_write", dtype });
  }
  return layout;
}

/**
 * Compiles a kernel for constants, or takes it from the device's cache.
 *
 * @throws {ShaderError} with the compiler's message and the kernel's name.
 */
export function compile(
  device: Device,
  kernel: Kernel,
  constants: Constants,
): Promise<Compiled> {
  const key = `${kernel.name} ${JSON.stringify(constants)}`;
  let compiled = device.pipelines.get(key);
  if (!compiled) {
    compiled = compileNew(device, kernel, constants);
    device.pipelines.set(key, compiled);
  }
  return compiled;
}

async function compileNew(
  device: Device,
  kernel: Kernel,
  constants: Constants,
): Promise<Compiled> {
  const { gpu } = device;
  const prelude = (kernel.constants ?? []).map((name) => {
    const value = constants[name];
    if (typeof value !== "number") {
      throw new ShaderError(
        `Cannot compile ${kernel.name}: the constant ${name} is missing`,
      );
    }
    return `const ${name}: u32 = ${value}u;`;
  });
  const overrides = Object.fromEntries(
    Object.entries(constants).filter(([name]) => !kernel.constants?.includes(name)).map((
      [name, value],
    ) => [name, Number(value)]),
  );
  try {
    return await device.scoped(`compile ${kernel.name}`, () => {
      const module = gpu.createShaderModule({
        label: kernel.name,
        code: moduleCode(kernel, prelude, constants),
      });
      const visibility = GPUShaderStage.COMPUTE;
      const entries: GPUBindGroupLayoutEntry[] = [...kernel.layout.values()]
        .map(({ number, writes }) => ({
          binding: number,
          visibility,
          buffer: { type: writes ? "storage" : "read-only-storage" },
        }));
      entries.push({ binding: 0, visibility, buffer: { type: "uniform" } });
      const layout = gpu.createBindGroupLayout({ label: kernel.name, entries });
      const pipeline = gpu.createComputePipeline({
        label: kernel.name,
        layout: gpu.createPipelineLayout({
          label: kernel.name,
          bindGroupLayouts: [layout],
        }),
        compute: { module, entryPoint: kernel.entry, constants: overrides },
      });
      return { pipeline, layout };
    });
  } catch (error) {
    if (error instanceof DeviceError) {
      throw new ShaderError(error.message, { cause: error });
    }
    throw error;
  }
}

/** The WGSL of a kernel: directives come before everything else, and each once, wherever the files have them. */
function moduleCode(kernel: Kernel, prelude: readonly string[], constants: Constants): string {
  const source = unroll(kernel.code.join("\n"), constants);
  const directives = new Set(source.match(ENABLE));
  return [...directives, ...prelude, source.replaceAll(ENABLE, "")].join("\n");
}

/** Params as bytes, in the order of the kernel's declaration; a uniform's length is a multiple of 16. */
export function packParams(
  kernel: Kernel,
  values: Readonly<Record<string, number>>,
): Uint8Array<ArrayBuffer> {
  const names = Object.keys(kernel.params);
  const bytes = new DataView(
    new ArrayBuffer(Math.max(16, Math.ceil(names.length / 4) * 16)),
  );
  names.forEach((name, i) => {
    const value = values[name];
    const type = kernel.params[name];
    const whole = type !== "f32";
    if (
      value === undefined || Number.isNaN(value) ||
      (whole && !Number.isInteger(value))
    ) {
      throw new TypeError(
        `Cannot dispatch ${kernel.name}: ${name} is ${value}, expected ${type}`,
      );
    }
    if (type === "f32") bytes.setFloat32(i * 4, value, true);
    else if (type === "u32") bytes.setUint32(i * 4, value, true);
    else bytes.setInt32(i * 4, value, true);
  });
  return new Uint8Array(bytes.buffer);
}
