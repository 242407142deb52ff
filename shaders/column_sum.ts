/**
 * Sums over rows into a gradient: what biases, norm weights and position embeddings need.
 */
import COLUMN_SUM_WGSL from "./column_sum.wgsl" with { type: "text" };
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { type GradientTarget, grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const DECLARATION = {
  code: [COLUMN_SUM_WGSL, INDEX_WGSL],
  params: { rows: "u32", width: "u32", chunk_rows: "u32" },
} as const;
const FORWARD = kernel({
  ...DECLARATION,
  name: "column_sum.forward",
  entry: "forward",
  bindings: ["x", "y"],
});
const SUM_CHUNKS = kernel({
  ...DECLARATION,
  name: "column_sum.sum_chunks",
  entry: "sum_chunks",
  bindings: ["x", "partial_sums"],
});

/** Up to this many rows one thread adds a whole column. */
const SHORT_ROWS = 64;

/** Rows in one chunk of a sum over `rows` in two stages: both stages are about equally long. */
export function chunkRows(rows: number): number {
  return Math.max(1, Math.ceil(Math.sqrt(rows)));
}

/**
 * Records the sums over r of x[r, c] into a gradient of `width` elements, in a fixed order: x (rows, width), or
 * any shape of rows · width elements.
 *
 * @throws {TypeError} where x does not hold whole rows.
 */
export function addColumnSums(rec: Recorder, x: Tensor, target: GradientTarget): void {
  const { tensor: y, accumulate } = target;
  const width = y.length;
  const rows = x.length / width;
  if (!Number.isInteger(rows)) {
    throw new TypeError(
      `Cannot sum ${x} over rows into ${y}: ${x.length} elements, expected a multiple of ${width}`,
    );
  }
  let sums = { x, rows };
  if (rows > SHORT_ROWS) {
    const chunk_rows = chunkRows(rows);
    const chunks = Math.ceil(rows / chunk_rows);
    const partial_sums = rec.tensor("partial sums", [chunks, width]);
    rec.dispatch(SUM_CHUNKS, {
      params: { rows, width, chunk_rows },
      tensors: { x, partial_sums },
      workgroups: grid(chunks * width, 64),
    });
    sums = { x: partial_sums, rows: chunks };
  }
  rec.dispatch(FORWARD, {
    params: { rows: sums.rows, width, chunk_rows: 0 },
    tensors: { x: sums.x, y },
    workgroups: grid(width, 64),
    constants: { ACCUMULATE: accumulate },
  });
}
