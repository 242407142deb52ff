/**
 * Matrix products: one interface, two families of kernels, and epilogues that save a pass over the result.
 *
 * A kernel is put together from WGSL files: how each tensor is read or written (operands.ts), the operands' layout, an
 * epilogue and a family. With subgroups of a fixed width the family is matmul_subgroup.wgsl, otherwise
 * matmul_tiled.wgsl.
 */
import EPILOGUE_BIAS from "./epilogue_bias.wgsl" with { type: "text" };
import EPILOGUE_BIAS_GELU from "./epilogue_bias_gelu.wgsl" with { type: "text" };
import EPILOGUE_BIAS_RESIDUAL from "./epilogue_bias_residual.wgsl" with { type: "text" };
import EPILOGUE_RESIDUAL from "./epilogue_residual.wgsl" with { type: "text" };
import EPILOGUE_STORE from "./epilogue_store.wgsl" with { type: "text" };
import EPILOGUE_WEIGHT_BIAS from "./epilogue_weight_bias.wgsl" with { type: "text" };
import GELU from "./gelu.wgsl" with { type: "text" };
import LAYOUT from "./matmul_operands.wgsl" with { type: "text" };
import SUBGROUP from "./matmul_subgroup.wgsl" with { type: "text" };
import SUBGROUP_DEPTHS from "./matmul_subgroup_depths.wgsl" with { type: "text" };
import SUBGROUP_ROWS from "./matmul_subgroup_rows.wgsl" with { type: "text" };
import TILED from "./matmul_tiled.wgsl" with { type: "text" };
import { type Format, formatOf, operand, output } from "./operands.ts";
import { type Kernel, kernel } from "./runtime/kernel.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** What an epilogue reads and writes beside y, and its WGSL. */
interface EpilogueCode {
  /** Tensors in rows of y's length. */
  readonly reads: readonly string[];
  readonly writes: readonly string[];
  /** Bindings that its own code declares. */
  readonly own: readonly string[];
  readonly code: readonly string[];
}

const NONE = { reads: [], writes: [], own: [] } as const;
const EPILOGUES = {
  store: { ...NONE, code: [EPILOGUE_STORE] },
  bias: { ...NONE, reads: ["bias"], code: [EPILOGUE_BIAS] },
  residual: { ...NONE, reads: ["residual"], code: [EPILOGUE_RESIDUAL] },
  bias_residual: { ...NONE, reads: ["bias", "residual"], code: [EPILOGUE_BIAS_RESIDUAL] },
  bias_gelu: { ...NONE, reads: ["bias"], writes: ["pre"], code: [GELU, EPILOGUE_BIAS_GELU] },
  weight_bias: { ...NONE, own: ["dbias"], code: [EPILOGUE_WEIGHT_BIAS] },
} as const satisfies Record<string, EpilogueCode>;

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

/** What distinguishes kernels. */
interface Variant {
  readonly family: "subgroup" | "tiled";
  readonly transposeLhs: boolean;
  readonly lhs: Format;
  readonly rhs: Format;
  readonly y: Format;
  readonly epilogue: Epilogue;
}

const kernels = new Map<string, Kernel>();

function matmulKernel(variant: Variant): Kernel {
  const { family, transposeLhs, lhs, rhs, y, epilogue } = variant;
  const layout = transposeLhs ? "rows" : "depths";
  const name = ["matmul", family, layout, lhs, rhs, y, epilogue].join(".");
  let known = kernels.get(name);
  if (!known) {
    known = declare(name, variant);
    kernels.set(name, known);
  }
  return known;
}

function declare(name: string, { family, transposeLhs, lhs, rhs, y, epilogue }: Variant): Kernel {
  const { reads, writes, own, code }: EpilogueCode = EPILOGUES[epilogue];
  const step = transposeLhs ? SUBGROUP_ROWS : SUBGROUP_DEPTHS;
  return kernel({
    name,
    code: [
      LAYOUT,
      operand("lhs", 1, lhs),
      operand("rhs", 2, rhs),
      output("y", 3, y),
      ...reads.map((tensor, i) => operand(tensor, 5 + i, y)),
      ...writes.map((tensor, i) => output(tensor, 7 + i, y)),
      ...code,
      ...(family === "subgroup" ? [step, SUBGROUP] : [TILED]),
    ],
    entry: "forward",
    params: { rows: "u32", columns: "u32", depth: "u32", residual_rows: "u32" },
    bindings: ["lhs", "rhs", "y", ...reads, ...writes, ...own],
    constants: family === "subgroup" ? ["LANES"] : [],
  });
}

/** Rows and columns of y that a workgroup owns in the family of tiles. */
const TILE = [64, 64] as const;

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
  const { device } = rec;
  const { transposeLhs = false, transposeRhs = false } = options;
  const lanes = device.subgroupSize;
  const family = lanes >= 8 ? "subgroup" : "tiled";
  const formats = {
    lhs: formatOf(device, transposeLhs ? rows : depth),
    rhs: formatOf(device, transposeRhs ? depth : columns),
    y: formatOf(device, columns),
  };
  const [tileRows, tileColumns] = family === "subgroup" ? [32, 8 * lanes] : TILE;
  rec.dispatch(matmulKernel({ family, transposeLhs, ...formats, epilogue }), {
    params: { rows, columns, depth, residual_rows: options.residualRows ?? rows },
    tensors: { lhs, rhs, y, ...options.extra },
    flops: 2 * rows * columns * depth,
    workgroups: [Math.ceil(columns / tileColumns), Math.ceil(rows / tileRows)],
    constants: {
      RHS_TRANSPOSED: transposeRhs,
      DEPTH_TAIL: depth % 4 !== 0,
      ...(epilogue === "store" ? { ACCUMULATE: options.accumulate ?? false } : {}),
      ...(family === "subgroup" ? { LANES: lanes } : tiledConstants(transposeLhs)),
    },
  });
}

function tiledConstants(transposeLhs: boolean) {
  const [rows, columns] = TILE;
  return {
    LHS_TRANSPOSED: transposeLhs,
    TILE_ROWS: rows,
    TILE_COLUMNS: columns,
    THREADS: rows * columns / 64,
    LHS_BLOCKS: 4 * rows,
    RHS_BLOCKS: 4 * columns,
  };
}
