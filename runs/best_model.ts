/**
 * Keeps the best model of a run in the output folder, as a checkpoint with its tokenizer.
 *
 * Between train.ts and model/checkpoint.ts. Source: the evaluation branch of train() in nanoVLM v0.1, train.py.
 */
import { openCheckpoint } from "../model/checkpoint.ts";
import type { VisionLanguageModel } from "../model/vision_language_model.ts";

/** What decides which model is better. */
export interface Quality {
  readonly accuracy: number;
  /** Decides between equal accuracies; NaN is worst. */
  readonly loss: number;
}

/** The best model so far. */
export class BestModel {
  #step = 0;
  #quality: Quality | undefined;
  #isNewest = false;

  /** Keeps models in `folder`. */
  constructor(readonly folder: string) {}

  /** The step after which the best model was saved; 0 before there is one. */
  get step(): number {
    return this.#step;
  }

  /**
   * Saves a model if none was better.
   *
   * @param step steps that it has taken
   * @returns whether it did
   */
  async consider(model: VisionLanguageModel, step: number, quality: Quality): Promise<boolean> {
    this.#isNewest = this.#quality === undefined || isBetter(quality, this.#quality);
    if (!this.#isNewest) return false;
    await model.savePretrained(this.folder);
    this.#step = step;
    this.#quality = quality;
    return true;
  }

  /** Gives `model` the weights of the best one again. */
  restore(model: VisionLanguageModel): void {
    if (this.#isNewest) return;
    using checkpoint = openCheckpoint(this.folder);
    for (const { name } of model.store.shapes) model.store.upload(name, checkpoint.load(name));
  }
}

function isBetter(a: Quality, b: Quality): boolean {
  if (a.accuracy !== b.accuracy) return a.accuracy > b.accuracy;
  return a.loss < b.loss || Number.isNaN(b.loss) && !Number.isNaN(a.loss);
}
