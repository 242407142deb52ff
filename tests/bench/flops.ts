/**
 * Multiplications and additions of recorded launches, read off their parameters: matrix products and attention. Everything
 * else is left out; in a training step of `222m` it is less than a hundredth.
 */
import { Recorder } from "../../shaders/runtime/recorder.ts";
import type { DispatchOptions } from "../../shaders/runtime/command.ts";
import type { Kernel } from "../../shaders/runtime/kernel.ts";

/** Products of a query and a key that each kernel of attention needs: see attention_cases.ts. */
const ATTENTION_PRODUCTS: Readonly<Record<string, number>> = {
  forward: 2,
  backward_q: 3,
  backward_kv: 4,
};

/** Runs `record` and adds up, by kernel name, the flops of all that it records. */
export async function flopsOf<T>(
  record: () => Promise<T>,
): Promise<{ value: T; flops: ReadonlyMap<string, number> }> {
  const flops = new Map<string, number>();
  const original = Recorder.prototype.dispatch;
  Recorder.prototype.dispatch = function (kernel, options) {
    flops.set(kernel.name, (flops.get(kernel.name) ?? 0) + launchFlops(kernel, options));
    return original.call(this, kernel, options);
  };
  try {
    return { value: await record(), flops };
  } finally {
    Recorder.prototype.dispatch = original;
  }
}

function launchFlops(kernel: Kernel, options: DispatchOptions<string, string>): number {
  const { params, constants = {}, tensors } = options;
  if (kernel.name.startsWith("matmul.")) {
    return 2 * (params.rows ?? 0) * (params.columns ?? 0) * (params.depth ?? 0);
  }
  const products = kernel.name.startsWith("attention.")
    ? ATTENTION_PRODUCTS[kernel.name.split(".")[1] ?? ""]
    : undefined;
  if (products === undefined) return 0;
  const { queries = 0, keys = 0, heads = 0 } = params;
  const pairs = constants.CAUSAL && queries === keys ? queries * (queries + 1) / 2 : queries * keys;
  const batch = tensors.q?.dim(0) ?? 0;
  return 2 * products * batch * heads * pairs * Number(constants.HEAD_WIDTH ?? 0);
}
