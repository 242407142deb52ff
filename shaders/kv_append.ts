/**
 * Appending keys and values to a decoding cache: kv_append.wgsl.
 */
import { activationOf, byActivation } from "./activation.ts";
import INDEX from "./index.wgsl" with { type: "text" };
import KV_APPEND from "./kv_append.wgsl" with { type: "text" };
import POSITION from "./position.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const FORWARD = byActivation({
  name: "kv_append.forward",
  code: [KV_APPEND, POSITION, INDEX],
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
}, kernel);

/**
 * Records that the keys and values behind the queries in qkv (B, T, S) go to rows position + t of
 * cache (B, L, width), where width is that of both together; rows past the cache's end are dropped. position is u32 [1] or (B).
 * qkv and cache have one element type.
 */
export function kvAppend(rec: Recorder, qkv: Tensor, cache: Tensor, position: Tensor): void {
  const [batch, queries, stride] = [qkv.dim(0), qkv.dim(1), qkv.dim(2)];
  const [keys, width] = [cache.dim(1), cache.dim(2)];
  rec.dispatch(FORWARD[activationOf(qkv)], {
    params: { batch, queries, stride, offset: stride - width, keys, width },
    tensors: { qkv, position, cache },
    workgroups: grid(batch * queries * width, 64),
  });
}
