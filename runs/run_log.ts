/**
 * All that a run leaves to look at: metrics.jsonl, an event file for TensorBoard, pictures of held-out questions, and
 * report.html, which is made from the others.
 *
 * Beside the loop of train.ts, which tells it of steps and evaluations. Ours.
 */
import type { SkippedRow } from "../data/bad_rows.ts";
import type { Samples } from "../data/datasets.ts";
import { encodePng } from "../data/png_encoder.ts";
import { ImageProcessor } from "../data/processor.ts";
import type { Config } from "../model/config.ts";
import type { TrainingPlan } from "../model/training_plan.ts";
import type { Evaluation } from "./answers.ts";
import { BadRowsFile } from "./bad_rows_file.ts";
import { type Results, setsMetric } from "./evaluations.ts";
import { chooseExamples, type Example } from "./examples.ts";
import { type EvaluationMetric, type Metric, Metrics, readMetrics, secondsNow } from "./metrics.ts";
import { savePage } from "./page/page.ts";
import { planJson } from "./plan_report.ts";
import { plainScore, type Score, withInterval } from "./score.ts";
import type { TrainingData } from "./training_data.ts";
import { EXAMPLES_FOLDER, picturePath, readHistory } from "./run_history.ts";
import { EventFile } from "./tensorboard.ts";

/** What is known of a run before its first step. */
export interface RunDescription {
  readonly config: Config;
  /** The folder of the model that the run began from; absent for a new one. */
  readonly checkpoint?: string | undefined;
  /** Of the whole run. */
  readonly steps: number;
  readonly plan: TrainingPlan;
  readonly device: RunDevice;
  readonly data: Pick<TrainingData, "revisions">;
}

/** What the log asks of a Device. */
export interface RunDevice {
  readonly description: string;
  readonly bytes: number;
  readonly peakBytes: number;
}

/** Where an interrupted run goes on, as its checkpoint says. */
export interface ResumePoint {
  /** Steps that were taken. */
  readonly step: number;
  /** What `sync()` gave after that step: what stands behind is forgotten. */
  readonly metrics_bytes: number;
}

/** What metrics.jsonl says of a step. */
export interface StepMetric {
  /** From 1. */
  readonly step: number;
  /** Mean over the labels of the step's questions. */
  readonly loss: number;
  /** Learning rate of the projector. */
  readonly lr_mp: number;
  /** Learning rate of the vision encoder and the language model. */
  readonly lr_backbones: number;
  /** Of all gradients together. */
  readonly gradient_norm: number;
  /** Of mixed precision; null in float32. */
  readonly loss_scale: number | null;
  /** Steps so far that were left out since gradients overflowed; in mixed precision only. */
  readonly skipped_steps?: number;
  /** Questions a second. */
  readonly samples_per_second: number;
  /** Of text and pictures, without padding. */
  readonly tokens_per_second: number;
  /** Share of the time that was waiting for data. */
  readonly data_wait: number;
}

/** What an evaluation found. */
export type EvaluationResult = Pick<
  Evaluation,
  keyof Score | "loss" | "labels" | "by_category" | "answers" | "skipped" | "too_long"
>;

/** Held-out questions that are shown with their pictures. */
const MOST_EXAMPLES = 8;
/** Width and height of these pictures, at most. */
const MOST_PIXELS = 128;

/** Names in TensorBoard of what metrics.jsonl says of a step. */
const STEP_TAGS: Readonly<Record<string, string>> = {
  loss: "train/loss",
  gradient_norm: "train/gradient_norm",
  loss_scale: "train/loss_scale",
  lr_mp: "rate/projector",
  lr_backbones: "rate/backbones",
  samples_per_second: "speed/samples_per_second",
  tokens_per_second: "speed/tokens_per_second",
  data_wait: "speed/data_wait",
  gpu_bytes: "memory/gpu_bytes",
};

/** The open logs of a run. Close them, or declare them with `using`. */
export class RunLog implements Disposable {
  readonly #metrics: Metrics;
  readonly #events: EventFile;
  readonly #badRows: BadRowsFile;
  readonly #resumedAfter: number | undefined;
  #run: RunDescription | undefined;
  /** The questions that are shown, from the first evaluation on. */
  #shown: ReadonlySet<number> | undefined;
  #hasPictures = false;
  #isPageOld = false;

  private constructor(
    /** The run's folder. */
    readonly folder: string,
    resumePoint: ResumePoint | undefined,
  ) {
    this.#metrics = Metrics.open(folder, resumePoint?.metrics_bytes);
    this.#badRows = new BadRowsFile(folder);
    this.#resumedAfter = resumePoint?.step;
    this.#events = EventFile.open(folder, this.#resumedAfter);
    if (!resumePoint) return;
    for (const { skipped, reason } of readMetrics(folder)) {
      if (skipped === undefined) continue;
      this.#badRows.add("training", [{ imageName: String(skipped), reason: String(reason) }]);
    }
    const examples = readHistory(folder).evaluations.at(-1)?.examples ?? [];
    if (examples.length > 0) this.#shown = new Set(examples.map(({ index }) => index));
  }

  /**
   * Makes the folder, if needed, and starts its logs anew, or goes on with them.
   *
   * @throws {Error} where they cannot be written
   */
  static open(folder: string, resumePoint?: ResumePoint): RunLog {
    return new RunLog(folder, resumePoint);
  }

  /** Puts metrics.jsonl on the disk, and says how many bytes it has, for a `ResumePoint`. */
  async sync(): Promise<number> {
    return await this.#metrics.sync();
  }

  /** Notes what is about to be trained, and on what. */
  begin(run: RunDescription): void {
    this.#run = run;
    const { config, checkpoint = null, steps, plan, device, data } = run;
    this.write({
      run: {
        steps,
        resumed_after: this.#resumedAfter ?? null,
        device: device.description,
        system: `${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} cores`,
        runtime: `Deno ${Deno.version.deno}`,
        plan: planJson(plan),
        dataset_revisions: data.revisions,
        began_from: checkpoint,
        config,
      },
    });
  }

  /** Notes anything; when, is added. */
  write(metric: Metric): void {
    this.#metrics.write({ ...metric, time: secondsNow() });
  }

  /** Notes rows of a part of the data that cannot be read or asked; each once. */
  badRows(part: string, rows: readonly SkippedRow[]): void {
    this.#badRows.add(part, rows);
  }

  /** Notes a step; what it took on the GPU is added. */
  step(metric: StepMetric): void {
    const { bytes = null, peakBytes = null } = this.#run?.device ?? {};
    const line = { ...metric, gpu_bytes: bytes, gpu_peak_bytes: peakBytes };
    this.write(line);
    this.#isPageOld = true;
    const scalars = Object.entries(line).flatMap(([key, value]): [string, number][] => {
      const tag = STEP_TAGS[key];
      return tag === undefined || value === null ? [] : [[tag, value]];
    });
    this.#events.write(secondsNow(), metric.step, Object.fromEntries(scalars));
  }

  /**
   * Notes an evaluation, with a few of its questions and their pictures, and makes the page anew.
   *
   * @param step the steps that the model has taken
   * @param samples what was asked
   * @param isBest whether no model before was better
   * @param isFinal whether it is of the saved model, on all held-out questions
   * @throws {SyntaxError} {RangeError} where a picture cannot be decoded
   */
  async evaluation(
    step: number,
    { validation, test, sets }: Results,
    { samples, isBest = false, isFinal = false }: {
      samples: Samples;
      isBest?: boolean;
      isFinal?: boolean;
    },
  ): Promise<void> {
    const { accuracy, loss, by_category, answers } = validation;
    for (const [name, { skipped, too_long }] of [["held out", validation] as const, ...sets]) {
      this.badRows(name, [...skipped, ...too_long]);
    }
    const examples = this.#examplesOf(answers);
    if (!this.#hasPictures) await this.#savePictures(samples, examples);
    this.#hasPictures = true;
    const metric: EvaluationMetric = {
      ...{ step, ...withInterval(plainScore(validation)), validation_loss: loss },
      by_category: Object.fromEntries(
        Object.entries(by_category).map(([kind, score]) => [kind, withInterval(score)]),
      ),
      ...{ examples, too_long: validation.too_long.length, left_out: validation.skipped.length },
      ...setsMetric({ test, sets }),
      ...(isBest ? { best: true } : {}),
      ...(isFinal ? { final: true } : {}),
    };
    this.write({ ...metric });
    const room = isFinal ? "final" : "validation";
    this.#events.write(secondsNow(), step, {
      ...{ [`${room}/accuracy`]: accuracy, [`${room}/loss`]: loss },
      ...setsScalars(isFinal ? "final/" : "", sets),
    });
    this.#savePage();
  }

  /** The same questions each time. */
  #examplesOf(answers: EvaluationResult["answers"]) {
    this.#shown ??= new Set(chooseExamples(answers, MOST_EXAMPLES).map(({ index }) => index));
    return answers.filter(({ index }) => this.#shown?.has(index))
      .map(({ index, question, expected, given, isCorrect }) => ({
        ...{ index, question, expected, given, correct: isCorrect },
      }));
  }

  /** Writes pictures as the model sees them, but no larger than a page needs. */
  async #savePictures(samples: Samples, examples: readonly Example[]): Promise<void> {
    const seen = { vit_img_size: MOST_PIXELS, ...this.#run?.config.vlm };
    const processor = new ImageProcessor({
      ...seen,
      vit_img_size: Math.min(seen.vit_img_size, MOST_PIXELS),
    });
    await Deno.mkdir(`${this.folder}/${EXAMPLES_FOLDER}`, { recursive: true });
    for (const { index } of examples) {
      const { image, imageName } = await samples.at(index);
      const picture = encodePng(await processor.square(image, imageName));
      await Deno.writeFile(picturePath(this.folder, index), picture);
    }
  }

  #savePage(): void {
    savePage(`${this.folder}/report.html`, [readHistory(this.folder)]);
    this.#isPageOld = false;
  }

  /** Ends the files; where steps came after the last evaluation, the page shows them. */
  close(): void {
    try {
      if (this.#isPageOld) this.#savePage();
    } catch {
      // Whatever ended the run is what to say; the page can be made again.
    } finally {
      this.#metrics.close();
      this.#events.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** For TensorBoard, under each dataset's name. */
function setsScalars(prefix: string, sets: Results["sets"]): Record<string, number> {
  return Object.fromEntries([...sets].flatMap(([name, { accuracy, loss, sampled }]) => [
    [`${prefix}${name}/accuracy`, accuracy],
    ...(Number.isNaN(loss) ? [] : [[`${prefix}${name}/loss`, loss]]),
    ...(sampled ? [[`${prefix}${name}/sampled_accuracy`, sampled.accuracy]] : []),
  ]));
}
