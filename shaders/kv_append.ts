/**
 * Appending keys and values to a decoding cache: kv_append.wgsl.
 */
import { activationOf } from "./activation.ts";
import INDEX from "./index.wgsl" with { type: "text" };
import KV_APPEND from "./kv_append.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import POSITION from "./position.wgsl" with { type: "text" };
import ROW_QUAD from "./row_quad.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** The kernel for a format of both tensors. */
const FORWARD = byFormat((format: Format) =>
  kernel({
    name: `kv_append.forward.${format}`,
    code: [
      operand("qkv", 1, format),
      output("cache", 3, format),
      KV_APPEND,
      POSITION,
      ROW_QUAD,
      INDEX,
    ],
    entry: "forward",
    params: {
      batch: "u32",
      queries: "u32",
      stride: "u32",
      offset: "u32",
      keys: "u32",
      width: "u32",
    },
    bindings: ["qkv", "position", "cache"],
  })
);

/**
 * Records that the keys and values behind the queries in qkv (B, T, S) go to rows position + t of
 * cache (B, L, width), where width is that of both together; rows past the cache's end are dropped. position is u32 [1] or (B).
 * qkv and cache have one element type.
 */
export function kvAppend(rec: Recorder, qkv: Tensor, cache: Tensor, position: Tensor): void {
  const [batch, queries, stride] = [qkv.dim(0), qkv.dim(1), qkv.dim(2)];
  const [keys, width] = [cache.dim(1), cache.dim(2)];
  // Keys begin at fours where both lengths divide.
  const unit = width % 4 === 0 ? stride : width;
  rec.dispatch(FORWARD(formatOf(rec.device, unit, activationOf(qkv))), {
    params: { batch, queries, stride, offset: stride - width, keys, width },
    tensors: { qkv, position, cache },
    workgroups: grid(batch * queries * Math.ceil(width / 4), 64),
  });
}
