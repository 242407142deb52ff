/**
 * RMSNorm, forward and backward: the decoder's norm (nanoVLM v0.1 models/language_model.py).
 *
 * Source: Zhang and Sennrich 2019, "Root Mean Square Layer Normalization".
 */
import { activationOf, byActivation } from "./activation.ts";
import { addColumnSums, chunkRows } from "./column_sum.ts";
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import RMS_NORM_WGSL from "./rms_norm.wgsl" with { type: "text" };
import WEIGHT_WGSL from "./rms_norm_weight.wgsl" with { type: "text" };
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
      operand("dy", 3, act),
      output("y", 6, act),
      output("dx", 7, rows),
      RMS_NORM_WGSL,
      ROW_QUAD_WGSL,
    ],
    params: { rows: "u32", width: "u32", eps: "f32" },
  } as const;
  return {
    forward: rowKernel({
      ...declaration,
      name: `rms_norm.forward.${act}`,
      entry: "forward",
      bindings: ["x", "weight", "inverses", "y"],
    }),
    backwardX: rowKernel({
      ...declaration,
      name: `rms_norm.backward_x.${act}`,
      entry: "backward_x",
      bindings: ["x", "weight", "dy", "saved", "dx"],
    }),
  };
});

const BACKWARD_WEIGHT = byActivation({
  name: "rms_norm.backward_weight",
  code: [WEIGHT_WGSL, INDEX_WGSL],
  entry: "backward_weight",
  params: { rows: "u32", width: "u32", chunk_rows: "u32" },
  bindings: ["x", "dy", "saved", "dweight_partial"],
}, kernel);

function kernelsFor(rec: Recorder, width: number, dtype: Activation): ReturnType<typeof KERNELS> {
  return KERNELS(formatOf(rec.device, width, dtype), formatOf(rec.device, width));
}

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
    dispatchRows(rec, kernelsFor(rec, width, rec.activation).forward, { params, tensors, rows });
    return { y, saved: inverses };
  };
  const { y, saved } = forward(x);
  rec.recipe(y, () => forward(rec.saved(x)).y);
  return rec.backward(y, [x, w], (dy) => {
    const { backwardX } = kernelsFor(rec, width, activationOf(dy));
    const dx = rec.gradientTarget(x);
    if (dx) {
      const tensors = { x, weight: w, dy, saved, dx: dx.tensor };
      const constants = { ACCUMULATE: dx.accumulate };
      dispatchRows(rec, backwardX, { params, tensors, rows, constants });
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
