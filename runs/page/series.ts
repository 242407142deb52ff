/**
 * The numbers of a run that the page draws, few enough to send and to draw.
 *
 * Between run_history.ts and page.js. Ours.
 */
import { type Metric, numberOf } from "../metrics.ts";
import type { EvaluationRecord, RunHistory } from "../run_history.ts";

/** Points of a curve, at most; a run with more steps is drawn by means of a few neighbours. */
const MOST_POINTS = 1000;
/** Digits that a screen can show. */
const DIGITS = 5;

/** What the page draws of each step. */
const STEP_KEYS = [
  "step",
  "loss",
  "lr_mp",
  "lr_backbones",
  "gradient_norm",
  "loss_scale",
  "samples_per_second",
  "tokens_per_second",
  "data_wait",
] as const;

/** Numbers by name, lists of the same length; null where there is none. */
export type Columns = Readonly<Record<string, readonly (number | null)[]>>;

/** What page.js draws of a run. */
export interface Series {
  readonly name: string;
  readonly steps: Columns;
  readonly evaluations: Columns;
  /** Accuracies by kind of question, for the steps of `evaluations`. */
  readonly kinds: Columns;
  /** Accuracies on further datasets, likewise. */
  readonly datasets: Columns;
  /** Steps that a point of `steps` is the mean of. */
  readonly stepsPerPoint: number;
}

/** The numbers of a run. */
export function seriesOf({ name, steps, evaluations }: RunHistory): Series {
  const stepsPerPoint = Math.ceil(steps.length / MOST_POINTS) || 1;
  const groups = Array.from(
    { length: Math.ceil(steps.length / stepsPerPoint) },
    (_, i) => steps.slice(i * stepsPerPoint, (i + 1) * stepsPerPoint),
  );
  const curve = (of: (record: EvaluationRecord) => number | undefined) =>
    evaluations.map((record) => rounded(of(record) ?? NaN));
  const datasets = Object.entries(evaluations.at(-1)?.datasets ?? {});
  const kinds = Object.keys(evaluations.at(-1)?.by_category ?? {}).sort();
  return {
    name,
    stepsPerPoint,
    steps: Object.fromEntries(STEP_KEYS.map((key) => [key, groups.map((g) => meanOf(g, key))])),
    evaluations: {
      step: evaluations.map(({ step }) => step),
      loss: curve(({ loss }) => loss),
      accuracy: curve(({ accuracy }) => accuracy),
      baseline: curve(({ baseline_accuracy: baseline }) => baseline),
    },
    kinds: Object.fromEntries(
      kinds.map((kind) => [kind, curve((record) => record.by_category[kind]?.accuracy)]),
    ),
    datasets: Object.fromEntries(datasets.flatMap(([name, { sampled_accuracy: drawn }]) => [
      [name, curve((record) => record.datasets[name]?.accuracy)],
      ...(Number.isNaN(drawn)
        ? []
        : [[`${name}, drawn`, curve((record) => record.datasets[name]?.sampled_accuracy)]]),
    ])),
  };
}

/** Of a step's number and of the loss scale, a power of two, the last one. */
function meanOf(group: readonly Metric[], key: string): number | null {
  if (key === "step" || key === "loss_scale") {
    const last = numberOf(group.at(-1) ?? {}, key);
    return Number.isFinite(last) ? last : null;
  }
  return rounded(group.reduce((sum, step) => sum + numberOf(step, key), 0) / group.length);
}

function rounded(value: number): number | null {
  return Number.isFinite(value) ? Number(value.toPrecision(DIGITS)) : null;
}
