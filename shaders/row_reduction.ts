/**
 * Kernels whose workgroup owns one row and reduces over it: norms and the loss.
 *
 * On devices with subgroups the workgroup is one subgroup, elsewhere 64 threads with a tree in workgroup memory:
 * the same kernel with one of two files of helpers in front.
 */
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import SUBGROUP_WGSL from "./reduce_subgroup.wgsl" with { type: "text" };
import WORKGROUP_WGSL from "./reduce_workgroup.wgsl" with { type: "text" };
import type { DispatchOptions } from "./runtime/command.ts";
import { type Kernel, kernel, type KernelSpec } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";

/** One kernel in both forms. */
export interface RowKernel<P extends string, B extends string> {
  readonly subgroup: Kernel<P, B>;
  readonly workgroup: Kernel<P, B>;
}

/** Declares both forms of a row kernel. @throws {ShaderError} where declaration and WGSL differ. */
export function rowKernel<P extends string, B extends string>(
  spec: KernelSpec<P, B>,
): RowKernel<P, B> {
  const withHelpers = (helpers: string) =>
    kernel({ ...spec, code: [...spec.code, INDEX_WGSL, helpers] });
  return { subgroup: withHelpers(SUBGROUP_WGSL), workgroup: withHelpers(WORKGROUP_WGSL) };
}

/** Records one workgroup a row, in the form that fits the device. */
export function dispatchRows<P extends string, B extends string>(
  rec: Recorder,
  rowKernel: RowKernel<P, B>,
  options: Omit<DispatchOptions<P, B>, "workgroups"> & { rows: number },
): void {
  const { rows, constants, ...rest } = options;
  const lanes = rec.device.subgroupSize;
  rec.dispatch(lanes > 0 ? rowKernel.subgroup : rowKernel.workgroup, {
    ...rest,
    constants: lanes > 0 ? { ...constants, LANES: lanes } : constants ?? {},
    workgroups: grid(rows, 1),
  });
}
