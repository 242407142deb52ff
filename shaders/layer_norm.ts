/**
 * LayerNorm, forward and backward: the vision encoder's norm (nanoVLM v0.1 models/vision_transformer.py).
 *
 * Source: Ba, Kiros and Hinton 2016, "Layer Normalization".
 */
import { activationOf, byActivation } from "./activation.ts";
import { addColumnSums, chunkRows } from "./column_sum.ts";
import LAYER_NORM_WGSL from "./layer_norm.wgsl" with { type: "text" };
import { dispatchRows, rowKernel } from "./row_reduction.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Parameter, Tensor } from "./runtime/tensor.ts";

const DECLARATION = {
  code: [LAYER_NORM_WGSL],
  params: { rows: "u32", width: "u32", chunk_rows: "u32", eps: "f32" },
} as const;
const FORWARD = byActivation({
  ...DECLARATION,
  name: "layer_norm.forward",
  entry: "forward",
  bindings: ["x", "weight", "bias", "statistics", "y"],
}, rowKernel);
const BACKWARD_X = byActivation({
  ...DECLARATION,
  name: "layer_norm.backward_x",
  entry: "backward_x",
  bindings: ["x", "weight", "dy", "saved", "dx"],
}, rowKernel);
// Works by columns: either form of the helpers, which it does not call, compiles it.
const BACKWARD_WEIGHT = byActivation({
  ...DECLARATION,
  name: "layer_norm.backward_weight",
  entry: "backward_weight",
  bindings: ["x", "dy", "saved", "dweight_partial", "dbias_partial"],
}, (spec) => rowKernel(spec).workgroup);

/**
 * Records y = (x - mean) / sqrt(variance + eps) · weight + bias over the last axis: x (..., C) -> y (..., C),
 * weight and bias (C). y has the recorder's activation type.
 *
 * @throws {TypeError} where weight or bias does not have C elements.
 */
export function layerNorm(
  rec: Recorder,
  x: Tensor,
  weight: Parameter,
  bias: Parameter,
  eps: number,
): Tensor {
  const width = x.dim(-1);
  const rows = x.length / width;
  const w = rec.use(weight);
  const b = rec.use(bias);
  if (w.length !== width || b.length !== width) {
    throw new TypeError(
      `Cannot normalize ${x}: weight ${w}, bias ${b}, expected ${width} elements each`,
    );
  }
  const params = { rows, width, chunk_rows: chunkRows(rows), eps };
  const forward = (x: Tensor) => {
    const y = rec.tensor("layer_norm", x.shape, rec.activation);
    const statistics = rec.tensor("layer_norm statistics", [rows, 2]);
    const tensors = { x, weight: w, bias: b, statistics, y };
    dispatchRows(rec, FORWARD[rec.activation], { params, tensors, rows });
    return { y, saved: statistics };
  };
  const { y, saved } = forward(x);
  rec.recipe(y, () => forward(rec.saved(x)).y);
  return rec.backward(y, [x, w, b], (dy) => {
    const dx = rec.gradientTarget(x);
    if (dx) {
      const tensors = { x, weight: w, dy, saved, dx: dx.tensor };
      const constants = { ACCUMULATE: dx.accumulate };
      dispatchRows(rec, BACKWARD_X[activationOf(dy)], { params, tensors, rows, constants });
    }
    weightGradients(rec, { x, dy, saved }, { params, weight: w, bias: b });
  });
}

/** Appends dweight and dbias: partial sums by chunks of rows, then their sums. */
function weightGradients(
  rec: Recorder,
  { x, dy, saved }: { x: Tensor; dy: Tensor; saved: Tensor },
  { params, weight, bias }: {
    params: { rows: number; width: number; chunk_rows: number; eps: number };
    weight: Tensor;
    bias: Tensor;
  },
): void {
  const dweight = rec.gradientTarget(weight);
  const dbias = rec.gradientTarget(bias);
  if (!dweight && !dbias) return;
  const chunks = Math.ceil(params.rows / params.chunk_rows);
  const dweight_partial = rec.tensor("dweight partial", [chunks, params.width]);
  const dbias_partial = rec.tensor("dbias partial", [chunks, params.width]);
  rec.dispatch(BACKWARD_WEIGHT[activationOf(dy)], {
    params,
    tensors: { x, dy, saved, dweight_partial, dbias_partial },
    workgroups: grid(chunks * params.width, 64),
  });
  if (dweight) addColumnSums(rec, dweight_partial, dweight);
  if (dbias) addColumnSums(rec, dbias_partial, dbias);
}
