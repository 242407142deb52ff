/**
 * Naive attention, unfused, with its scores in memory: the baseline of attention_cases.ts.
 */
import type { Device } from "../../shaders/runtime/device.ts";
import { kernel } from "../../shaders/runtime/kernel.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import type { Tensor } from "../../shaders/runtime/tensor.ts";
import type { NaiveTime } from "./kernels.ts";
import { ENOUGH, type Operand, recordProduct } from "./naive_product.ts";
import SOFTMAX_WGSL from "./naive_softmax.wgsl" with { type: "text" };

const SOFTMAX = {
  code: [SOFTMAX_WGSL],
  params: { rows: "u32", keys: "u32", heads: "u32", first_sequence: "u32", scale: "f32" },
} as const;
const SOFTMAX_FORWARD = kernel({
  ...SOFTMAX,
  name: "naive.softmax",
  entry: "forward",
  bindings: ["x", "mask", "p"],
});
const SOFTMAX_BACKWARD = kernel({
  ...SOFTMAX,
  name: "naive.softmax_backward",
  entry: "backward",
  bindings: ["weights", "dp", "ds"],
});

/** Attention over packed rows, as shaders/attention.ts takes it. */
export interface NaiveAttention {
  /** (B, T, (heads + 2 · kvHeads) · width). */
  readonly qkv: Tensor;
  /** (B, T, heads · width). */
  readonly dy: Tensor;
  readonly heads: number;
  readonly kvHeads: number;
  readonly width: number;
  readonly causal: boolean;
  /** u32 (B, T). */
  readonly mask?: Tensor;
}

/** Attention's answers for the last sequence, (heads, T, width) each; dk and dv before the sum over a group's heads. */
export interface NaiveAnswers {
  readonly y: Float32Array;
  readonly dq: Float32Array;
  readonly dk: Float32Array;
  readonly dv: Float32Array;
}

/**
 * Unfused attention, forward and backward, with its scores in memory: all sequences where that takes no longer than a
 * fifth of a second, otherwise the last one.
 *
 * @throws {DeviceError} {ShaderError}
 */
export async function naiveAttention(
  device: Device,
  attention: NaiveAttention,
): Promise<{ answers: NaiveAnswers; times: Map<string, NaiveTime> }> {
  const batch = attention.qkv.dim(0);
  const one = await sequences(device, attention, batch - 1);
  const total = [...one.times.values()].reduce((a, b) => a + b, 0);
  const all = batch > 1 && total * batch <= ENOUGH ? await sequences(device, attention, 0) : one;
  const isPart = all === one && batch > 1;
  return {
    answers: one.answers,
    times: new Map([...all.times].map(([part, milliseconds]) => [part, {
      milliseconds: isPart ? milliseconds * batch : milliseconds,
      ...(isPart ? { sample: `1 of ${batch} sequences` } : {}),
    }])),
  };
}

/** Sequences from `first` to the end. */
async function sequences(device: Device, attention: NaiveAttention, first: number) {
  const plan = await Plan.record(device, (rec) => recordAttention(rec, attention, first));
  const warmup = await plan.launchTimes(); // perhaps with the driver's compilation
  const isShort = warmup.reduce((sum, { milliseconds }) => sum + milliseconds, 0) < ENOUGH;
  const launches = isShort ? await plan.launchTimes() : warmup;
  const { y, dq, dk, dv } = plan.result;
  const values = await plan.read(y, dq, dk, dv);
  const [yLast, dqLast, dkLast, dvLast] = values.map((array) =>
    array.subarray(array.length - array.length / y.dim(0))
  );
  const PARTS = ["forward", "forward", "forward", "backward_q", "backward_q", "backward_q"];
  const times = new Map<string, number>();
  launches.forEach(({ milliseconds }, i) => {
    const part = PARTS[i] ?? "backward_kv";
    times.set(part, (times.get(part) ?? 0) + milliseconds);
  });
  plan.destroy();
  const none = new Float32Array();
  const answers = { y: yLast ?? none, dq: dqLast ?? none, dk: dkLast ?? none, dv: dvLast ?? none };
  return { answers, times };
}

function recordAttention(rec: Recorder, attention: NaiveAttention, first: number) {
  const { qkv, dy, heads, kvHeads, width, causal, mask } = attention;
  const [batch, T, stride] = [qkv.dim(0), qkv.dim(1), qkv.dim(2)];
  const count = batch - first;
  const group = heads / kvHeads;
  const scale = 1 / Math.sqrt(width);
  // Rows of a packed tensor by heads, read along a row (depth 1) or down the rows.
  const rows = (tensor: Tensor, column: number, group = 1): Operand => {
    const step = tensor.dim(2);
    const start = first * T * step + column * width;
    return { tensor, step, depth: 1, first: start, sequence: T * step, head: width, group };
  };
  const down = ({ step, depth, ...rest }: Operand): Operand => ({
    ...rest,
    step: depth,
    depth: step,
  });
  const square = (tensor: Tensor): Operand => (
    { tensor, step: T, depth: 1, sequence: heads * T * T, head: T * T }
  );
  const [q, k, v, dyRows] = [
    rows(qkv, 0),
    rows(qkv, heads, group),
    rows(qkv, heads + kvHeads, group),
    rows(dy, 0),
  ];
  const multiply = (
    label: string,
    lhs: Operand,
    rhs: Operand,
    options: { columns: number; depth: number; scale?: number },
  ) => {
    const y = rec.keep(rec.tensor(label, [count, heads, T, options.columns]));
    recordProduct(rec, { lhs, rhs, y, rows: T, heads, sequences: count, ...options });
    return y;
  };
  if (stride !== (heads + 2 * kvHeads) * width) throw new TypeError(`Cannot attend over ${qkv}`);
  const softmax = { rows: count * heads * T, keys: T, heads, first_sequence: first, scale };
  const workgroups = [Math.ceil(softmax.rows / 64)] as const;
  const s = multiply("naive s", q, k, { columns: T, depth: width, scale });
  const p = rec.tensor("naive p", s.shape);
  rec.dispatch(SOFTMAX_FORWARD, {
    params: softmax,
    tensors: { x: s, mask: mask ?? rec.constant("no mask", [1], "u32", new Uint32Array(1)), p },
    workgroups,
    constants: { CAUSAL: causal, MASKED: mask !== undefined },
  });
  const y = multiply("naive y", square(p), down(v), { columns: width, depth: T });
  const dp = multiply("naive dp", dyRows, v, { columns: T, depth: width });
  const ds = rec.tensor("naive ds", s.shape);
  rec.dispatch(SOFTMAX_BACKWARD, { params: softmax, tensors: { weights: p, dp, ds }, workgroups });
  const dq = multiply("naive dq", square(ds), down(k), { columns: width, depth: T });
  const dv = multiply("naive dv", down(square(p)), down(dyRows), { columns: width, depth: T });
  const dk = multiply("naive dk", down(square(ds)), down(q), { columns: width, depth: T });
  return { y, dq, dk, dv };
}
