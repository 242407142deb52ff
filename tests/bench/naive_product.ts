/**
 * The naive matrix product, one thread an element of the result: the baseline of linear_cases.ts, which also checks against
 * it, and a part of naive_attention.ts.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import { kernel } from "../../shaders/runtime/kernel.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import type { Tensor } from "../../shaders/runtime/tensor.ts";
import type { NaiveTime } from "./kernels.ts";
import PRODUCT_WGSL from "./naive_product.wgsl" with { type: "text" };

const PRODUCT = kernel({
  name: "naive.product",
  code: [PRODUCT_WGSL],
  entry: "forward",
  params: {
    heads: "u32",
    rows: "u32",
    samples: "u32",
    columns: "u32",
    depth: "u32",
    lhs_first: "u32",
    lhs_sequence: "u32",
    lhs_head: "u32",
    lhs_group: "u32",
    lhs_row: "u32",
    lhs_depth: "u32",
    rhs_first: "u32",
    rhs_sequence: "u32",
    rhs_head: "u32",
    rhs_group: "u32",
    rhs_depth: "u32",
    rhs_column: "u32",
    scale: "f32",
  },
  bindings: ["lhs", "rhs", "y"],
});
/** The naive kernels may take this long, in milliseconds; beyond it they compute only a part. */
export const ENOUGH = 100;
/** Multiply-adds of the first, short attempt. */
const FIRST_ATTEMPT = 1e7;

/** One operand: steps between its rows or columns and along the depth. */
export interface Operand {
  readonly tensor: Tensor;
  readonly step: number;
  readonly depth: number;
  /** Where the first element stands, and the steps between sequences and heads; 0 without. */
  readonly first?: number;
  readonly sequence?: number;
  readonly head?: number;
  /** Heads of the result that share one of this operand; 1 by default. */
  readonly group?: number;
}

/** A product of (rows, depth) and (depth, columns). */
export interface Product {
  readonly lhs: Operand;
  readonly rhs: Operand;
  readonly rows: number;
  readonly columns: number;
  readonly depth: number;
}

/** Some rows of a product. */
export interface NaiveProduct {
  /** Which rows were computed. */
  readonly rows: readonly number[];
  /** (rows.length, columns). */
  readonly values: Float32Array;
  /** Σ |terms| of each. */
  readonly magnitudes: Float32Array;
  readonly time: NaiveTime;
}

/** Computes as many rows, evenly spread, as take no longer than a tenth of a second. @throws {DeviceError} {ShaderError} */
export async function naiveProduct(device: Device, product: Product): Promise<NaiveProduct> {
  const { rows, columns, depth } = product;
  const few = clamp(Math.floor(FIRST_ATTEMPT / columns / depth), 2, rows);
  const first = await sampledProduct(device, product, few);
  const more = clamp(Math.floor(ENOUGH / first.milliseconds * few), few, rows);
  // The first attempt's time may include the driver's compilation.
  const last = first.milliseconds < ENOUGH ? await sampledProduct(device, product, more) : first;
  return {
    rows: Array.from(
      { length: more },
      (_, i) => more < rows ? Math.floor(i * (rows - 1) / Math.max(1, more - 1)) : i,
    ),
    ...last,
    time: {
      milliseconds: last.milliseconds * rows / more,
      ...(more < rows ? { sample: `${more} of ${rows} rows` } : {}),
    },
  };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(most, Math.max(least, value));
}

async function sampledProduct(device: Device, product: Product, samples: number) {
  const plan = await Plan.record(device, (rec) => {
    const result = (MAGNITUDE: boolean) => {
      const y = rec.keep(rec.tensor("naive y", [samples, product.columns]));
      recordProduct(rec, { ...product, y, samples, MAGNITUDE });
      return y;
    };
    return [result(false), result(true)];
  });
  const [time] = await plan.launchTimes();
  const [values = new Float32Array(), magnitudes = new Float32Array()] = await plan.read(
    ...plan.result,
  );
  plan.destroy();
  return { values, magnitudes, milliseconds: time?.milliseconds ?? NaN };
}

/** Records a product into y: (sequences, heads, samples, columns). */
export function recordProduct(
  rec: Recorder,
  options: Product & {
    y: Tensor;
    samples?: number;
    heads?: number;
    sequences?: number;
    scale?: number;
    MAGNITUDE?: boolean;
  },
): void {
  const { lhs, rhs, y, rows, columns, depth, heads = 1, sequences = 1 } = options;
  const samples = options.samples ?? rows;
  rec.dispatch(PRODUCT, {
    params: {
      heads,
      rows,
      samples,
      columns,
      depth,
      lhs_first: lhs.first ?? 0,
      lhs_sequence: lhs.sequence ?? 0,
      lhs_head: lhs.head ?? 0,
      lhs_group: lhs.group ?? 1,
      lhs_row: lhs.step,
      lhs_depth: lhs.depth,
      rhs_first: rhs.first ?? 0,
      rhs_sequence: rhs.sequence ?? 0,
      rhs_head: rhs.head ?? 0,
      rhs_group: rhs.group ?? 1,
      rhs_depth: rhs.depth,
      rhs_column: rhs.step,
      scale: options.scale ?? 1,
    },
    tensors: { lhs: lhs.tensor, rhs: rhs.tensor, y },
    workgroups: [Math.ceil(columns / 8), Math.ceil(samples / 8), heads * sequences],
    constants: { MAGNITUDE: options.MAGNITUDE ?? false },
  });
}
