// From a row of logits to the next token, float64: the last step of generation.
// Source: nanoVLM of October 2025, models/utils.py (top_k_top_p_filtering) and
// models/vision_language_model.py (generate); the draw by cumulative sum is ours.

/** Which logits may be drawn. */
export interface FilterOptions {
  /** Keep the k largest logits and all that tie with the k-th; 0 keeps all. */
  topK?: number;
  /** Keep the likeliest tokens while their probabilities sum to at most this; 1 keeps all. */
  topP?: number;
}

/** How the next token is drawn. */
export interface SampleOptions extends FilterOptions {
  /** A number in [0, 1) that decides the draw. */
  uniform: number;
  /** Divides the logits, after filtering. */
  temperature?: number;
}

/**
 * Index of the largest value; the lowest one of several.
 *
 * @throws {TypeError} when there are no values.
 */
export function argmax(values: Float64Array): number {
  if (values.length === 0) {
    throw new TypeError(
      `Cannot take the largest value: found no values, expected at least one. Check the vocabulary size.`,
    );
  }
  return values.reduce((best, value, i) => value > values[best]! ? i : best, 0);
}

/**
 * The logits (V) with all that top-k and then top-p reject set to -Infinity. The token that takes the
 * sum of probabilities over topP is dropped too; the likeliest one always stays. Of equal logits at
 * top-p's edge the lower index stays.
 */
export function filterTopKTopP(
  logits: Float64Array,
  { topK = 0, topP = 1 }: FilterOptions,
): Float64Array {
  let kept = logits.slice();
  if (topK > 0) {
    const descending = logits.slice().sort().reverse();
    const smallest = descending[Math.min(topK, logits.length) - 1]!;
    kept = kept.map((logit) => logit < smallest ? -Infinity : logit);
  }
  if (topP < 1) {
    const probabilities = softmax(kept);
    const order = Array.from(kept.keys()).sort((a, b) => kept[b]! - kept[a]! || a - b);
    let sum = 0;
    order.forEach((token, rank) => {
      sum += probabilities[token]!;
      if (rank > 0 && sum > topP) kept[token] = -Infinity;
    });
  }
  return kept;
}

/**
 * The token drawn from softmax(filtered logits / temperature): the first index at which the running
 * sum of probabilities exceeds uniform.
 *
 * @throws {RangeError} when uniform is outside [0, 1) or the temperature not positive.
 */
export function sampleToken(
  logits: Float64Array,
  options: SampleOptions,
): number {
  const { uniform, temperature = 1 } = options;
  if (!(uniform >= 0 && uniform < 1) || !(temperature > 0)) {
    throw new RangeError(
      `Cannot draw a token: found uniform ${uniform} and temperature ${temperature}, expected a number ` +
        `in [0, 1) and a positive one. For the likeliest token use argmax.`,
    );
  }
  const scaled = filterTopKTopP(logits, options).map((logit) => logit / temperature);
  const probabilities = softmax(scaled);
  let sum = 0;
  const drawn = probabilities.findIndex((p) => (sum += p) > uniform);
  // Rounding can leave the whole sum just below uniform: then the last possible token is meant.
  return drawn >= 0 ? drawn : probabilities.findLastIndex((p) => p > 0);
}

/** exp(logit) / Σ exp; -Infinity becomes 0. */
export function softmax(logits: Float64Array): Float64Array {
  const max = logits.reduce((a, b) => Math.max(a, b), -Infinity);
  const exponentials = logits.map((logit) => Math.exp(logit - max));
  const sum = exponentials.reduce((a, b) => a + b, 0);
  return exponentials.map((value) => value / sum);
}
