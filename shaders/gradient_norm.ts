/**
 * The L2 norm of all gradients together and the factor that clips it (torch's clip_grad_norm_).
 */
import GRADIENT_NORM_WGSL from "./gradient_norm.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand } from "./operands.ts";
import { kernel } from "./runtime/kernel.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const DECLARATION = {
  code: [operand("gradient", 1, "scalar"), GRADIENT_NORM_WGSL],
  params: { length: "u32", groups: "u32", first: "u32", max_norm: "f32" },
} as const;
const FINISH = kernel({
  ...DECLARATION,
  name: "gradient_norm.finish",
  entry: "finish",
  bindings: ["partial_sums", "norm", "scale"],
});

function declareSums(format: Format) {
  return kernel({
    ...DECLARATION,
    name: `gradient_norm.square_sums.${format}`,
    code: [operand("gradient", 1, format), GRADIENT_NORM_WGSL],
    entry: "square_sums",
    bindings: ["gradient", "partial_sums"],
  });
}

const sumsBy = byFormat(declareSums);

/** Threads of a workgroup, and the most workgroups for one gradient: 262,144 threads share it. */
const THREADS = 256;
const MAX_WORKGROUPS = 1024;
/** Stands for "no clipping": the largest float32. */
const NO_LIMIT = 3.4028234663852886e38;

/**
 * Records norm [1] over all gradients, and scale [1] = min(1, maxNorm / (norm + 1e-6)), which is 1 for a finite
 * norm without maxNorm. A gradient that is not finite makes the norm not finite.
 */
export function gradientNorm(
  rec: Recorder,
  gradients: readonly Tensor[],
  maxNorm: number = NO_LIMIT,
): { norm: Tensor; scale: Tensor } {
  const counts = gradients.map(({ length }) =>
    Math.min(MAX_WORKGROUPS, Math.ceil(length / (4 * THREADS)))
  );
  const total = counts.reduce((sum, count) => sum + count, 0);
  const partial_sums = rec.tensor("gradient_norm sums", [total]);
  let first = 0;
  gradients.forEach((gradient, i) => {
    const groups = counts[i] ?? 0;
    rec.dispatch(sumsBy(formatOf(rec.device, gradient.length)), {
      params: { length: gradient.length, groups, first, max_norm: maxNorm },
      tensors: { gradient, partial_sums },
      workgroups: [groups],
    });
    first += groups;
  });
  const [norm, scale] = [rec.tensor("gradient norm", [1]), rec.tensor("gradient scale", [1])];
  rec.dispatch(FINISH, {
    params: { length: total, groups: 1, first: 0, max_norm: maxNorm },
    tensors: { partial_sums, norm, scale },
    workgroups: [1],
  });
  return { norm, scale };
}
