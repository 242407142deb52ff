/**
 * SwiGLU's elementwise half, between the two linears of the decoder's MLP (nanoVLM v0.1 models/language_model.py).
 *
 * Source: Shazeer 2020, equation 6.
 */
import { activationOf } from "./activation.ts";
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";
import SWIGLU_WGSL from "./swiglu.wgsl" with { type: "text" };

/** The kernels for a format of all tensors. */
const KERNELS = byFormat((format: Format) => {
  const declaration = {
    code: [
      operand("gate_up", 1, format),
      operand("dy", 2, format),
      output("y", 3, format),
      output("dgate_up", 4, format),
      SWIGLU_WGSL,
      INDEX_WGSL,
    ],
    params: { quads: "u32", width: "u32" },
  } as const;
  return {
    forward: kernel({
      ...declaration,
      name: `swiglu.forward.${format}`,
      entry: "forward",
      bindings: ["gate_up", "y"],
    }),
    backward: kernel({
      ...declaration,
      name: `swiglu.backward.${format}`,
      entry: "backward",
      bindings: ["gate_up", "dy", "dgate_up"],
    }),
  };
});

/**
 * Records y = silu(gate) · up: gateUp (..., 2 I), the gate in the first half of every row -> (..., I),
 * of the same element type.
 *
 * @throws {TypeError} where the rows cannot be halved.
 */
export function swiglu(rec: Recorder, gateUp: Tensor): Tensor {
  const width = gateUp.dim(-1) / 2;
  if (!Number.isInteger(width)) {
    throw new TypeError(
      `Cannot apply swiglu to ${gateUp}: rows of ${2 * width}, expected an even width`,
    );
  }
  const params = { quads: gateUp.length / (2 * width) * Math.ceil(width / 4), width };
  const workgroups = grid(params.quads, 64);
  const kernels = KERNELS(formatOf(rec.device, width, activationOf(gateUp)));
  const forward = (gate_up: Tensor) => {
    const y = rec.tensor("swiglu", [...gateUp.shape.slice(0, -1), width], gate_up.dtype);
    rec.dispatch(kernels.forward, { params, tensors: { gate_up, y }, workgroups });
    return y;
  };
  const y = forward(gateUp);
  rec.recipe(y, () => forward(rec.saved(gateUp)));
  return rec.backward(y, [gateUp], (dy) => {
    const target = rec.gradientTarget(gateUp);
    if (!target) return;
    const tensors = { gate_up: gateUp, dy, dgate_up: target.tensor };
    const constants = { ACCUMULATE: target.accumulate };
    rec.dispatch(kernels.backward, { params, tensors, workgroups, constants });
  });
}
