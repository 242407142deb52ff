/**
 * Kernels over activations, in float32 and in f16: the same WGSL behind one of two files that say what `act` is.
 *
 * f16 is how activations are stored; every kernel computes in float32.
 */
import ACT_F16 from "./act_f16.wgsl" with { type: "text" };
import ACT_F32 from "./act_f32.wgsl" with { type: "text" };
import type { KernelSpec } from "./runtime/kernel.ts";
import type { Activation, Tensor } from "./runtime/tensor.ts";

/** Declares both forms of a kernel, by `kernel` or `rowKernel`. @throws {ShaderError} where declaration and WGSL differ. */
export function byActivation<P extends string, B extends string, K>(
  spec: KernelSpec<P, B>,
  declare: (spec: KernelSpec<P, B>) => K,
): Readonly<Record<Activation, K>> {
  return {
    f32: declare({ ...spec, code: [ACT_F32, ...spec.code] }),
    f16: declare({ ...spec, name: `${spec.name}.f16`, code: [ACT_F16, ...spec.code] }),
  };
}

/** Which form of a kernel is for x. @throws {TypeError} where x holds no floating-point numbers. */
export function activationOf(x: Tensor): Activation {
  if (x.dtype === "f32" || x.dtype === "f16") return x.dtype;
  throw new TypeError(`Cannot compute with ${x.dtype} ${x}: expected f32 or f16`);
}
