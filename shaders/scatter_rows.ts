/**
 * Image tokens into their places among the embedded text (nanoVLM's models/vision_language_model.py).
 */
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";
import SCATTER_ROWS_WGSL from "./scatter_rows.wgsl" with { type: "text" };

const DECLARATION = {
  code: [SCATTER_ROWS_WGSL, INDEX_WGSL],
  params: { length: "u32", width: "u32" },
} as const;
const FORWARD = kernel({
  ...DECLARATION,
  name: "scatter_rows.forward",
  entry: "forward",
  bindings: ["image", "rows", "y"],
});
const BACKWARD_IMAGE = kernel({
  ...DECLARATION,
  name: "scatter_rows.backward_image",
  entry: "backward_image",
  bindings: ["rows", "dy", "dimage"],
});

/**
 * Records y[rows[k]] = image[k] in place: y (R, C), image (N, C), rows u32 (N), all different, NO_ROW to leave a
 * row of image out. Returns y. The rows written over must be ones that embedding() left alone: its backward pass
 * sees the same gradient.
 *
 * @throws {TypeError} where shapes do not fit.
 */
export function scatterRows(rec: Recorder, y: Tensor, image: Tensor, rows: Tensor): Tensor {
  const width = y.dim(-1);
  if (image.dim(-1) !== width || rows.length * width !== image.length || rows.dtype !== "u32") {
    throw new TypeError(
      `Cannot scatter ${image} into ${y} by ${rows.dtype} ${rows}: expected rows of ${width} and as many u32 rows`,
    );
  }
  const params = { length: image.length, width };
  const workgroups = grid(image.length, 64);
  rec.dispatch(FORWARD, { params, tensors: { image, rows, y }, workgroups });
  return rec.backward(y, [image], (dy) => {
    const target = rec.gradientTarget(image);
    if (!target) return;
    const tensors = { rows, dy, dimage: target.tensor };
    const constants = { ACCUMULATE: target.accumulate };
    rec.dispatch(BACKWARD_IMAGE, { params, tensors, workgroups, constants });
  });
}
