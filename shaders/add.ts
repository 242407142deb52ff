/**
 * y += x: how a second gradient joins the first where no kernel could add it by itself.
 */
import ADD_WGSL from "./add.wgsl" with { type: "text" };
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const FORWARD = kernel({
  name: "add.forward",
  code: [ADD_WGSL, INDEX_WGSL],
  entry: "forward",
  params: { length: "u32" },
  bindings: ["x", "y"],
});

/** Records `y += x`. */
export function addInto(rec: Recorder, y: Tensor, x: Tensor): void {
  rec.dispatch(FORWARD, {
    params: { length: x.length },
    tensors: { x, y },
    workgroups: grid(x.length, 64),
  });
}
