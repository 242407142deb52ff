/**
 * Pixel shuffle: fewer, wider image tokens for the decoder (nanoVLM v0.1 models/modality_projector.py).
 *
 * Source: Shi et al. 2016, the inverse of their sub-pixel rearrangement, as nanoVLM orders it.
 */
import { activationOf, byActivation } from "./activation.ts";
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import PIXEL_SHUFFLE_WGSL from "./pixel_shuffle.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const DECLARATION = {
  code: [PIXEL_SHUFFLE_WGSL, INDEX_WGSL],
  params: { length: "u32", side: "u32", factor: "u32", width: "u32" },
} as const;
const FORWARD = byActivation({
  ...DECLARATION,
  name: "pixel_shuffle.forward",
  entry: "forward",
  bindings: ["x", "y"],
}, kernel);
const BACKWARD_X = byActivation({
  ...DECLARATION,
  name: "pixel_shuffle.backward_x",
  entry: "backward_x",
  bindings: ["dy", "dx"],
}, kernel);

/**
 * Records x (B, N, C), N a square number of patches -> (B, N / factor², C · factor²); a token's channels are
 * ordered (row in block, column in block, c).
 *
 * @throws {TypeError} where N is no square, or its root no multiple of the factor.
 */
export function pixelShuffle(rec: Recorder, x: Tensor, factor: number): Tensor {
  const [B, N, width] = [x.dim(0), x.dim(1), x.dim(2)];
  const side = Math.sqrt(N);
  if (!Number.isInteger(side) || side % factor !== 0) {
    throw new TypeError(
      `Cannot shuffle ${x} by ${factor}: a side of ${side} patches, expected a multiple of ${factor}; ` +
        "change the image size, the patch size or the factor",
    );
  }
  const area = factor * factor;
  const params = { length: x.length, side, factor, width };
  const workgroups = grid(x.length, 64);
  const forward = (x: Tensor) => {
    const y = rec.tensor("pixel_shuffle", [B, N / area, width * area], x.dtype);
    rec.dispatch(FORWARD[activationOf(x)], { params, tensors: { x, y }, workgroups });
    return y;
  };
  const y = forward(x);
  rec.recipe(y, () => forward(rec.saved(x)));
  return rec.backward(y, [x], (dy) => {
    const target = rec.gradientTarget(x);
    if (!target) return;
    const constants = { ACCUMULATE: target.accumulate };
    rec.dispatch(BACKWARD_X[activationOf(x)], {
      params,
      tensors: { dy, dx: target.tensor },
      workgroups,
      constants,
    });
  });
}
