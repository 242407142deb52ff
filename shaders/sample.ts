/**
 * From logits to the next token, on the GPU, so that decoding never waits for the CPU; and the position's advance.
 *
 * Source: nanoVLM of October 2025, models/utils.py (top_k_top_p_filtering) and models/vision_language_model.py
 * (generate); the random numbers are ours (sample.wgsl).
 */
import ADVANCE_WGSL from "./advance.wgsl" with { type: "text" };
import { kernel } from "./runtime/kernel.ts";
import type { Recorder } from "./runtime/recorder.ts";
import type { Tensor } from "./runtime/tensor.ts";
import SAMPLE_WGSL from "./sample.wgsl" with { type: "text" };

const DECLARATION = {
  code: [SAMPLE_WGSL],
  params: {
    batch: "u32",
    V: "u32",
    length: "u32",
    top_k: "u32",
    top_p: "f32",
    temperature: "f32",
  },
} as const;
const GREEDY = kernel({
  ...DECLARATION,
  name: "sample.greedy",
  entry: "greedy",
  bindings: ["logits", "position", "next", "history", "probabilities"],
});
const RANDOM = kernel({
  ...DECLARATION,
  name: "sample.random",
  entry: "random",
  bindings: ["logits", "position", "seed", "next", "history", "probabilities"],
});
const ADVANCE = kernel({
  name: "sample.advance",
  code: [ADVANCE_WGSL],
  entry: "forward",
  params: {},
  bindings: ["position"],
});

/** How tokens are drawn: top-k first, then top-p, then the temperature. */
export interface RandomMode {
  /** Divides the logits that are kept; above 0. */
  readonly temperature: number;
  /** How many of the largest logits to keep, with all that tie; 0 keeps all. */
  readonly topK: number;
  /** Keep the likeliest tokens while their probabilities sum to at most this; in (0, 1], 1 keeps all. */
  readonly topP: number;
}

/** What sample() reads and writes. */
export interface SampleTensors {
  /** (B, V). */
  readonly logits: Tensor;
  /** u32 (B), written: each row's token. */
  readonly next: Tensor;
  /** u32 (L, B), row position[0] of which is written, if there is one. */
  readonly history: Tensor;
  /** (L, B), written like history: the token's probability in softmax(logits), or -1 where a logit is NaN or +infinity. */
  readonly probabilities: Tensor;
  /** u32 [1]. */
  readonly position: Tensor;
  readonly mode: "greedy" | RandomMode;
  /** u32 (B): the same seed and position draw the same number, in whichever row. Greedy ignores it. */
  readonly seed: Tensor;
}

/**
 * Records choosing the next token of every row; always one of 0 .. V - 1, even where logits are NaN.
 *
 * @throws {TypeError} where shapes do not fit.
 * @throws {RangeError} where temperature, topK or topP is out of range.
 */
export function sample(rec: Recorder, options: SampleTensors): void {
  const { logits, next, history, probabilities, position, mode, seed } = options;
  const V = logits.dim(-1);
  const batch = logits.length / V;
  if (
    next.length !== batch || history.dim(-1) !== batch || probabilities.length !== history.length
  ) {
    throw new TypeError(
      `Cannot sample from ${logits} into ${next}, ${history} and ${probabilities}: expected [${batch}] and twice ` +
        `[length, ${batch}]`,
    );
  }
  const sizes = { batch, V, length: history.dim(0) };
  const tensors = { logits, position, next, history, probabilities };
  if (mode === "greedy") {
    const params = { ...sizes, top_k: 0, top_p: 1, temperature: 1 };
    return rec.dispatch(GREEDY, { params, tensors, workgroups: [batch] });
  }
  const { temperature, topK, topP } = mode;
  checkMode(mode);
  if (seed.length !== batch) {
    throw new TypeError(`Cannot sample with the seeds ${seed}: expected [${batch}]`);
  }
  rec.dispatch(RANDOM, {
    params: { ...sizes, top_k: topK, top_p: topP, temperature },
    tensors: { ...tensors, seed },
    workgroups: [batch],
  });
}

function checkMode({ temperature, topK, topP }: RandomMode): void {
  if (!(temperature > 0 && temperature < Infinity)) {
    throw new RangeError(
      `Cannot sample: temperature ${temperature}, expected a number above 0; for the likeliest token use "greedy"`,
    );
  }
  if (!Number.isInteger(topK) || topK < 0) {
    throw new RangeError(`Cannot sample: topK ${topK}, expected a whole number, 0 to keep all`);
  }
  if (!(topP > 0 && topP <= 1)) {
    throw new RangeError(`Cannot sample: topP ${topP}, expected a number above 0 and at most 1`);
  }
}

/** Records position += 1 in every element; position u32 [1] or (B). */
export function advance(rec: Recorder, position: Tensor): void {
  rec.dispatch(ADVANCE, { params: {}, tensors: { position }, workgroups: [1] });
}
