/**
 * Rotary positions: queries and keys are rotated by their position before the decoder's attention
 * (nanoVLM v0.1 models/language_model.py, RotaryEmbedding and apply_rotary_pos_embd).
 *
 * Source: Su et al. 2021, "RoFormer".
 */
import { activationOf } from "./activation.ts";
import INDEX_WGSL from "./index.wgsl" with { type: "text" };
import { byFormat, type Format, formatOf, operand, output } from "./operands.ts";
import POSITION_WGSL from "./position.wgsl" with { type: "text" };
import ROPE_WGSL from "./rope.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

/** The kernel for the rows' format and the tables'. */
const ROTATE = byFormat((rows: Format, tables: Format) =>
  kernel({
    name: `rope.forward.${rows}`,
    code: [
      operand("cos_table", 1, tables),
      operand("sin_table", 2, tables),
      output("x", 4, rows),
      ROPE_WGSL,
      POSITION_WGSL,
      INDEX_WGSL,
    ],
    entry: "forward",
    params: { quads: "u32", T: "u32", heads: "u32", head_pairs: "u32", stride: "u32" },
    bindings: ["cos_table", "sin_table", "position", "x"],
  })
);

/** What rope() needs besides the rows. */
export interface RopeOptions {
  /** Heads to rotate, from the start of each row: queries and keys, not values. */
  readonly heads: number;
  readonly headWidth: number;
  /** (L, D/2), from ropeTable(); L must exceed every position. */
  readonly cos: Tensor;
  readonly sin: Tensor;
  /** u32 [1] or (B): position of the first row of each sequence; 0 unless decoding with a cache. */
  readonly position: Tensor;
}

/**
 * Records the rotation of the first `heads` heads of every row, in place: qkv (B, T, S), S at least
 * heads · headWidth. Returns qkv; its gradient is rotated back in place.
 *
 * @throws {TypeError} where shapes do not fit.
 */
export function rope(rec: Recorder, qkv: Tensor, options: RopeOptions): Tensor {
  const { heads, headWidth, cos, sin, position } = options;
  const [T, stride] = [qkv.dim(-2), qkv.dim(-1)];
  const head_pairs = headWidth / 2;
  if (!Number.isInteger(head_pairs) || heads * headWidth > stride) {
    throw new TypeError(
      `Cannot rotate ${heads} heads of width ${headWidth} in ${qkv}: expected an even width and rows of at least ${
        heads * headWidth
      }`,
    );
  }
  for (const table of [cos, sin]) {
    if (table.dim(-1) !== head_pairs || table.dim(0) < T) {
      throw new TypeError(
        `Cannot rotate ${qkv} by ${table}: expected at least ${T} rows of ${head_pairs}`,
      );
    }
  }
  const quads = qkv.length / stride * heads * Math.ceil(head_pairs / 4);
  // Halves of heads begin at fours where both divide.
  const unit = head_pairs % 4 === 0 ? stride : head_pairs;
  const { device } = rec;
  const rotate = (x: Tensor, INVERSE: boolean) =>
    rec.dispatch(ROTATE(formatOf(device, unit, activationOf(x)), formatOf(device, unit)), {
      params: { quads, T, heads, head_pairs, stride },
      tensors: { cos_table: cos, sin_table: sin, position, x },
      workgroups: grid(quads, 64),
      constants: { INVERSE },
    });
  rotate(qkv, false);
  return rec.backward(qkv, [qkv], (dqkv) => rotate(dqkv, true));
}

/** What ropeTable() needs besides the size. */
export interface RopeTableOptions {
  /** lm_re_base. */
  readonly base: number;
  /** lm_max_position_embeddings: for longer tables all frequencies are divided by length / maximum. */
  readonly maxPositions: number;
  /** lm_attn_scaling, which multiplies cos and sin. */
  readonly scaling: number;
}

/**
 * cos and sin of positions 0 .. length - 1, each (length, headWidth / 2), in torch's float32 arithmetic: powers,
 * frequencies and angles are rounded to float32 before the next step.
 *
 * @throws {RangeError} where headWidth is odd.
 */
export function ropeTable(
  length: number,
  headWidth: number,
  { base, maxPositions, scaling }: RopeTableOptions,
): { cos: Float32Array<ArrayBuffer>; sin: Float32Array<ArrayBuffer> } {
  const half = headWidth / 2;
  if (!Number.isInteger(half)) {
    throw new RangeError(
      `Cannot make a rotary table: head width ${headWidth}, expected an even one; choose another head count`,
    );
  }
  const { fround } = Math;
  const stretch = Math.max(1, fround(length / maxPositions));
  const cos = new Float32Array(length * half);
  const sin = new Float32Array(length * half);
  for (let i = 0; i < half; i++) {
    const power = fround(base ** fround(2 * i / headWidth));
    const frequency = fround(fround(1 / power) / stretch);
    for (let t = 0; t < length; t++) {
      const angle = fround(t * frequency);
      cos[t * half + i] = fround(Math.cos(angle)) * scaling;
      sin[t * half + i] = fround(Math.sin(angle)) * scaling;
    }
  }
  return { cos, sin };
}
