/**
 * Keeps the best model of a run in the output folder, as a checkpoint with its tokenizer.
 *
 * Between train.ts and model/checkpoint.ts. Source: the evaluation branch of train() in nanoVLM v0.1, train.py.
 */
import { openCheckpoint } from "../model/checkpoint.ts";
import type { Checksums } from "../model/saved_files.ts";
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
  /** Of its files, as they were saved; undefined before there is one. */
  files: Checksums | undefined;

  /** Keeps models in `folder`; the best one of a resumed run is there already. */
  constructor(
    readonly folder: string,
    best?: Quality & { readonly step: number; readonly files?: Checksums | undefined },
  ) {
    this.#quality = best;
    this.#step = best?.step ?? 0;
    this.files = best?.files;
  }

  /** What the best model reached; undefined before there is one. */
  get quality(): Quality | undefined {
    return this.#quality;
  }

  /** The step after which the best model was saved; 0 before there is one. */
  get step(): number {
    return this.#step;
  }

  /**
   * Whether the model after `step` steps is better than all before; save() it then, once a checkpoint that says so is on the
   * disk: so that, whatever stops the process, the checkpoint's word about the best model in the folder holds.
   */
  consider(step: number, { accuracy, loss }: Quality): boolean {
    const quality = { accuracy, loss };
    this.#isNewest = this.#quality === undefined || isBetter(quality, this.#quality);
    if (this.#isNewest) [this.#step, this.#quality] = [step, quality];
    return this.#isNewest;
  }

  /** Keeps `model` as the best one. */
  async save(model: VisionLanguageModel): Promise<void> {
    this.#isNewest = true;
    await model.savePretrained(this.folder);
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
  return a.loss < b.loss || Number.isNaN(b.loss); // where nothing tells them apart, the one that was trained for longer
}
