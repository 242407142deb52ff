/**
 * How many questions were answered rightly, how well that is known, and what a model that sees nothing would reach.
 *
 * Under eval.ts, which counts, and all that shows or keeps an accuracy. Source: E. B. Wilson, "Probable inference, the law of
 * succession, and statistical inference", 1927, for the interval.
 */

/** How many questions were answered rightly. */
export interface Score {
  /** `correct` / `total`; NaN where nothing was asked. */
  readonly accuracy: number;
  /** Right answers. */
  readonly correct: number;
  /** Questions. */
  readonly total: number;
  /** The share that always each kind's most frequent answer gets right (baseline.ts); absent where it is unknown. */
  readonly baseline_accuracy?: number;
}

/** Standard deviations that hold 95 % of a normal distribution. */
const DEVIATIONS = 1.959963984540054;
/** With fewer questions or pictures a run says in words how little its accuracy is known. */
const [FEW_QUESTIONS, FEW_PICTURES] = [200, 30];

/**
 * The 95 % interval of an accuracy, after Wilson: the model's share of right answers to all such questions lies in it, as
 * far as the questions were drawn one by one. Questions about the same picture go wrong together, so that with few pictures
 * the truth is less certain than this.
 */
export function intervalOf(
  { correct, total }: Pick<Score, "correct" | "total">,
): readonly [low: number, high: number] {
  if (!(total > 0)) return [0, 1];
  const share = correct / total;
  const scale = 1 / (1 + DEVIATIONS ** 2 / total);
  const center = scale * (share + DEVIATIONS ** 2 / (2 * total));
  const half = scale * DEVIATIONS *
    Math.sqrt(share * (1 - share) / total + DEVIATIONS ** 2 / (4 * total ** 2));
  // Exact at the ends, where rounding would leave a little.
  return [correct === 0 ? 0 : center - half, correct === total ? 1 : center + half];
}

/** A score as files and JSON documents have it: with its 95 % interval. */
export interface KnownScore extends Score {
  /** The 95 % interval of the accuracy, after Wilson. */
  readonly accuracy_interval: readonly [low: number, high: number];
}

/** Only the score of a result that says more. */
export function plainScore({ accuracy, correct, total, baseline_accuracy }: Score): Score {
  const baseline = baseline_accuracy === undefined ? {} : { baseline_accuracy };
  return { accuracy, correct, total, ...baseline };
}

/** A score with its interval. */
export function withInterval<T extends Score>(score: T): T & KnownScore {
  return { ...score, accuracy_interval: intervalOf(score) };
}

/** How little an accuracy on so few questions tells, in words; "" where they are enough. */
export function uncertaintyNote(questions: number, most: number): string {
  const pictures = Math.min(most, questions); // some may be of rows that were left out
  if (questions >= FEW_QUESTIONS && pictures >= FEW_PICTURES || questions === 0) return "";
  const [low, high] = intervalOf({ correct: questions / 2, total: questions });
  const count = (n: number, what: string) =>
    `${n.toLocaleString("en")} ${what}${n === 1 ? "" : "s"}`;
  return `Only ${count(questions, "question")} about ${
    count(pictures, "picture")
  }: an accuracy is ` +
    `known to about ±${Math.round(50 * (high - low))} percentage points` +
    `${
      pictures < questions ? ", less well since those about one picture go wrong together" : ""
    }; ` +
    "smaller differences are chance";
}

/** Whether an accuracy is above its baseline by more than chance. */
export function isAboveBaseline(score: Score): boolean {
  return intervalOf(score)[0] > (score.baseline_accuracy ?? -1);
}
