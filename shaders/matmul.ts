/**
 * Matrix products: one interface, two families of kernels, and epilogues that save a pass over the result.
 *
 * A kernel is put together from WGSL files: how each tensor is read or written (operands.ts), the operands' layout, an
 * epilogue and a family (matmul_choice.ts). Operands and result are f32 or f16 in memory, each for itself; what epilogues read is f32, and what
 * they write beside the result is like it. With subgroups of a fixed width the family is matmul_subgroup.wgsl, otherwise
 * matmul_tiled.wgsl.
 */
import { activationOf } from "./activation.ts";
import EPILOGUE_BIAS from "./epilogue_bias.wgsl" with { type: "text" };
import EPILOGUE_BIAS_GELU from "./epilogue_bias_gelu.wgsl" with { type: "text" };
import EPILOGUE_BIAS_RESIDUAL from "./epilogue_bias_residual.wgsl" with { type: "text" };
import EPILOGUE_RESIDUAL from "./epilogue_residual.wgsl" with { type: "text" };
import EPILOGUE_SLICE from "./epilogue_slice.wgsl" with { type: "text" };
import EPILOGUE_STORE from "./epilogue_store.wgsl" with { type: "text" };
import EPILOGUE_WEIGHT_BIAS from "./epilogue_weight_bias.wgsl" with { type: "text" };
import GELU from "./gelu.wgsl" with { type: "text" };
import INDEX from "./index.wgsl" with { type: "text" };
import FEW_ROWS from "./matmul_few_rows.wgsl" with { type: "text" };
import LAYOUT from "./matmul_operands.wgsl" with { type: "text" };
import SUBGROUP from "./matmul_subgroup.wgsl" with { type: "text" };
import SUM_SLICES from "./matmul_sum_slices.wgsl" with { type: "text" };
import RUN from "./matmul_run.wgsl" with { type: "text" };
import RUN_F16 from "./matmul_run_f16.wgsl" with { type: "text" };
import TILED from "./matmul_tiled.wgsl" with { type: "text" };
import { fixedChoices, sizeOf, TILES } from "./matmul_choice.ts";
import REDUCE_SUBGROUP from "./reduce_subgroup.wgsl" with { type: "text" };
import REDUCE_WORKGROUP from "./reduce_workgroup.wgsl" with { type: "text" };
import { type Format, formatOf, operand, output } from "./operands.ts";
import { type Constants, type Kernel, kernel } from "./runtime/kernel.ts";
import type { Device } from "./runtime/device.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
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
  slice: { ...NONE, code: [EPILOGUE_SLICE] },
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
  few_rows_subgroup: { code: [REDUCE_SUBGROUP, RUN, FEW_ROWS], constants: ["ROWS", "RUN"] },
  few_rows_workgroup: { code: [REDUCE_WORKGROUP, RUN, FEW_ROWS], constants: ["ROWS", "RUN"] },
  /** Binds rhs itself. */
  few_rows_f16: { code: [REDUCE_SUBGROUP, RUN_F16, FEW_ROWS], constants: ["ROWS", "RUN"] },
  sum_slices: { code: [INDEX, SUM_SLICES], constants: [] },
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

const PARAMS = {
  rows: "u32",
  columns: "u32",
  depth: "u32",
  residual_rows: "u32",
  slice_depth: "u32",
} as const;
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
      ...(family === "few_rows_f16" ? [] : [operand("rhs", 2, rhs)]),
      output("y", 3, y),
      ...reads.map((tensor, i) => operand(tensor, 5 + i, side)),
      ...writes.map((tensor, i) => output(tensor, 7 + i, y)),
      ...code,
      ...FAMILIES[family].code,
    ],
    entry: "forward",
    params: PARAMS,
    bindings: [
      "lhs",
      ...(family === "sum_slices" ? [] : ["rhs"]),
      "y",
      ...reads,
      ...writes,
      ...own,
    ],
    constants: FAMILIES[family].constants,
  });
}

/** Up to so many rows, a product with a transposed right operand is bound by reading that once. */
const FEW_ROWS_MOST = 8;
const FEW_ROWS_COLUMNS = 16;
/** Slices of the depth begin at multiples of this, which both families' steps divide. */
const SLICE_STEP = 16;

/** A family, its constants, the tiles' size, and over how many slices the depth is split. */
interface Launch {
  readonly family: Family;
  readonly constants: Constants;
  readonly tile: readonly [rows: number, columns: number];
  readonly slices: number;
}

function launchFor(device: Device, options: MatmulOptions): Launch {
  const { rows, columns, depth, transposeLhs = false, transposeRhs = false } = options;
  const lanes = device.subgroupSize;
  if (rows <= FEW_ROWS_MOST && transposeRhs && !transposeLhs && depth % 4 === 0) {
    const common = { tile: [rows, FEW_ROWS_COLUMNS], slices: 1 } as const;
    if (lanes === 0) {
      return { family: "few_rows_workgroup", constants: { ROWS: rows, RUN: 1 }, ...common };
    }
    const runs = device.wide && options.rhs.dtype === "f16" && depth % 16 === 0;
    const constants = { ROWS: rows, RUN: runs ? 4 : 1, LANES: lanes };
    return { family: runs ? "few_rows_f16" : "few_rows_subgroup", constants, ...common };
  }
  const layout = {
    LHS_TRANSPOSED: transposeLhs,
    RHS_TRANSPOSED: transposeRhs,
    DEPTH_TAIL: depth % 4 !== 0,
  };
  const choice = (device.matmulChoices ?? fixedChoices(device))[sizeOf(rows, columns)];
  const splits = options.epilogue !== "weight_bias" && depth >= 2 * SLICE_STEP * choice.slices;
  const slices = splits ? choice.slices : 1;
  if (choice.kernel === "subgroup") {
    const constants = { ...layout, LANES: lanes };
    return { family: "subgroup", constants, tile: [32, 8 * lanes], slices };
  }
  const tile = TILES[choice.kernel];
  const [tileRows, tileColumns] = tile;
  const constants = {
    ...layout,
    TILE_ROWS: tileRows,
    TILE_COLUMNS: tileColumns,
    THREADS: tileRows * tileColumns / 64,
    LHS_BLOCKS: 4 * tileRows,
    RHS_BLOCKS: 4 * tileColumns,
  };
  return { family: "tiled", constants, tile, slices };
}

/** Records `y = lhs · rhs` with an epilogue. @throws {TypeError} where a length does not fit its tensor. */
export function matmul(rec: Recorder, options: MatmulOptions): void {
  const { lhs, rhs, y, rows, columns, depth } = options;
  if (
    lhs.length !== rows * depth || rhs.length !== depth * columns || y.length !== rows * columns
  ) {
    throw new TypeError(
      `Cannot multiply ${lhs} by ${rhs} into ${y}: expected ${rows} x ${depth} by ${depth} x ${columns}`,
    );
  }
  const launch = launchFor(rec.device, options);
  if (launch.slices === 1) return multiply(rec, options, launch);
  const sliceDepth = Math.ceil(depth / launch.slices / SLICE_STEP) * SLICE_STEP;
  const slices = Math.ceil(depth / sliceDepth);
  const parts = rec.tensor("slices of a product", [slices, rows, columns]);
  const { epilogue: _, extra: __, accumulate: ___, ...product } = options;
  multiply(rec, { ...product, y: parts, epilogue: "slice" }, launch, sliceDepth);
  sumSlices(rec, { ...options, lhs: parts, depth: slices });
}

/** Records the product's main kernel. */
function multiply(
  rec: Recorder,
  options: MatmulOptions,
  { family, constants, tile }: Launch,
  sliceDepth: number = options.depth,
): void {
  const { device } = rec;
  const { lhs, rhs, y, rows, columns, depth, epilogue = "store" } = options;
  const formats = {
    lhs: formatOf(device, options.transposeLhs ? rows : depth, activationOf(lhs)),
    rhs: formatOf(device, options.transposeRhs ? depth : columns, activationOf(rhs)),
    y: formatOf(device, columns, activationOf(y)),
    side: formatOf(device, columns),
  };
  rec.dispatch(matmulKernel({ family, ...formats, epilogue }), {
    params: paramsOf(options, sliceDepth),
    tensors: { lhs, rhs, y, ...options.extra },
    flops: 2 * rows * columns * depth,
    workgroups: [
      Math.ceil(columns / tile[1]),
      Math.ceil(rows / tile[0]),
      Math.ceil(depth / sliceDepth),
    ],
    constants: { ...constants, ...accumulation(options) },
  });
}

/** Records y = epilogue(sum of the slices in `lhs`). */
function sumSlices(rec: Recorder, options: MatmulOptions): void {
  const { lhs, y, rows, columns, epilogue = "store" } = options;
  const side = formatOf(rec.device, columns);
  const formats = { lhs: side, rhs: side, y: formatOf(rec.device, columns, activationOf(y)), side };
  rec.dispatch(matmulKernel({ family: "sum_slices", ...formats, epilogue }), {
    params: paramsOf(options, options.depth),
    tensors: { lhs, y, ...options.extra },
    workgroups: grid(rows * Math.ceil(columns / 4), 64),
    constants: accumulation(options),
  });
}

function paramsOf(
  { rows, columns, depth, residualRows = rows }: MatmulOptions,
  slice_depth: number,
) {
  return { rows, columns, depth, residual_rows: residualRows, slice_depth };
}

function accumulation({ epilogue = "store", accumulate = false }: MatmulOptions): Constants {
  return epilogue === "store" ? { ACCUMULATE: accumulate } : {};
}
