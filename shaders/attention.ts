/**
 * Flash attention, forward and backward: attention.wgsl.
 *
 * Queries, keys and values stand side by side in one tensor of rows, as a packed projection makes them; for
 * decoding, keys and values come from a cache instead.
 */
import { activationOf } from "./activation.ts";
import ATTENTION from "./attention.wgsl" with { type: "text" };
import BACKWARD from "./attention_backward.wgsl" with { type: "text" };
import POSITION from "./position.wgsl" with { type: "text" };
import PLAIN from "./attention_plain.wgsl" with { type: "text" };
import OPERANDS from "./attention_operands.wgsl" with { type: "text" };
import SUBGROUP from "./attention_subgroup.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import { kernel } from "./runtime/kernel.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** How attention reads its inputs. */
export interface AttentionOptions {
  /** Query heads. */
  readonly heads: number;
  /** Key/value heads; divides `heads`. */
  readonly kvHeads: number;
  readonly headWidth: number;
  readonly causal: boolean;
  /** u32 (B, S): 0 hides a key. */
  readonly mask?: Tensor;
  /** u32 [1] or (B): the position of the first query of each sequence; 0 where gradients flow. */
  readonly position: Tensor;
  /** Keys then values, (B, S, 2·kvHeads·headWidth), instead of those in `qkv`; no gradient. */
  readonly cache?: Tensor;
}

/** Threads of a workgroup where there are no subgroups. */
const PLAIN_LANES = 64;

const PARAMS = {
  queries: "u32",
  keys: "u32",
  heads: "u32",
  kv_heads: "u32",
  q_stride: "u32",
  q_offset: "u32",
  kv_stride: "u32",
  k_offset: "u32",
  v_offset: "u32",
  scale: "f32",
} as const;

/**
 * Queries (or keys) of a lane, forward. More of them share each row that passes by, and take registers and time to
 * compile: with 8 lanes on lavapipe, at head width 64, 4 rows ran 1.7 times as fast as 1; backward, where half as many are
 * taken, 2 rows 1.25 times and 4 rows 1.33 times. Wider subgroups have too few registers for it.
 */
function rowsOf(lanes: number, headWidth: number): number {
  if (lanes > 16) return 1;
  return headWidth <= 64 ? 4 : 2;
}

/** The three kernels for a family and the format of all tensors in rows of heads. */
function declare(family: "subgroup" | "plain", format: Format) {
  const read = ["q", "k", "v", "y", "dy"].map((name, i) => operand(name, 1 + i, format));
  const shared = [
    ...read,
    OPERANDS,
    ATTENTION,
    BACKWARD,
    POSITION,
    family === "subgroup" ? SUBGROUP : PLAIN,
  ];
  const writes = [output("y_out", 10, format), output("dq", 13, format), output("dkv", 14, format)];
  const common = {
    code: [...shared, ...writes],
    params: PARAMS,
    constants: ["HEAD_WIDTH", "QUADS", "LANES", "ROWS"],
  };
  const suffix = `${family}.${format}`;
  return {
    forward: kernel({
      ...common,
      name: `attention.forward.${suffix}`,
      entry: "forward",
      bindings: ["q", "k", "v", "position", "mask", "y_out", "log_sum_out"],
    }),
    backwardQ: kernel({
      ...common,
      name: `attention.backward_q.${suffix}`,
      entry: "backward_q",
      bindings: ["q", "k", "v", "y", "dy", "position", "mask", "log_sum", "delta_out", "dq"],
    }),
    backwardKv: kernel({
      ...common,
      name: `attention.backward_kv.${suffix}`,
      entry: "backward_kv",
      bindings: ["q", "k", "v", "dy", "mask", "log_sum", "delta", "dkv"],
    }),
  };
}

const kernelsBy = {
  subgroup: byFormat((format: Format) => declare("subgroup", format)),
  plain: byFormat((format: Format) => declare("plain", format)),
};

/**
 * Records softmax(q · kᵀ / √D) · v: qkv (B, T, (heads + 2·kvHeads)·D) -> (B, T, heads·D), of
 * qkv's element type, which the cache must have too.
 *
 * @throws {TypeError} where shapes do not fit.
 */
export function attention(rec: Recorder, qkv: Tensor, options: AttentionOptions): Tensor {
  const { heads, kvHeads, headWidth, causal, position, cache } = options;
  const [batch, queries, stride] = [qkv.dim(0), qkv.dim(1), qkv.dim(2)];
  const kvWidth = kvHeads * headWidth;
  const kv = cache ?? qkv;
  if (
    heads % kvHeads !== 0 || stride !== heads * headWidth + 2 * kvWidth || kv.dim(0) !== batch ||
    (cache && cache.dim(2) !== 2 * kvWidth) ||
    (options.mask && options.mask.length !== batch * kv.dim(1))
  ) {
    throw new TypeError(
      `Cannot attend over ${qkv}${cache ? ` and ${cache}` : ""}${
        options.mask ? ` by ${options.mask}` : ""
      }: ` +
        `expected ${heads} query and ${kvHeads} key heads of width ${headWidth}`,
    );
  }
  const { device } = rec;
  const family = device.subgroupSize >= 8 ? "subgroup" : "plain";
  const lanes = family === "subgroup" ? device.subgroupSize : PLAIN_LANES;
  const rows = family === "subgroup" && queries > lanes ? rowsOf(lanes, headWidth) : 1;
  const { forward, backwardQ, backwardKv } = kernelsBy[family](
    formatOf(device, headWidth, activationOf(qkv)),
  );
  const params = {
    queries,
    keys: kv.dim(1),
    heads,
    kv_heads: kvHeads,
    q_stride: stride,
    q_offset: 0,
    kv_stride: kv.dim(2),
    k_offset: cache ? 0 : heads * headWidth,
    v_offset: (cache ? 0 : heads * headWidth) + kvWidth,
    scale: 1 / Math.sqrt(headWidth),
  };
  const constants = {
    HEAD_WIDTH: headWidth,
    QUADS: Math.ceil(headWidth / 4),
    LANES: lanes,
    ROWS: rows,
    CAUSAL: causal,
    MASKED: options.mask !== undefined,
  };
  // One product of every query with every key; where keys are causal, blocks behind the queries are skipped.
  const product = 2 * batch * heads * queries * kv.dim(1) * headWidth / (causal && !cache ? 2 : 1);
  const inputs = { q: qkv, k: kv, v: kv, position, mask: options.mask ?? position };
  const y = rec.tensor("attention", [batch, queries, heads * headWidth], qkv.dtype);
  const logSum = rec.tensor("attention log sum", [batch, heads, queries]);
  rec.dispatch(forward, {
    params,
    constants,
    tensors: { ...inputs, y_out: y, log_sum_out: logSum },
    workgroups: [Math.ceil(queries / (lanes * rows)), batch * heads],
    flops: 2 * product,
  });
  if (cache) return y;
  return rec.backward(y, [qkv], (dy) => {
    const target = rec.gradientTarget(qkv);
    if (!target) return;
    const delta = rec.tensor("attention delta", logSum.shape);
    const backwardRows = Math.max(1, rows / 2);
    const backward = { ...constants, ROWS: backwardRows, ACCUMULATE: target.accumulate };
    const across = Math.ceil(queries / (lanes * backwardRows));
    const { position: _, ...kvInputs } = inputs;
    rec.dispatch(backwardQ, {
      params,
      constants: backward,
      tensors: { ...inputs, y, dy, log_sum: logSum, delta_out: delta, dq: target.tensor },
      workgroups: [across, batch * heads],
      flops: 3 * product, // scores, dy · vᵀ, dq
    });
    rec.dispatch(backwardKv, {
      params,
      constants: backward,
      tensors: { ...kvInputs, dy, log_sum: logSum, delta, dkv: target.tensor },
      workgroups: [across, batch * kvHeads],
      flops: 4 * product, // scores, dy · vᵀ, dk, dv
    });
  });
}
