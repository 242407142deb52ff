/**
 * Matrix products: one interface, two families of kernels, and epilogues that save a pass over the result.
 *
 * A kernel is put together from WGSL files: operands, the right operand's load, an epilogue and a family. With
 * subgroups of a fixed width the family is matmul_subgroup.wgsl, otherwise matmul_tiled.wgsl.
 */
import EPILOGUE_BIAS from "./epilogue_bias.wgsl" with { type: "text" };
import EPILOGUE_BIAS_GELU from "./epilogue_bias_gelu.wgsl" with { type: "text" };
import EPILOGUE_BIAS_RESIDUAL from "./epilogue_bias_residual.wgsl" with { type: "text" };
import EPILOGUE_RESIDUAL from "./epilogue_residual.wgsl" with { type: "text" };
import EPILOGUE_STORE from "./epilogue_store.wgsl" with { type: "text" };
import EPILOGUE_WEIGHT_BIAS from "./epilogue_weight_bias.wgsl" with { type: "text" };
import GELU from "./gelu.wgsl" with { type: "text" };
import OPERANDS from "./matmul_operands.wgsl" with { type: "text" };
import SUBGROUP from "./matmul_subgroup.wgsl" with { type: "text" };
import TILED from "./matmul_tiled.wgsl" with { type: "text" };
import RHS_SCALAR from "./rhs_scalar.wgsl" with { type: "text" };
import RHS_VEC4 from "./rhs_vec4.wgsl" with { type: "text" };
import { type Kernel, kernel } from "./runtime/kernel.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** What each epilogue binds beside lhs, rhs and y, and its WGSL. */
const EPILOGUES = {
  store: { bindings: [], code: [EPILOGUE_STORE] },
  bias: { bindings: ["bias"], code: [EPILOGUE_BIAS] },
  residual: { bindings: ["residual"], code: [EPILOGUE_RESIDUAL] },
  bias_residual: { bindings: ["bias", "residual"], code: [EPILOGUE_BIAS_RESIDUAL] },
  bias_gelu: { bindings: ["bias", "pre"], code: [GELU, EPILOGUE_BIAS_GELU] },
  weight_bias: { bindings: ["dbias"], code: [EPILOGUE_WEIGHT_BIAS] },
} as const;

/** How the result is stored; the files epilogue_*.wgsl say what each does. */
export type Epilogue = keyof typeof EPILOGUES;

/** The operands of a product and how they stand in memory. */
export interface MatmulOptions {
  /** (rows, depth), or (depth, rows) with `transposeLhs`. */
  readonly lhs: Tensor;
  /** (depth, columns), or (columns, depth) with `transposeRhs`. */
  readonly rhs: Tensor;
  /** (rows, columns). */
  readonly y: Tensor;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
  readonly transposeLhs?: boolean;
  readonly transposeRhs?: boolean;
  /** Add to what `y` holds; for the plain epilogue only. */
  readonly accumulate?: boolean;
  readonly epilogue?: Epilogue;
  /** The epilogue's own tensors. */
  readonly extra?: Readonly<Record<string, Tensor>>;
  /** Rows of the residual, which repeats over y's rows. */
  readonly residualRows?: number;
}

const kernels = new Map<string, Kernel>();

function matmulKernel(subgroup: boolean, vec4: boolean, epilogue: Epilogue): Kernel {
  const name = `matmul.${subgroup ? "subgroup" : "tiled"}.${vec4 ? "vec4" : "scalar"}.${epilogue}`;
  let known = kernels.get(name);
  if (!known) {
    const { bindings, code } = EPILOGUES[epilogue];
    known = kernel({
      name,
      code: [OPERANDS, vec4 ? RHS_VEC4 : RHS_SCALAR, ...code, subgroup ? SUBGROUP : TILED],
      entry: "forward",
      params: { rows: "u32", columns: "u32", depth: "u32", residual_rows: "u32" },
      bindings: ["lhs", "rhs", "y", ...bindings],
      constants: subgroup ? ["LANES"] : [],
    });
    kernels.set(name, known);
  }
  return known;
}

/** Records `y = lhs · rhs` with an epilogue. @throws {TypeError} where a length does not fit its tensor. */
export function matmul(rec: Recorder, options: MatmulOptions): void {
  const { lhs, rhs, y, rows, columns, depth, epilogue = "store" } = options;
  if (
    lhs.length !== rows * depth || rhs.length !== depth * columns || y.length !== rows * columns
  ) {
    throw new TypeError(
      `Cannot multiply ${lhs} by ${rhs} into ${y}: expected ${rows} x ${depth} by ${depth} x ${columns}`,
    );
  }
  const lanes = rec.device.subgroupSize;
  const subgroup = lanes >= 8;
  const vec4 = (options.transposeRhs ? depth : columns) % 4 === 0;
  const [tileRows, tileColumns] = subgroup ? [16, 8 * lanes] : [64, 64];
  rec.dispatch(matmulKernel(subgroup, vec4, epilogue), {
    params: { rows, columns, depth, residual_rows: options.residualRows ?? rows },
    tensors: { lhs, rhs, y, ...options.extra },
    workgroups: [Math.ceil(columns / tileColumns), Math.ceil(rows / tileRows)],
    constants: {
      LHS_TRANSPOSED: options.transposeLhs ?? false,
      RHS_TRANSPOSED: options.transposeRhs ?? false,
      DEPTH_TAIL: depth % 4 !== 0,
      ...(epilogue === "store" ? { ACCUMULATE: options.accumulate ?? false } : {}),
      ...(subgroup ? { LANES: lanes } : {}),
    },
  });
}
