/**
 * A training run: all that its parts share.
 *
 * Made by train.ts; its files in this folder describe, save and report it.
 */
import type { Config } from "../model/config.ts";
import type { TrainingPlan } from "../model/training_plan.ts";
import type { Trainer } from "../model/training_step.ts";
import type { VisionLanguageModel } from "../model/vision_language_model.ts";
import type { BestModel } from "./best_model.ts";
import type { RunLog } from "./run_log.ts";
import type { StepLog } from "./step_log.ts";
import type { TrainingData } from "./training_data.ts";

/** What is open while a run goes on. */
export interface Run {
  /** The effective one. */
  readonly config: Config;
  /** The model that the run began from; absent for a new one. */
  readonly checkpoint: string | undefined;
  /** Steps of the whole run. */
  readonly steps: number;
  /** Steps that were taken before this process: 0 unless the run is resumed. */
  readonly stepsBefore: number;
  readonly data: TrainingData;
  readonly runLog: RunLog;
  readonly log: StepLog;
  readonly model: VisionLanguageModel;
  readonly plan: TrainingPlan;
  readonly trainer: Trainer;
  readonly best: BestModel;
  /** The most that was taken on the GPU before the first evaluation or checkpoint; undefined before that. */
  peakBytes: number | undefined;
}
