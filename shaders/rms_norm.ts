/**
 * RMSNorm, forward and backward: the decoder's norm (nanoVLM v0.1 models/language_model.py).
 *
 * Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".
 */
import { activationOf, byActivation } from "./activation.ts";
import { addColumnSums, chunkRows } from "./column_sum.ts";
import RMS_NORM_WGSL from "./rms_norm.wgsl" with { type: "text" };
import { dispatchRows, rowKernel } from "./row_reduction.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Parameter, Tensor } from "./runtime/tensor.ts";

const DECLARATION = {
  code: [RMS_NORM_WGSL],
  params: { rows: "u32", width: "u32", chunk_rows: "u32", eps: "f32" },
} as const;
const FORWARD = byActivation({
  ...DECLARATION,
  name: "rms_norm.forward",
  entry: "forward",
  bindings: ["x", "weight", "inverses", "y"],
}, rowKernel);
const BACKWARD_X = byActivation({
  ...DECLARATION,
  name: "rms_norm.backward_x",
  entry: "backward_x",
  bindings: ["x", "weight", "dy", "saved", "dx"],
}, rowKernel);
// Works by columns: either form of the helpers, which it does not call, compiles it.
const BACKWARD_WEIGHT = byActivation({
  ...DECLARATION,
  name: "rms_norm.backward_weight",
  entry: "backward_weight",
  bindings: ["x", "dy", "saved", "dweight_partial"],
}, (spec) => rowKernel(spec).workgroup);

/**
 * Records y = x / sqrt(mean(x²) + eps) · weight over the last axis: x (..., C) -> y (..., C), weight (C). y has the
 * recorder's activation type.
 *
 * @throws {TypeError} where weight does not have C elements.
 */
export function rmsNorm(rec: Recorder, x: Tensor, weight: Parameter, eps: number): Tensor {
  const width = x.dim(-1);
  const rows = x.length / width;
  const w = rec.use(weight);
  if (w.length !== width) {
    throw new TypeError(`Cannot normalize ${x}: weight ${w}, expected ${width} elements`);
  }
  const params = { rows, width, chunk_rows: chunkRows(rows), eps };
  const forward = (x: Tensor) => {
    const y = rec.tensor("rms_norm", x.shape, rec.activation);
    const inverses = rec.tensor("rms_norm inverses", [rows]);
    const tensors = { x, weight: w, inverses, y };
    dispatchRows(rec, FORWARD[rec.activation], { params, tensors, rows });
    return { y, saved: inverses };
  };
  const { y, saved } = forward(x);
  rec.recipe(y, () => forward(rec.saved(x)).y);
  return rec.backward(y, [x, w], (dy) => {
    const dx = rec.gradientTarget(x);
    if (dx) {
      const tensors = { x, weight: w, dy, saved, dx: dx.tensor };
      const constants = { ACCUMULATE: dx.accumulate };
      dispatchRows(rec, BACKWARD_X[activationOf(dy)], { params, tensors, rows, constants });
    }
    const dweight = rec.gradientTarget(w);
    if (!dweight) return;
    const chunks = Math.ceil(rows / params.chunk_rows);
    const dweight_partial = rec.tensor("dweight partial", [chunks, width]);
    rec.dispatch(BACKWARD_WEIGHT[activationOf(dy)], {
      params,
      tensors: { x, dy, saved, dweight_partial },
      workgroups: grid(chunks * width, 64),
    });
    addColumnSums(rec, dweight_partial, dweight);
  });
}
