/**
 * Linear layer: y = x · Wᵀ, with bias, GELU and residual fused into the product.
 *
 * In mixed precision the product reads the weight's f16 copy; bias and residual are f32.
 *
 * Backward: dx = dy · W, dW += dyᵀ · x, db += the columns' sums of dy (which the dW product sees passing by).
 */
import { addBroadcast } from "./broadcast.ts";
import { geluBackward, geluForward } from "./gelu.ts";
import { type Epilogue, matmul } from "./matmul.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Activation, Parameter, Tensor } from "./runtime/tensor.ts";

/** What is fused into the product, in this order. */
export interface LinearOptions {
  /** (N, K), rows are outputs as in PyTorch. */
  readonly weight: Parameter;
  /** (N). */
  readonly bias?: Parameter;
  /** GELU by tanh of the sum; needs a bias, excludes a residual. */
  readonly gelu?: boolean;
  /** Added last; (…, N), or fewer rows that repeat (a position embedding over the batch). */
  readonly residual?: Tensor;
  /** Element type of y: by default f32 with a residual, otherwise the recorder's activation type. */
  readonly output?: Activation;
}

/**
 * Records y = x · Wᵀ (+ bias) (then GELU) (+ residual): (…, K) -> (…, N).
 *
 * @throws {TypeError} where shapes do not fit.
 */
export function linear(rec: Recorder, x: Tensor, options: LinearOptions): Tensor {
  const weight = rec.weight(options.weight);
  const bias = options.bias && rec.use(options.bias);
  const { residual, gelu = false, output = residual ? "f32" : rec.activation } = options;
  const [columns, depth] = [weight.dim(0), weight.dim(-1)];
  const rows = x.length / depth;
  const y = rec.tensor(`${weight.storage.label} out`, [...x.shape.slice(0, -1), columns], output);
  const pre = gelu ? rec.tensor(`${weight.storage.label} pre`, y.shape, output) : undefined;
  const residualRows = residual ? residual.length / columns : rows;
  if (x.dim(-1) !== depth || rows % residualRows !== 0) {
    throw new TypeError(
      `Cannot apply ${weight} to ${x}${residual ? ` with residual ${residual}` : ""}`,
    );
  }
  const extra: Record<string, Tensor> = {};
  if (bias) extra.bias = bias;
  if (residual) extra.residual = residual;
  if (pre) extra.pre = pre;
  const epilogue = epilogueOf(bias !== undefined, residual !== undefined, gelu);
  matmul(rec, {
    lhs: x,
    rhs: weight,
    y,
    rows,
    columns,
    depth,
    transposeRhs: true,
    epilogue,
    extra,
    residualRows,
  });
  if (pre) rec.recipe(y, () => geluForward(rec, pre));
  return rec.backward(y, [x, weight, bias, residual], (dy) => {
    const dpre = pre ? geluBackward(rec, pre, dy) : dy;
    weightGradient(rec, weight, bias, rec.saved(x), dpre);
    const dx = rec.gradientTarget(x);
    if (dx) {
      const { tensor, accumulate } = dx;
      matmul(rec, {
        lhs: dpre,
        rhs: weight,
        y: tensor,
        rows,
        columns: depth,
        depth: columns,
        accumulate,
      });
    }
    if (!residual) return;
    if (residualRows === rows) return rec.passGradient(residual, dy);
    const target = rec.gradientTarget(residual);
    if (target) addBroadcast(rec, target, dy);
  });
}

function epilogueOf(bias: boolean, residual: boolean, gelu: boolean): Epilogue {
  if (gelu && (!bias || residual)) {
    throw new TypeError(
      "Cannot record a linear layer: GELU is fused with a bias and without a residual only",
    );
  }
  if (gelu) return "bias_gelu";
  if (bias) return residual ? "bias_residual" : "bias";
  return residual ? "residual" : "store";
}

/** dW += dyᵀ · x and db += Σ dy. */
export function weightGradient(
  rec: Recorder,
  weight: Tensor,
  bias: Tensor | undefined,
  x: Tensor,
  dy: Tensor,
): void {
  const dweight = rec.gradientTarget(weight);
  if (!dweight) return;
  const dbias = bias && rec.gradientTarget(bias);
  const [rows, columns] = [weight.dim(0), weight.dim(-1)];
  matmul(rec, {
    lhs: dy,
    rhs: x,
    y: dweight.tensor,
    rows,
    columns,
    depth: x.length / columns,
    transposeLhs: true,
    accumulate: true,
    ...(dbias ? { epilogue: "weight_bias", extra: { dbias: dbias.tensor } } : {}),
  });
}
