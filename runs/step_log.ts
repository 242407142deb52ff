/**
 * What is known of training steps: noted when a step is taken, completed when its loss is read from the GPU, then shown
 * and written to metrics.jsonl.
 *
 * Beside the loop of train.ts. Ours.
 */
import type { SkippedRow } from "../data/bad_rows.ts";
import { printable } from "../data/terminal.ts";
import type { LearningRates } from "../model/optimizer.ts";
import type { LogState } from "../model/trainer_state.ts";
import type { StepResult } from "../model/training_step.ts";
import { BAD_ROWS_FILE } from "./bad_rows_file.ts";
import type { Display } from "./display.ts";
import { NotFinite } from "./not_finite.ts";
import { clock, short } from "./report.ts";
import type { RunLog, StepMetric } from "./run_log.ts";

/** One step, as it is taken. */
export interface Step {
  /** From 1. */
  readonly step: number;
  readonly samples: number;
  /** Of text and images, without padding. */
  readonly tokens: number;
  readonly rates: LearningRates;
  /** Samples that were longer than `lm_max_length`, so that they taught nothing. */
  readonly cut: number;
  /** Rows left out up to its batch, so that they are named behind it whenever results are read; all when absent. */
  readonly skippedRows?: number;
}

/** What a Loader tells: the time that the loop has waited for it, and the rows that it had to leave out. */
export interface DataStatus {
  readonly waitMilliseconds: number;
  readonly skipped: readonly SkippedRow[];
}

/** Steps on the GPU at once, at most: a wait for results costs 12 ms in Deno. */
const MOST_IN_FLIGHT = 8;
/** Slow steps are read one by one, so that the display moves at least this often. */
const SECONDS_BETWEEN_READS = 1;

/** The loss scale is halved each time: so many steps in a row are no search for the right one any more. */
const MOST_SKIPPED_IN_A_ROW = 20;

/** Questions after which it is clear that none fits. */
const LEAST_TO_JUDGE = 64;

/** After so many steps the time left is known well enough to be shown in a log file too. */
const STEPS_TO_ESTIMATE = 10;

/** What a narrow terminal does not show of a step, the first of these first. */
const LEAST_IMPORTANT = ["tokens", "wait", "rates", "samples"];

/** Bad rows that are named on the terminal. */
const MOST_NAMED = 10;

/** A share of the time that is worth a word. */
const NOTABLE_WAIT = 0.05;

/** Follows the steps of a run. */
export class StepLog {
  #begin = performance.now();
  #taken: Step[] = [];
  #since = performance.now();
  #waited = 0;
  /** Of all steps, and how much of it was waiting for data. */
  #milliseconds = { all: 0, waiting: 0 };
  #samples = 0;
  #cut = 0;
  #secondsPerStep = Infinity;
  /** The first step that was read, and when that was: it compiled shaders, which tells nothing of the others. */
  #first: { readonly step: number; readonly time: number } | undefined;
  /** Steps whose results were read, by this process. */
  #settled = 0;
  #skippedSteps = 0;
  #skippedInARow = 0;
  /** Names of the rows that were left out. */
  readonly #skippedRows = new Set<string>();

  constructor(
    readonly display: Pick<Display, "columns" | "glimpse" | "print" | "update">,
    readonly runLog: Pick<RunLog, "badRows" | "step" | "write">,
    /** Of the whole run. */
    readonly steps: number,
  ) {}

  /** Whether it is time to read the results of the steps under way. */
  get isFull(): boolean {
    const inFlight = Math.floor(SECONDS_BETWEEN_READS / this.#secondsPerStep);
    return this.#taken.length >= Math.min(MOST_IN_FLIGHT, Math.max(1, inFlight));
  }

  /** Time since the run began. */
  get seconds(): number {
    return (performance.now() - this.#begin) / 1000;
  }

  /** What it counts, for a checkpoint, with no step under way. */
  state(): LogState {
    return {
      samples: this.#samples,
      cut: this.#cut,
      skipped_steps: this.#skippedSteps,
      skipped_in_a_row: this.#skippedInARow,
      skipped_rows: [...this.#skippedRows],
      seconds: this.seconds,
    };
  }

  /** Counts on from a checkpoint. */
  restore(state: LogState): void {
    this.#samples = state.samples;
    this.#cut = state.cut;
    this.#skippedSteps = state.skipped_steps;
    this.#skippedInARow = state.skipped_in_a_row;
    for (const name of state.skipped_rows) this.#skippedRows.add(name);
    this.#begin = performance.now() - 1000 * state.seconds;
  }

  /** Notes a step under way. */
  take(step: Step): void {
    this.#taken.push(step);
    const isFirst = this.#cut === 0 && step.cut > 0;
    this.#samples += step.samples;
    this.#cut += step.cut;
    if (isFirst) this.display.print(this.cutNote);
    if (this.#cut === this.#samples && this.#samples >= LEAST_TO_JUDGE) {
      throw new RangeError(
        `Cannot train: all of the first ${this.#samples} questions are longer than lm_max_length, expected some that ` +
          "fit; raise it with --set lm_max_length=N",
      );
    }
  }

  /** How many samples taught nothing, "" if all did. */
  get cutNote(): string {
    if (this.#cut === 0) return "";
    return `Note: ${this.#cut} of ${this.#samples} questions so far, with their answers, are longer than lm_max_length ` +
      "and teach nothing; raise it with --set lm_max_length=N";
  }

  /** How much of the steps' time was waiting for data, "" if little. */
  get waitNote(): string {
    const share = this.#milliseconds.waiting / this.#milliseconds.all;
    if (!(share > NOTABLE_WAIT)) return "";
    return `Note: ${
      Math.round(100 * share)
    } % of the time was waiting for data; more threads may help: --workers N`;
  }

  /**
   * Completes the steps under way.
   *
   * @param results one for each of them
   * @param data where the steps' batches came from
   * @throws {NotFinite} where a loss is no number any more, or f16 cannot hold the gradients
   */
  settle(results: readonly StepResult[], data: DataStatus): void {
    const seconds = (performance.now() - this.#since) / 1000;
    const sum = (of: (step: Step) => number) => this.#taken.reduce((n, step) => n + of(step), 0);
    const waiting = data.waitMilliseconds - this.#waited;
    this.#milliseconds.all += 1000 * seconds;
    this.#milliseconds.waiting += waiting;
    const speed = {
      samples_per_second: sum(({ samples }) => samples) / seconds,
      tokens_per_second: sum(({ tokens }) => tokens) / seconds,
      data_wait: waiting / 1000 / seconds,
    };
    this.#secondsPerStep = seconds / this.#taken.length;
    let last: StepMetric | undefined;
    for (const [i, step] of this.#taken.entries()) {
      const result = results[i] ?? { loss: NaN, gradientNorm: NaN };
      this.#requireSound(step.step, result);
      const { loss, gradientNorm: gradient_norm, lossScale: loss_scale, skipped } = result;
      const { projector: lr_mp, backbones: lr_backbones } = step.rates;
      const scaling = loss_scale === undefined
        ? { loss_scale: null }
        : { loss_scale, skipped_steps: skipped ?? 0 };
      last = { step: step.step, loss, lr_mp, lr_backbones, gradient_norm, ...scaling, ...speed };
      this.runLog.step(last);
      this.#nameSkipped(data.skipped.slice(0, step.skippedRows));
    }
    const settled = this.#settled + this.#taken.length;
    const isKnown = this.#settled < STEPS_TO_ESTIMATE && settled >= STEPS_TO_ESTIMATE;
    this.#settled = settled;
    if (last) this.display.update(this.#line(last), isKnown || !this.#first);
    this.#first ??= last && { step: last.step, time: performance.now() };
    this.#taken = [];
    this.resume(data);
  }

  /** Names the rows among `skipped` that were not named before. */
  #nameSkipped(skipped: DataStatus["skipped"]): void {
    for (const row of skipped) {
      const { imageName, reason } = row;
      if (this.#skippedRows.has(imageName)) continue;
      this.runLog.badRows("training", [row]);
      this.#skippedRows.add(imageName);
      this.runLog.write({ skipped: imageName, reason });
      if (this.#skippedRows.size > MOST_NAMED) continue;
      const last = this.#skippedRows.size === MOST_NAMED ? `; all others: ${BAD_ROWS_FILE}` : "";
      this.display.print(`Skipped ${printable(imageName)}: ${printable(reason)}${last}`);
    }
  }

  /** @throws {RangeError} where a step shows that training goes nowhere; a skipped step's norm alone does not. */
  #requireSound(
    step: number,
    { loss, gradientNorm, lossScale = 1, skipped = 0 }: StepResult,
  ): void {
    const isSkipped = skipped > this.#skippedSteps;
    this.#skippedSteps = skipped;
    this.#skippedInARow = isSkipped ? this.#skippedInARow + 1 : 0;
    if (lossScale < 1 || this.#skippedInARow >= MOST_SKIPPED_IN_A_ROW) {
      throw new NotFinite(
        `Cannot go on training: gradients overflow f16 at step ${step}, after ${this.#skippedInARow} skipped steps in a ` +
          `row, even with a loss scale of ${lossScale}, expected one of at least 1 and fewer than ` +
          `${MOST_SKIPPED_IN_A_ROW} such steps; use --dtype f32, or lower the learning rates with --lr-mp and ` +
          `--lr-backbones`,
        step,
      );
    }
    if (Number.isFinite(loss) && (isSkipped || Number.isFinite(gradientNorm))) return;
    throw new NotFinite(
      `Cannot go on training: the loss of step ${step} is ${loss} and the norm of its gradient ${gradientNorm}, expected ` +
        `finite numbers; lower the learning rates with --lr-mp and --lr-backbones`,
      step,
    );
  }

  /** Starts the clock of the next steps: what passed since the last ones was something else. */
  resume({ waitMilliseconds }: DataStatus): void {
    this.#since = performance.now();
    this.#waited = waitMilliseconds;
  }

  /** The time left, evaluations included, at the pace since the first step was read. */
  #left(step: number, first: { readonly step: number; readonly time: number }): string {
    const secondsPerStep = (performance.now() - first.time) / 1000 / (step - first.step);
    return `${clock(secondsPerStep * (this.steps - step))} left`;
  }

  /** The progress line, without what matters least where it would be too long. */
  #line(metric: StepMetric): string {
    const { step, lr_mp, lr_backbones } = metric;
    const rates = lr_mp === lr_backbones ? [lr_mp] : [lr_mp, lr_backbones];
    const fields = new Map<string, string>([
      ["step", `${String(step).padStart(String(this.steps).length)}/${this.steps}`],
      ["loss", `loss ${metric.loss.toFixed(4)}`],
      ["rates", `lr ${rates.map((rate) => rate.toExponential(1)).join("/")}`],
      ["samples", `${short(metric.samples_per_second)} questions/s`],
      ["tokens", `${short(metric.tokens_per_second)} tokens/s`],
      ...(metric.data_wait > NOTABLE_WAIT
        ? [["wait", `${Math.round(100 * metric.data_wait)} % waiting for data`] as const]
        : []),
      ...(this.#first ? [["left", this.#left(step, this.#first)] as const] : []),
    ]);
    const line = () => [...fields.values()].join(" ");
    for (const name of LEAST_IMPORTANT) {
      if (line().length > this.display.columns) fields.delete(name);
    }
    return line();
  }
}
