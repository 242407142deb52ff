/**
 * GELU in its tanh form: the activation of the vision encoder's MLP (nanoVLM v0.1 models/vision_transformer.py).
 *
 * The forward pass is usually fused into the linear in front (epilogue_bias_gelu.wgsl); its gradient is here.
 * Source: Hendrycks and Gimpel 2016, section 2.
 */
import { activationOf } from "./activation.ts";
import GELU_WGSL from "./gelu.wgsl" with { type: "text" };
import ELEMENTWISE_WGSL from "./gelu_elementwise.wgsl" with { type: "text" };
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import { kernel } from "./runtime/kernel.ts";
import { type GradientTarget, grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** The kernels for a format of all tensors. */
const KERNELS = byFormat((format: Format) => {
  const declaration = {
    code: [
      operand("x", 1, format),
      operand("dy", 2, format),
      output("y", 3, format),
      output("dx", 4, format),
      ELEMENTWISE_WGSL,
      GELU_WGSL,
      INDEX_WGSL,
    ],
    params: { length: "u32" },
  } as const;
  return {
    forward: kernel({
      ...declaration,
      name: `gelu.forward.${format}`,
      entry: "forward",
      bindings: ["x", "y"],
    }),
    backwardX: kernel({
      ...declaration,
      name: `gelu.backward_x.${format}`,
      entry: "backward_x",
      bindings: ["x", "dy", "dx"],
    }),
  };
});

function kernelsFor({ device }: Recorder, x: Tensor): ReturnType<typeof KERNELS> {
  return KERNELS(formatOf(device, x.length, activationOf(x)));
}

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
  rec.dispatch(kernelsFor(rec, x).forward, {
    params: { length: x.length },
    tensors: { x, y },
    workgroups: grid(x.length, 256),
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
  rec.dispatch(kernelsFor(rec, x).backwardX, {
    params: { length: x.length },
    tensors: { x, dy, dx },
    workgroups: grid(x.length, 256),
    constants: { ACCUMULATE: accumulate },
  });
}
