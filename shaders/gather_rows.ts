/**
 * Rows of a tensor by index: the rows that have a label, for the head; the last row, for decoding.
 */
import { activationOf, byActivation } from "./activation.ts";
import GATHER_ROWS from "./gather_rows.wgsl" with { type: "text" };
import INDEX from "./index.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import { grid, type Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";

const COMMON = { code: [GATHER_ROWS, INDEX], params: { count: "u32", width: "u32" } } as const;
const FORWARD = byActivation({
  ...COMMON,
  name: "gather_rows.forward",
  entry: "forward",
  bindings: ["x", "rows", "y"],
}, kernel);
const BACKWARD = byActivation({
  ...COMMON,
  name: "gather_rows.backward",
  entry: "backward",
  bindings: ["dy", "rows", "dx"],
}, kernel);

/**
 * Records y[i] = x[rows[i]]: x (…, C), rows u32 (N), distinct or NO_ROW (embedding.ts) -> (N, C).
 */
export function gatherRows(rec: Recorder, x: Tensor, rows: Tensor): Tensor {
  const [count, width] = [rows.length, x.dim(-1)];
  const y = rec.tensor(`${x.storage.label} rows`, [count, width], x.dtype);
  const common = { params: { count, width }, workgroups: grid(count * width, 64) };
  rec.dispatch(FORWARD[activationOf(x)], { ...common, tensors: { x, rows, y } });
  return rec.backward(y, [x], (dy) => gatherRowsBackward(rec, x, rows, dy));
}

/** Records dx[rows[i]] += dy[i]. */
export function gatherRowsBackward(rec: Recorder, x: Tensor, rows: Tensor, dy: Tensor): void {
  const target = rec.gradientTarget(x);
  if (!target) return;
  if (!target.accumulate) rec.clear(target.tensor);
  const [count, width] = [rows.length, x.dim(-1)];
  rec.dispatch(BACKWARD[activationOf(x)], {
    params: { count, width },
    tensors: { dy, rows, dx: target.tensor },
    workgroups: grid(count * width, 64),
  });
}
