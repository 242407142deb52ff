// Cross-entropy over rows of logits, float64: the training loss, plain and without its logits stored.
// Source: torch.nn.functional.cross_entropy(ignore_index=-100), as in nanoVLM v0.1
// models/vision_language_model.py.

import { expectLength, magnitudes, rowCount } from "./arrays.ts";
import { linear, linearBackward, linearBackwardAbs } from "./linear.ts";

/** The label of rows that do not count. */
export const IGNORED_LABEL = -100;

/** One label a row, 0 .. V-1 or {@linkcode IGNORED_LABEL}, and the vocabulary's size V. */
export interface CrossEntropyOptions {
  labels: Int32Array;
  V: number;
}

/** hidden (rows, C) and the head's weight (V, C). */
export interface LinearCrossEntropyInputs {
  hidden: Float64Array;
  weight: Float64Array;
}

/** One label a row and the width C. */
export interface LinearCrossEntropyOptions {
  labels: Int32Array;
  C: number;
}

/** The mean over counted rows, and each row's own loss (0 where it does not count). */
export interface CrossEntropyLoss {
  loss: number;
  tokenLosses: Float64Array;
}

/** Gradients of {@linkcode LinearCrossEntropyInputs}, the same shapes. */
export interface LinearCrossEntropyGradients {
  dhidden: Float64Array;
  dweight: Float64Array;
}

/**
 * Mean of logsumexp(row) - row[label] over the rows that count; logits are (rows, V). As in torch the
 * loss is NaN when no row counts.
 *
 * @throws {TypeError} when a length does not fit.
 * @throws {RangeError} when a label is outside the vocabulary.
 */
export function crossEntropy(
  { logits }: { logits: Float64Array },
  options: CrossEntropyOptions,
): CrossEntropyLoss {
  const tokenLosses = new Float64Array(options.labels.length);
  const { rows, count } = countedRows(logits, options);
  let sum = 0;
  for (const { r, label, row } of rows) {
    tokenLosses[r] = logSumExp(row) - row[label]!;
    sum += tokenLosses[r]!;
  }
  return { loss: sum / count, tokenLosses };
}

/**
 * dlogits = dloss (softmax(row) - onehot(label)) / counted rows; 0 in rows that do not count: (rows, V).
 *
 * @throws {TypeError} when a length does not fit.
 * @throws {RangeError} when a label is outside the vocabulary.
 */
export function crossEntropyBackward(
  { logits }: { logits: Float64Array },
  dloss: number,
  options: CrossEntropyOptions,
): { dlogits: Float64Array } {
  const { V } = options;
  const dlogits = new Float64Array(logits.length);
  const { rows, count } = countedRows(logits, options);
  for (const { r, label, row } of rows) {
    const lse = logSumExp(row);
    for (let v = 0; v < V; v++) {
      dlogits[r * V + v] = dloss *
        (Math.exp(row[v]! - lse) - (v === label ? 1 : 0)) / count;
    }
  }
  return { dlogits };
}

/**
 * {@linkcode crossEntropy} of the logits hidden · weightᵀ.
 *
 * @throws {TypeError} when a length does not fit.
 * @throws {RangeError} when a label is outside the vocabulary.
 */
export function linearCrossEntropy(
  inputs: LinearCrossEntropyInputs,
  options: LinearCrossEntropyOptions,
): CrossEntropyLoss {
  const { head, loss } = split(inputs, options);
  return crossEntropy({
    logits: linear({ x: inputs.hidden, weight: inputs.weight }, head),
  }, loss);
}

/**
 * Gradients of {@linkcode linearCrossEntropy}'s mean, given the loss's own gradient dloss.
 *
 * @throws {TypeError} when a length does not fit.
 * @throws {RangeError} when a label is outside the vocabulary.
 */
export function linearCrossEntropyBackward(
  { hidden, weight }: LinearCrossEntropyInputs,
  dloss: number,
  options: LinearCrossEntropyOptions,
): LinearCrossEntropyGradients {
  const { head, loss } = split({ hidden, weight }, options);
  const logits = linear({ x: hidden, weight }, head);
  const { dlogits } = crossEntropyBackward({ logits }, dloss, loss);
  const { dx, dweight } = linearBackward({ x: hidden, weight }, dlogits, head);
  return { dhidden: dx, dweight };
}

/**
 * Σ|terms| of {@linkcode linearCrossEntropy}'s token losses and, as loss, of their mean; K = the
 * larger of C and V for the bound (of C, V and rows for the mean).
 *
 * With a = |hidden| · |weight|ᵀ bounding the terms of each logit, d logsumexp = Σ p dlogit, so a token
 * loss is off by at most Σ p a + a[label] + |logsumexp|.
 *
 * @throws {TypeError} when a length does not fit.
 * @throws {RangeError} when a label is outside the vocabulary.
 */
export function linearCrossEntropyAbs(
  inputs: LinearCrossEntropyInputs,
  options: LinearCrossEntropyOptions,
): CrossEntropyLoss {
  const tokenLosses = new Float64Array(options.labels.length);
  const { rows, count } = rowsWithTerms(inputs, options);
  for (const { r, label, lse, terms, meanTerms } of rows) {
    tokenLosses[r] = meanTerms + terms[label]! + Math.abs(lse);
  }
  return { loss: tokenLosses.reduce((a, b) => a + b, 0) / count, tokenLosses };
}

/**
 * Σ|terms| of {@linkcode linearCrossEntropyBackward}; K = the largest of C, V and rows for the bound.
 * A softmax weight is off by at most p (1 + a + Σ p a), with a as in {@linkcode linearCrossEntropyAbs}.
 *
 * @throws {TypeError} when a length does not fit.
 * @throws {RangeError} when a label is outside the vocabulary.
 */
export function linearCrossEntropyBackwardAbs(
  inputs: LinearCrossEntropyInputs,
  dloss: number,
  options: LinearCrossEntropyOptions,
): LinearCrossEntropyGradients {
  const { head, loss: { V } } = split(inputs, options);
  const dlogits = new Float64Array(options.labels.length * V);
  const { rows, count } = rowsWithTerms(inputs, options);
  for (const { r, label, row, lse, terms, meanTerms } of rows) {
    for (let v = 0; v < V; v++) {
      const weightAbs = Math.exp(row[v]! - lse) * (1 + terms[v]! + meanTerms);
      dlogits[r * V + v] = Math.abs(dloss) *
        (weightAbs + (v === label ? 1 : 0)) / count;
    }
  }
  const product = { x: inputs.hidden, weight: inputs.weight };
  const { dx, dweight } = linearBackwardAbs(product, dlogits, head);
  return { dhidden: dx, dweight };
}

/** The options of the two halves: the head's product and the loss over its logits. */
function split(
  { hidden, weight }: LinearCrossEntropyInputs,
  options: LinearCrossEntropyOptions,
) {
  const { labels, C } = options;
  const V = rowCount("weight", weight, C);
  expectLength("hidden", hidden, labels.length * C);
  return { head: { inFeatures: C, outFeatures: V }, loss: { labels, V } };
}

/** The rows whose label counts. */
function countedRows(logits: Float64Array, { labels, V }: CrossEntropyOptions) {
  expectLength("logits", logits, labels.length * V);
  const rows: { r: number; label: number; row: Float64Array }[] = [];
  labels.forEach((label, r) => {
    if (label === IGNORED_LABEL) return;
    if (label < 0 || label >= V) {
      throw new RangeError(
        `Cannot score row ${r}: found label ${label}, expected 0 .. ${
          V - 1
        } or ${IGNORED_LABEL}. ` +
          `Check the labels and the vocabulary size.`,
      );
    }
    rows.push({ r, label, row: logits.subarray(r * V, (r + 1) * V) });
  });
  return { rows, count: rows.length };
}

/** The counted rows with their log-sum-exp, Σ|terms| of every logit, and the mean of those. */
function rowsWithTerms(
  inputs: LinearCrossEntropyInputs,
  options: LinearCrossEntropyOptions,
) {
  const { head, loss } = split(inputs, options);
  const { hidden: x, weight } = inputs;
  const { rows, count } = countedRows(linear({ x, weight }, head), loss);
  const allTerms = linear(
    { x: magnitudes(x), weight: magnitudes(weight) },
    head,
  );
  const withTerms = rows.map(({ r, label, row }) => {
    const lse = logSumExp(row);
    const terms = allTerms.subarray(r * loss.V, (r + 1) * loss.V);
    const meanTerms = row.reduce(
      (sum, logit, v) => sum + Math.exp(logit - lse) * terms[v]!,
      0,
    );
    return { r, label, row, lse, terms, meanTerms };
  });
  return { rows: withTerms, count };
}

function logSumExp(row: Float64Array): number {
  const max = row.reduce((a, b) => Math.max(a, b), -Infinity);
  return max +
    Math.log(row.reduce((sum, value) => sum + Math.exp(value - max), 0));
}
