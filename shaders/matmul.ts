/**
 * Matrix products: one interface, two families of kernels, and epilogues that save a pass over the result.
 *
 * A kernel is put together from WGSL files: how each tensor is read or written (operands.ts), the operands' layout, an
 * epilogue and a family. Operands and result are f32 or f16 in memory, each for itself; what epilogues read is f32, and what
 * they write beside the result is like it. With subgroups of a fixed width the family is matmul_subgroup.wgsl, otherwise
 * matmul_tiled.wgsl.
 */
import { activationOf } from "./activation.ts";
import EPILOGUE_BIAS from "./epilogue_bias.wgsl" with { type: "text" };
import EPILOGUE_BIAS_GELU from "./epilogue_bias_gelu.wgsl" with { type: "text" };
import EPILOGUE_BIAS_RESIDUAL from "./epilogue_bias_residual.wgsl" with { type: "text" };
import EPILOGUE_RESIDUAL from "./epilogue_residual.wgsl" with { type: "text" };
import EPILOGUE_STORE from "./epilogue_store.wgsl" with { type: "text" };
import EPILOGUE_WEIGHT_BIAS from "./epilogue_weight_bias.wgsl" with { type: "text" };
import GELU from "./gelu.wgsl" with { type: "text" };
import FEW_ROWS from "./matmul_few_rows.wgsl" with { type: "text" };
import LAYOUT from "./matmul_operands.wgsl" with { type: "text" };
import SUBGROUP from "./matmul_subgroup.wgsl" with { type: "text" };
import TILED from "./matmul_tiled.wgsl" with { type: "text" };
import REDUCE_SUBGROUP from "./reduce_subgroup.wgsl" with { type: "text" };
import REDUCE_WORKGROUP from "./reduce_workgroup.wgsl" with { type: "text" };
import { type Format, formatOf, operand, output } from "./operands.ts";
import { type Kernel, kernel } from "./runtime/kernel.ts";
import type { Device } from "./runtime/device.ts";
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

/** Ways to compute a product: WGSL, and the names of its constants. */
const FAMILIES = {
  subgroup: { code: [SUBGROUP], constants: ["LANES"] },
  tiled: { code: [TILED], constants: [] },
  few_rows_subgroup: { code: [REDUCE_SUBGROUP, FEW_ROWS], constants: ["ROWS"] },
  few_rows_workgroup: { code: [REDUCE_WORKGROUP, FEW_ROWS], constants: ["ROWS"] },
} as const;
type Family = keyof typeof FAMILIES;

/** What distinguishes kernels. */
interface Variant {
  readonly family: Family;
  readonly lhs: Format;
  readonly rhs: Format;
  readonly y: Format;
  /** Of what the epilogue reads; as y, but f32. */
  readonly side: Format;
  readonly epilogue: Epilogue;
}

const kernels = new Map<string, Kernel>();

function matmulKernel(variant: Variant): Kernel {
  const { family, lhs, rhs, y, epilogue } = variant;
  const name = ["matmul", family, lhs, rhs, y, epilogue].join(".");
  let known = kernels.get(name);
  if (!known) {
    known = declare(name, variant);
    kernels.set(name, known);
  }
  return known;
}

function declare(name: string, variant: Variant): Kernel {
  const { family, lhs, rhs, y, side, epilogue } = variant;
  const { reads, writes, own, code }: EpilogueCode = EPILOGUES[epilogue];
  return kernel({
    name,
    code: [
      LAYOUT,
      operand("lhs", 1, lhs),
      operand("rhs", 2, rhs),
      output("y", 3, y),
      ...reads.map((tensor, i) => operand(tensor, 5 + i, side)),
      ...writes.map((tensor, i) => output(tensor, 7 + i, y)),
      ...code,
      ...FAMILIES[family].code,
    ],
    entry: "forward",
    params: { rows: "u32", columns: "u32", depth: "u32", residual_rows: "u32" },
    bindings: ["lhs", "rhs", "y", ...reads, ...writes, ...own],
    constants: FAMILIES[family].constants,
  });
}

/** Rows and columns of y that a workgroup owns in the family of tiles. */
const TILE = [64, 64] as const;
/** Up to so many rows, a product with a transposed right operand is bound by reading that once. */
const FEW_ROWS_MOST = 8;
const FEW_ROWS_COLUMNS = 16;

const TILED_CONSTANTS = {
  TILE_ROWS: TILE[0],
  TILE_COLUMNS: TILE[1],
  THREADS: TILE[0] * TILE[1] / 64,
  LHS_BLOCKS: 4 * TILE[0],
  RHS_BLOCKS: 4 * TILE[1],
};

/** The family for a product, its constants, and the grid. */
function choose(device: Device, options: MatmulOptions) {
  const { rows, columns, depth, transposeLhs, transposeRhs } = options;
  const lanes = device.subgroupSize;
  const grid = (tileRows: number, tileColumns: number): [number, number] => [
    Math.ceil(columns / tileColumns),
    Math.ceil(rows / tileRows),
  ];
  if (rows <= FEW_ROWS_MOST && transposeRhs && !transposeLhs && depth % 4 === 0) {
    const workgroups = grid(rows, FEW_ROWS_COLUMNS);
    if (lanes === 0) {
      return { family: "few_rows_workgroup", workgroups, constants: { ROWS: rows } } as const;
    }
    return {
      family: "few_rows_subgroup",
      workgroups,
      constants: { ROWS: rows, LANES: lanes },
    } as const;
  }
  const layout = {
    LHS_TRANSPOSED: transposeLhs ?? false,
    RHS_TRANSPOSED: transposeRhs ?? false,
    DEPTH_TAIL: depth % 4 !== 0,
  };
  if (lanes >= 8) {
    const constants = { ...layout, LANES: lanes };
    return { family: "subgroup", workgroups: grid(32, 8 * lanes), constants } as const;
  }
  const constants = { ...layout, ...TILED_CONSTANTS };
  return { family: "tiled", workgroups: grid(...TILE), constants } as const;
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
  const { device } = rec;
  const { family, workgroups, constants } = choose(device, options);
  const formats = {
    lhs: formatOf(device, options.transposeLhs ? rows : depth, activationOf(lhs)),
    rhs: formatOf(device, options.transposeRhs ? depth : columns, activationOf(rhs)),
    y: formatOf(device, columns, activationOf(y)),
    side: formatOf(device, columns),
  };
  rec.dispatch(matmulKernel({ family, ...formats, epilogue }), {
    params: { rows, columns, depth, residual_rows: options.residualRows ?? rows },
    tensors: { lhs, rhs, y, ...options.extra },
    flops: 2 * rows * columns * depth,
    workgroups,
    constants: {
      ...constants,
      ...(epilogue === "store" ? { ACCUMULATE: options.accumulate ?? false } : {}),
    },
  });
}
