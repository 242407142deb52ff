/**
 * SwiGLU's elementwise half, between the two linears of the decoder's MLP (nanoVLM v0.1 models/language_model.py).
 *
 * Source: Shazeer 2020, equation 6.
 */
import { activationOf, byActivation } from "./activation.ts";
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";
import SWIGLU_WGSL from "./swiglu.wgsl" with { type: "text" };

const DECLARATION = {
  code: [SWIGLU_WGSL, INDEX_WGSL],
  params: { length: "u32", width: "u32" },
} as const;
const FORWARD = byActivation({
  ...DECLARATION,
  name: "swiglu.forward",
  entry: "forward",
  bindings: ["gate_up", "y"],
}, kernel);
const BACKWARD = byActivation({
  ...DECLARATION,
  name: "swiglu.backward",
  entry: "backward",
  bindings: ["gate_up", "dy", "dgate_up"],
}, kernel);

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
  const params = { length: gateUp.length / 2, width };
  const workgroups = grid(params.length, 64);
  const forward = (gate_up: Tensor) => {
    const y = rec.tensor("swiglu", [...gateUp.shape.slice(0, -1), width], gate_up.dtype);
    rec.dispatch(FORWARD[activationOf(gate_up)], { params, tensors: { gate_up, y }, workgroups });
    return y;
  };
  const y = forward(gateUp);
  rec.recipe(y, () => forward(rec.saved(gateUp)));
  return rec.backward(y, [gateUp], (dy) => {
    const target = rec.gradientTarget(gateUp);
    if (!target) return;
    const tensors = { gate_up: gateUp, dy, dgate_up: target.tensor };
    const constants = { ACCUMULATE: target.accumulate };
    rec.dispatch(BACKWARD[activationOf(gateUp)], { params, tensors, workgroups, constants });
  });
}
