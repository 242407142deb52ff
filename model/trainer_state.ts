/**
 * trainer_state.json: where a training run stood, how it was set up, and what it had found, beside the model and the moments
 * of a checkpoint.
 *
 * Written by runs/checkpoints.ts; read when a run is resumed, before anything else of it. Source: trainer_state.json of
 * Hugging Face's Trainer, with keys of ours.
 */
import { readJson } from "./checkpoint.ts";
import type { Config } from "./config.ts";
import { CheckpointError } from "./safetensors_header.ts";
import { checksumOf, type Checksums } from "./saved_files.ts";
import type { Tuning } from "./tuning.ts";

/** Counts up when older files can no longer be read. */
const FORMAT = 1;
const FILE = "trainer_state.json";
/** In a run's folder: names the newest complete checkpoint in it. */
export const LATEST = "latest";
/** There too: locked by the process that trains in it, until it ends, however that comes. */
export const LOCK = ".lock";

/** The folder of a checkpoint, by its steps. */
export const STEP_NAME = /(?:^|[\\/])step-(\d+)[\\/]*$/;

/** The content of a trainer_state.json. */
export interface TrainerState {
  readonly format: typeof FORMAT;
  /** What wrote it. */
  readonly version: { readonly nanovlm: string; readonly deno: string };
  /** Steps taken. */
  readonly step: number;
  /** Whether the evaluation that is due after that step, if one is, has been made. */
  readonly is_evaluated: boolean;
  /** Steps of the whole run. */
  readonly steps: number;
  /** The effective configuration. */
  readonly config: Config;
  /** The model that the run began from; null for a new one. */
  readonly checkpoint: string | null;
  /** The place in the stream of training batches, and the rows before it that could not be read; absent where there are none. */
  readonly loader: {
    readonly seed: number;
    readonly epoch: number;
    readonly index: number;
    readonly bad_rows?: readonly number[] | undefined;
  };
  /**
   * Questions to train on and to evaluate on; of files on this machine a fingerprint of what they hold, null in other runs;
   * the commits of datasets on the Hub, by their names there.
   */
  readonly data: {
    readonly samples: number;
    readonly held_out: number;
    readonly fingerprint?: string | null;
    readonly revisions: Readonly<Record<string, string>>;
  };
  /** What was computed on, and by which kernels: others round otherwise. */
  readonly device: { readonly description: string; readonly tuning: Tuning };
  /** How a step was taken. */
  readonly plan: { readonly micro_batch_size: number; readonly recompute: "on" | "off" };
  /** The best model so far, and what it was chosen by: accuracy on the test or, without one, on held-out questions; null before the first evaluation. A loss of null is no number. */
  readonly best: {
    /** Of the two files of that model; absent in older checkpoints. */
    readonly files?: Checksums | undefined;
    readonly step: number;
    readonly accuracy: number;
    readonly loss: number | null;
  } | null;
  /** Of the checkpoint's other files; absent in older checkpoints. */
  readonly files?: Checksums;
  /** Bytes of metrics.jsonl up to here. */
  readonly metrics_bytes: number;
  /** What the log of steps counts. */
  readonly log: LogState;
  /** The most that was taken on the GPU before the first evaluation; null before that. */
  readonly peak_bytes: number | null;
}

/** What is in the file: of the state, as JSON without spaces, a checksum too; absent in older ones. */
type Saved = TrainerState & { readonly checksum: string };

/** What a run's log counts from its first step on. */
export interface LogState {
  readonly samples: number;
  /** Samples that were longer than `lm_max_length`. */
  readonly cut: number;
  /** Steps skipped in mixed precision, and how many of them were the last ones. */
  readonly skipped_steps: number;
  readonly skipped_in_a_row: number;
  /** Names of the rows that could not be read. */
  readonly skipped_rows: readonly string[];
  /** Time that training took, of all parts of the run. */
  readonly seconds: number;
}

/** A checkpoint of a run. */
export interface SavedRun {
  /** The checkpoint's folder. */
  readonly folder: string;
  /** The run's folder, which the checkpoint's is in. */
  readonly out: string;
  readonly state: TrainerState;
}

/**
 * The newest complete checkpoint of the run in folder `out`, or the checkpoint `out` itself; undefined where there is none.
 *
 * @throws {Error} where it is named but not there
 * @throws {SyntaxError} where its trainer_state.json is no JSON, or of another format
 */
export function savedRun(out: string): SavedRun | undefined {
  if (isFile(`${out}/${FILE}`)) {
    return { folder: out, out: parentOf(out), state: readState(out) };
  }
  if (!isFile(`${out}/${LATEST}`)) return undefined;
  const folder = `${out}/${Deno.readTextFileSync(`${out}/${LATEST}`).trim()}`;
  if (!isFile(`${folder}/${FILE}`)) {
    throw new Error(
      `Cannot find the checkpoint "${folder}", which "${out}/${LATEST}" names: there is no ${FILE} in it, expected a ` +
        `complete checkpoint; give another one in that folder with --resume DIR`,
    );
  }
  return { folder, out, state: readState(folder) };
}

/** Whether steps, or the evaluation after the last one, are still to be made. */
export function isUnfinished({ step, steps, is_evaluated }: TrainerState): boolean {
  return step < steps || !is_evaluated;
}

/** Whether a process is training in folder `out`. */
export function isTraining(out: string): boolean {
  if (!isFile(`${out}/${LOCK}`)) return false;
  using file = Deno.openSync(`${out}/${LOCK}`);
  return !file.tryLockSync(false);
}

/** What a new run in folder `out` would replace or meet, in words; undefined where nothing is there. */
export function occupantOf(
  out: string,
): { readonly text: string; readonly isUnfinished: boolean } | undefined {
  if (isTraining(out)) return { text: "another process is training there", isUnfinished: false };
  try {
    const state = isFile(`${out}/${LATEST}`) ? savedRun(out)?.state : undefined;
    if (state) {
      const kind = isUnfinished(state) ? "an unfinished run" : "a finished run";
      const text = `${kind} is there, after step ${state.step} of ${state.steps}`;
      return { text, isUnfinished: isUnfinished(state) };
    }
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    return { text: `a run that cannot be read is there (${reason})`, isUnfinished: false };
  }
  const hasModel = isFile(`${out}/model.safetensors`);
  return hasModel ? { text: "a model is there", isUnfinished: false } : undefined;
}

function parentOf(folder: string): string {
  const [, parent = "."] = /^(.*)[\\/][^\\/]+[\\/]*$/.exec(folder) ?? [];
  return parent;
}

/** Whether there is a file of that name. */
export function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return false;
    }
    throw error;
  }
}

function readState(folder: string): TrainerState {
  const path = `${folder}/${FILE}`;
  const json = readJson(path);
  const isObject = typeof json === "object" && json !== null;
  const { checksum, ...state }: Partial<Saved> = isObject ? json : {};
  if (state.format !== FORMAT) {
    const found = JSON.stringify(isObject ? state.format : json)?.slice(0, 40);
    throw new SyntaxError(
      `Cannot read "${path}": its format is ${found}, expected ${FORMAT}; another version of nanoVLM wrote it`,
    );
  }
  const found = checksumOf(JSON.stringify(state));
  if (checksum !== undefined && checksum !== found) {
    const expected = `${checksum}, as it was saved`;
    throw new CheckpointError(path, `the checksum of its content is ${found}`, expected);
  }
  const step = STEP_NAME.exec(folder)?.[1];
  if (step !== undefined && Number(step) !== state.step) {
    const expected = `${step}, as its folder's name says`;
    throw new CheckpointError(path, `it is of step ${state.step}`, expected);
  }
  return state as TrainerState;
}

/** Where the state of a checkpoint goes, and its text. */
export function formatState(
  folder: string,
  state: Omit<TrainerState, "format">,
): { path: string; text: string } {
  const content = { format: FORMAT, ...state };
  const checksum = checksumOf(JSON.stringify(content));
  const text = `${JSON.stringify({ ...content, checksum }, null, 2)}\n`;
  return { path: `${folder}/${FILE}`, text };
}
