/**
 * y += x: how a second gradient joins the first where no kernel could add it by itself.
 */
import { activationOf } from "./activation.ts";
import ADD_WGSL from "./add.wgsl" with { type: "text" };
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const FORWARD = byFormat((format: Format) =>
  kernel({
    name: `add.forward.${format}`,
    code: [operand("x", 1, format), output("y", 2, format), ADD_WGSL, INDEX_WGSL],
    entry: "forward",
    params: { length: "u32" },
    bindings: ["x", "y"],
  })
);

/** Records `y += x`, of one element type. */
export function addInto(rec: Recorder, y: Tensor, x: Tensor): void {
  rec.dispatch(FORWARD(formatOf(rec.device, x.length, activationOf(x))), {
    params: { length: x.length },
    tensors: { x, y },
    workgroups: grid(x.length, 256),
  });
}
