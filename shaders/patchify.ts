/**
 * Images as rows of patches: the first step of the vision encoder, a Conv2d with stride = kernel size turned into
 * a product (nanoVLM v0.1 models/vision_transformer.py, ViTPatchEmbeddings).
 */
import { byActivation } from "./activation.ts";
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import PATCHIFY_WGSL from "./patchify.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const FORWARD = byActivation({
  name: "patchify.forward",
  code: [PATCHIFY_WGSL, INDEX_WGSL],
  entry: "forward",
  params: { length: "u32", pixels: "u32", width: "u32", side: "u32" },
  bindings: ["images", "y"],
}, kernel);

/**
 * Records images (B, 3, S, S) -> (B · N, 3 · patch²), patches in row-major order, N = floor(S / patch)²; pixels
 * that fill no patch are left out, as by Conv2d. y has the recorder's activation type.
 *
 * @throws {TypeError} where images are no squares of three channels, or smaller than a patch.
 */
export function patchify(rec: Recorder, images: Tensor, patch: number): Tensor {
  const [B, channels, pixels] = [images.dim(0), images.dim(1), images.dim(2)];
  if (channels !== 3 || images.dim(3) !== pixels || patch > pixels) {
    throw new TypeError(
      `Cannot cut ${images} into patches of ${patch}: expected (B, 3, S, S), S at least ${patch}`,
    );
  }
  const side = Math.floor(pixels / patch);
  const forward = () => {
    const y = rec.tensor("patches", [B * side * side, 3 * patch * patch], rec.activation);
    rec.dispatch(FORWARD[rec.activation], {
      params: { length: y.length, pixels, width: patch, side },
      tensors: { images, y },
      workgroups: grid(y.length, 64),
    });
    return y;
  };
  const y = forward();
  rec.recipe(y, forward);
  return y;
}
