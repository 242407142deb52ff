/**
 * The checkpoints of a run, from which it goes on bit for bit: each a model folder that nanoVLM loads too, with what the
 * optimizer, the loader and the log hold beside it.
 *
 * Between train.ts and run_folder.ts. Source: save_checkpoint() of Hugging Face's Trainer; nanoVLM saves the model only.
 */
import DENO from "../deno.json" with { type: "json" };
import { CheckpointError } from "../model/safetensors.ts";
import { type Checksums, requireIntact, writeBeside } from "../model/saved_files.ts";
import {
  formatState,
  isFile,
  LOCK,
  type SavedRun,
  type TrainerState,
} from "../model/trainer_state.ts";
import { loadTrainingState, saveTrainingState } from "../model/training_state.ts";
import { tuningOf } from "../model/tuning.ts";
import type { BestModel } from "./best_model.ts";
import { unwritable } from "./metrics.ts";
import type { Run } from "./run.ts";
import { RunFolder } from "./run_folder.ts";

const TRAINING_STATE = "training_state.safetensors";
/** Beside the best model, where it has a tokenizer of its own. */
const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"];

/** Checkpoints to keep unless told otherwise: one, and one for the case that a disk damages it. */
export const KEPT_CHECKPOINTS = 2;

/** The newest checkpoint: the steps that it has taken, 0 where there is none, and the checksums of its files. */
interface Newest {
  readonly newest: number;
  readonly files?: Checksums | undefined;
}

/** Where a run's checkpoints go. */
export class Checkpoints {
  readonly #folder: RunFolder;
  readonly #lock: Deno.FsFile;
  /** Steps that the newest one has taken; 0 where there is none. */
  #newest: number;
  /** Of its files. */
  #files: Checksums;

  private constructor(folder: RunFolder, lock: Deno.FsFile, { newest, files = {} }: Newest) {
    this.#folder = folder;
    this.#lock = lock;
    this.#newest = newest;
    this.#files = files;
  }

  /**
   * Of the run in folder `out`, which goes on from the checkpoint after `newest` steps, or begins where that is 0.
   *
   * @throws {Error} where the folder cannot be written, or another process trains in it
   */
  static async open(out: string, options: Newest & { keep: number }): Promise<Checkpoints> {
    const lock = await lockFolder(out);
    try {
      const folder = new RunFolder(out, options.keep);
      if (options.newest === 0) folder.clear();
      else await folder.goOnFrom(options.newest);
      return new Checkpoints(folder, lock, options);
    } catch (cause) {
      lock.close();
      throw unwritable(out, cause);
    }
  }

  /** Lets other processes train in the folder. */
  [Symbol.dispose](): void {
    this.#lock.close();
  }

  /** Steps that the newest one has taken; 0 where there is none. */
  get newest(): number {
    return this.#newest;
  }

  /**
   * Writes one, and then the best model where this is it. No step may be under way.
   *
   * @param isEvaluated false where the evaluation after the step is still to be made
   * @throws {Error} where it cannot be written; those before stay
   */
  async save(run: Run, step: number, isEvaluated: boolean): Promise<void> {
    const { path } = this.#folder;
    try {
      const bytes = await run.runLog.sync();
      const place = { step, is_evaluated: isEvaluated, metrics_bytes: bytes };
      const writeState = async (folder: string, files: Checksums) => {
        this.#files = files;
        if (run.best.step === step) run.best.files = modelFiles(files);
        const { path, text } = formatState(folder, { ...place, files, ...stateOf(run) });
        await writeBeside(path, (put) => put(new TextEncoder().encode(text)));
      };
      // Where only the evaluation was missing, the rest is there.
      if (step === this.#newest) await writeState(this.#folder.pathOf(step), this.#files);
      else {
        await this.#folder.write(step, async (folder) => {
          const model = await run.model.savePretrained(folder);
          const tokenizer = await copyTokenizer(path, folder);
          const state = await saveTrainingState(`${folder}/${TRAINING_STATE}`, run.trainer);
          await writeState(folder, { ...model, ...tokenizer, [TRAINING_STATE]: state });
        });
      }
      this.#newest = step;
      if (run.best.step === step) await run.best.save(run.model);
    } catch (cause) {
      if (!isFromDisk(cause)) throw cause;
      throw new Error(
        `Cannot save step ${step} in "${path}": ${cause.message}, expected room to write in and a folder that stays; make ` +
          `room there, or see who removed it`,
        { cause },
      );
    }
  }
}

/** Makes the folder of a run and takes it for this process. @throws {Error} where that cannot be */
async function lockFolder(out: string): Promise<Deno.FsFile> {
  let file: Deno.FsFile;
  try {
    await Deno.mkdir(out, { recursive: true });
    file = await Deno.open(`${out}/${LOCK}`, { write: true, create: true });
  } catch (cause) {
    throw unwritable(out, cause);
  }
  if (await file.tryLock(true)) return file;
  file.close();
  throw new Error(
    `Cannot train in "${out}": another process is training there; expected a folder of this run's own; wait until the ` +
      `other one ends, or choose another folder with --out DIR`,
  );
}

/** Whether the system refused, not the GPU or our own code. */
function isFromDisk(error: unknown): error is Error {
  if (!(error instanceof Error)) return false;
  return "code" in error && typeof error.code === "string" || error.name in Deno.errors;
}

/** Gives the run what the checkpoint says, its model excepted. */
export async function restoreRun(run: Run, { folder, state }: SavedRun): Promise<void> {
  loadTrainingState(`${folder}/${TRAINING_STATE}`, run.trainer, state.step);
  run.log.restore(state.log);
  run.peakBytes = state.peak_bytes ?? undefined;
  const { loader } = run.data;
  const { seed, batch_size: batchSize } = run.config.train;
  // The same place, unless --force changed what it is counted in.
  const batch = Math.min(Math.floor(state.loader.index / batchSize), loader.batchesPerEpoch - 1);
  const { epoch, bad_rows: bad } = state.loader;
  const isSame = state.data.fingerprint === run.data.fingerprint; // other data may have been mended
  loader.restore({ seed, epoch, index: batch * batchSize, bad_rows: isSame ? bad : undefined });
  // The process may have been killed between both.
  if (run.best.step === state.step) await run.best.save(run.model);
}

/** What the best model of a resumed run reached; undefined where there is none, or by force one that was damaged. */
export function bestOf(
  resume: SavedRun | undefined,
  isForced: boolean,
): ConstructorParameters<typeof BestModel>[1] {
  const { best } = resume?.state ?? {};
  if (!resume || !best || isForced && !isWhole(() => requireBest(resume))) return undefined;
  return { ...best, loss: best.loss ?? NaN };
}

function isWhole(check: () => void): boolean {
  try {
    check();
    return true;
  } catch (error) {
    if (error instanceof CheckpointError) return false;
    throw error;
  }
}

/**
 * Checks that no bit of a checkpoint, and of the best model of its run, has changed since.
 *
 * @param isForced whether that does not matter, as long as all files are there
 * @throws {CheckpointError} where a file is missing or changed
 */
export function requireWhole(run: SavedRun, isForced: boolean): void {
  const { folder, state: { files = {} } } = run;
  for (const name of ["config.json", "model.safetensors", TRAINING_STATE]) {
    if (isFile(`${folder}/${name}`)) continue;
    throw new CheckpointError(
      `${folder}/${name}`,
      "there is no such file",
      "all files of a checkpoint",
      "Go on from another checkpoint of the run with --resume=DIR, if there is one.",
    );
  }
  if (isForced) return;
  requireIntact(folder, files);
  requireBest(run);
}

const BEST_REMEDY = "It was damaged, or it is the best model of later steps, where an earlier " +
  "checkpoint is gone on with; --force goes on without, and the next one that is evaluated is best.";

/** Where the best model is that of the checkpoint it is written again. @throws {CheckpointError} where it has changed */
function requireBest({ out, state: { step, best } }: SavedRun): void {
  if (best?.files && best.step !== step) requireIntact(out, best.files, BEST_REMEDY);
}

function stateOf(
  run: Run,
): Omit<TrainerState, "format" | "step" | "is_evaluated" | "metrics_bytes" | "files"> {
  const { config, checkpoint = null, steps, data, plan, model: { device }, best, log } = run;
  const { quality } = best;
  return {
    version: { nanovlm: DENO.version, deno: Deno.version.deno },
    steps,
    config,
    checkpoint,
    loader: data.loader.state(),
    data: {
      samples: data.loader.samples,
      held_out: data.indices.length,
      fingerprint: data.fingerprint,
      revisions: data.revisions,
    },
    device: { description: device.description, tuning: tuningOf(device, plan.dtype) },
    plan: { micro_batch_size: plan.microBatchSize, recompute: plan.recompute },
    best: quality ? { step: best.step, ...quality, files: best.files } : null,
    log: log.state(),
    peak_bytes: run.peakBytes ?? null,
  };
}

/** Of the checkpoint's files those that the best model has too. */
function modelFiles(files: Checksums): Checksums {
  const isModel = ([name]: [string, string]) => /^(config\.json|model\.safetensors)$/.test(name);
  return Object.fromEntries(Object.entries(files).filter(isModel));
}

async function copyTokenizer(from: string, to: string): Promise<Checksums> {
  const names = [...Deno.readDirSync(from)].map(({ name }) => name);
  const checksums: Record<string, string> = {};
  for (const name of TOKENIZER_FILES.filter((name) => names.includes(name))) {
    const bytes = await Deno.readFile(`${from}/${name}`);
    checksums[name] = await writeBeside(`${to}/${name}`, (put) => put(bytes));
  }
  return checksums;
}
