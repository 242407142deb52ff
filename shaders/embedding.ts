/**
 * Token lookup and its gradient: the decoder's first step (nanoVLM v0.1 models/language_model.py).
 */
import EMBEDDING_WGSL from "./embedding.wgsl" with { type: "text" };
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Parameter, Tensor } from "./runtime/tensor.ts";

const DECLARATION = {
  code: [EMBEDDING_WGSL, INDEX_WGSL],
  params: { rows: "u32", width: "u32", vocabulary: "u32" },
} as const;
const FORWARD = kernel({
  ...DECLARATION,
  name: "embedding.forward",
  entry: "forward",
  bindings: ["ids", "table", "y"],
});
const LINK = kernel({
  ...DECLARATION,
  name: "embedding.link",
  entry: "link",
  bindings: ["ids", "next", "previous"],
});
const SUM_CHUNKS = kernel({
  ...DECLARATION,
  name: "embedding.sum_chunks",
  entry: "sum_chunks",
  bindings: ["ids", "dy", "next", "previous", "jump", "sums"],
});
const BACKWARD_TABLE = kernel({
  ...DECLARATION,
  name: "embedding.backward_table",
  entry: "backward_table",
  bindings: ["ids", "previous", "jump", "sums", "dtable"],
});

/** The id, or row number, of a row that embedding() and scatterRows() leave out. */
export const NO_ROW = 0xffffffff;

/**
 * Records y[r] = table[ids[r]]: ids u32 (R), table (V, C) -> (R, C). Rows of id NO_ROW are zero and give the table
 * no gradient; ids beyond the table give NaN.
 *
 * @throws {TypeError} where ids are not u32 or the table is no matrix.
 */
export function embedding(rec: Recorder, ids: Tensor, table: Parameter): Tensor {
  const w = rec.use(table);
  if (ids.dtype !== "u32" || w.shape.length !== 2) {
    throw new TypeError(
      `Cannot look up ${ids.dtype} ${ids} in ${w}: expected u32 ids and a table (V, C)`,
    );
  }
  const [rows, vocabulary, width] = [ids.length, w.dim(0), w.dim(1)];
  const params = { rows, width, vocabulary };
  const y = rec.tensor("embedding", [rows, width]);
  const workgroups = grid(rows * width, 64);
  rec.dispatch(FORWARD, { params, tensors: { ids, table: w, y }, workgroups });
  return rec.backward(y, [w], (dy) => {
    const target = rec.gradientTarget(w);
    if (!target) return;
    const [next, previous, jump] = ["next", "previous", "jump"].map((name) =>
      rec.tensor(`embedding ${name}`, [rows], "u32")
    ) as [Tensor, Tensor, Tensor];
    const sums = rec.tensor("embedding sums", [rows, width]);
    rec.clear(previous);
    rec.dispatch(LINK, { params, tensors: { ids, next, previous }, workgroups: grid(rows, 1) });
    rec.dispatch(SUM_CHUNKS, {
      params,
      tensors: { ids, dy, next, previous, jump, sums },
      workgroups,
    });
    const tensors = { ids, previous, jump, sums, dtable: target.tensor };
    rec.dispatch(BACKWARD_TABLE, { params, tensors, workgroups });
  });
}
