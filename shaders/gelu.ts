/**
 * GELU in its tanh form: the activation of the vision encoder's MLP (nanoVLM v0.1 models/vision_transformer.py).
 *
 * The forward pass is usually fused into the linear in front (epilogue_bias_gelu.wgsl); its gradient is here.
 * Source: Hendrycks and Gimpel 2016, section 2.
 */
import { activationOf, byActivation } from "./activation.ts";
import GELU_WGSL from "./gelu.wgsl" with { type: "text" };
import ELEMENTWISE_WGSL from "./gelu_elementwise.wgsl" with { type: "text" };
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { type GradientTarget, grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const DECLARATION = {
  code: [ELEMENTWISE_WGSL, GELU_WGSL, INDEX_WGSL],
  params: { length: "u32" },
} as const;
const FORWARD = byActivation({
  ...DECLARATION,
  name: "gelu.forward",
  entry: "forward",
  bindings: ["x", "y"],
}, kernel);
const BACKWARD_X = byActivation({
  ...DECLARATION,
  name: "gelu.backward_x",
  entry: "backward_x",
  bindings: ["x", "dy", "dx"],
}, kernel);

/** Records y = gelu(x), elementwise; any shape, and y has x's element type. */
export function gelu(rec: Recorder, x: Tensor): Tensor {
  const y = geluForward(rec, x);
  rec.recipe(y, () => geluForward(rec, rec.saved(x)));
  return rec.backward(y, [x], (dy) => {
    const target = rec.gradientTarget(x);
    if (target) backward(rec, { x, dy }, target);
  });
}

/** The same without a gradient. */
export function geluForward(rec: Recorder, x: Tensor): Tensor {
  const y = rec.tensor("gelu", x.shape, x.dtype);
  rec.dispatch(FORWARD[activationOf(x)], {
    params: { length: x.length },
    tensors: { x, y },
    workgroups: grid(x.length, 64),
  });
  return y;
}

/** Records dpre = dy · gelu'(pre) into a new tensor of pre's shape and element type. */
export function geluBackward(rec: Recorder, pre: Tensor, dy: Tensor): Tensor {
  const tensor = rec.tensor(`d${pre.storage.label}`, pre.shape, pre.dtype);
  backward(rec, { x: pre, dy }, { tensor, accumulate: false });
  return tensor;
}

function backward(
  rec: Recorder,
  { x, dy }: { x: Tensor; dy: Tensor },
  { tensor: dx, accumulate }: GradientTarget,
): void {
  rec.dispatch(BACKWARD_X[activationOf(x)], {
    params: { length: x.length },
    tensors: { x, dy, dx },
    workgroups: grid(x.length, 64),
    constants: { ACCUMULATE: accumulate },
  });
}
