/**
 * LayerNorm, forward and backward: the vision encoder's norm (nanoVLM v0.1 models/vision_transformer.py).
 *
 * Source: Ba, Kiros and Hinton 2016, "Layer Normalization".
 */
import { activationOf, byActivation } from "./activation.ts";
import { addColumnSums, chunkRows } from "./column_sum.ts";
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import LAYER_NORM_WGSL from "./layer_norm.wgsl" with { type: "text" };
import WEIGHT_WGSL from "./layer_norm_weight.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import ROW_QUAD_WGSL from "./row_quad.wgsl" with { type: "text" };
import { dispatchRows, rowKernel } from "./row_reduction.ts";
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Activation, Parameter, Tensor } from "./runtime/tensor.ts";

/** The kernels for the format of y and dy, and that of all other tensors, which are f32. */
const KERNELS = byFormat((act: Format, rows: Format) => {
  const declaration = {
    code: [
      operand("x", 1, rows),
      operand("weight", 2, rows),
      operand("bias", 3, rows),
      operand("dy", 4, act),
      output("y", 7, act),
      output("dx", 8, rows),
      LAYER_NORM_WGSL,
      ROW_QUAD_WGSL,
    ],
    params: { rows: "u32", width: "u32", eps: "f32" },
  } as const;
  return {
    forward: rowKernel({
      ...declaration,
      name: `layer_norm.forward.${act}`,
      entry: "forward",
      bindings: ["x", "weight", "bias", "statistics", "y"],
    }),
    backwardX: rowKernel({
      ...declaration,
      name: `layer_norm.backward_x.${act}`,
      entry: "backward_x",
      bindings: ["x", "weight", "dy", "saved", "dx"],
    }),
  };
});

const BACKWARD_WEIGHT = byActivation({
  name: "layer_norm.backward_weight",
  code: [WEIGHT_WGSL, INDEX_WGSL],
  entry: "backward_weight",
  params: { rows: "u32", width: "u32", chunk_rows: "u32" },
  bindings: ["x", "dy", "saved", "dweight_partial", "dbias_partial"],
}, kernel);

function kernelsFor(rec: Recorder, width: number, dtype: Activation): ReturnType<typeof KERNELS> {
  return KERNELS(formatOf(rec.device, width, dtype), formatOf(rec.device, width));
}

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
    dispatchRows(rec, kernelsFor(rec, width, rec.activation).forward, { params, tensors, rows });
    return { y, saved: statistics };
  };
  const { y, saved } = forward(x);
  rec.recipe(y, () => forward(rec.saved(x)).y);
  return rec.backward(y, [x, w, b], (dy) => {
    const dx = rec.gradientTarget(x);
    if (dx) {
      const tensors = { x, weight: w, dy, saved, dx: dx.tensor };
      const constants = { ACCUMULATE: dx.accumulate };
      const { backwardX } = kernelsFor(rec, width, activationOf(dy));
      dispatchRows(rec, backwardX, { params, tensors, rows, constants });
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
