/**
 * Whether a run can go on as if it had never stopped: what differs from how it was begun, in settings, data and machine.
 *
 * Between train.ts and model/trainer_state.ts. Ours.
 */
import { denoCommand } from "../data/terminal.ts";
import { TooManyBadRows } from "../data/bad_rows.ts";
import { type Config, frozenParts, type TrainConfig } from "../model/config.ts";
import {
  isFile,
  LATEST,
  occupantOf,
  type SavedRun,
  type TrainerState,
} from "../model/trainer_state.ts";
import type { TrainingPlan } from "../model/training_plan.ts";
import { tuningOf } from "../model/tuning.ts";
import { BAD_ROWS_FILE } from "./bad_rows_file.ts";
import { shellWord } from "./report.ts";
import type { Run } from "./run.ts";

/**
 * Keys that may change: where files go and how often, what the first weights were taken from, how many threads load data,
 * where the model is pushed, and what is compared by its effect, the steps of the run and the precision.
 */
const FREE: readonly string[] = [
  ...["vlm_checkpoint_path", "checkpoint_every", "resume_from_vlm_checkpoint"],
  ...["vlm_load_backbone_weights", "max_training_steps", "epochs", "dtype", "data_workers"],
  "allowed_bad_rows",
  ...["push_to", "push_private"],
];

/** For a run whose plan fitted: others took the memory meanwhile, or evaluations, which are not in the plan. */
const LESS_MEMORY = "end what else uses the GPU, or give --recompute on, which takes less of it";

/** What is compared with a checkpoint. */
export type Resumable =
  & Pick<Run, "config" | "checkpoint" | "steps" | "data">
  & { readonly plan: TrainingPlan; readonly device: Run["model"]["device"] };

/**
 * Checks that a resumed run will give what an uninterrupted one gives.
 *
 * @param force whether it may give something else, as long as the checkpoint has all that it needs
 * @throws {RangeError} where something differs, naming all of it
 */
export function requireSame(
  { folder, out, state }: SavedRun,
  now: Resumable,
  force: boolean,
): void {
  requireMoments(folder, state.config.train, now.config.train);
  if (force) return;
  const changes = differences(state, now);
  const { metrics_bytes: bytes } = state;
  const found = fileBytes(`${out}/metrics.jsonl`);
  if (found < bytes) changes.push(`metrics.jsonl has ${found} bytes, was ${bytes} then`);
  if (changes.length === 0) return;
  throw new RangeError(
    `Cannot resume "${folder}" so that nothing tells it from an uninterrupted run: ${
      changes.join("; ")
    }; expected ` +
      `everything as it was; leave the changes out, or give --force to go on with them`,
  );
}

/** Checks that there are moments of all parts that train. */
function requireMoments(folder: string, was: TrainConfig, is: TrainConfig): void {
  const thawed = frozenParts(was).filter((part) => !frozenParts(is).includes(part));
  if (thawed.length === 0) return;
  throw new RangeError(
    `Cannot resume "${folder}" with ${
      thawed.join(" and ")
    } training: frozen until then, expected moments of it; begin ` +
      `a new run from that model with --init-from ${shellWord(folder)}`,
  );
}

/** "seed is 1, was 0" for all that makes other numbers. */
function differences(state: TrainerState, now: Resumable): string[] {
  const { plan, device, data, steps, checkpoint = null } = now;
  const tuning = tuningOf(device, plan.dtype);
  const { samples, held_out: heldOut, fingerprint: before } = state.data;
  const { fingerprint } = data;
  const pairs: [string, unknown, unknown][] = [
    ...settingPairs(state.config, now.config),
    ["the number of steps", state.steps, steps],
    ["--checkpoint", state.checkpoint, checkpoint],
    ["dtype", state.device.tuning.dtype, tuning.dtype],
    ["--micro-batch-size", state.plan.micro_batch_size, plan.microBatchSize],
    ["the number of training questions", samples, data.loader.samples],
    ["the number of held-out questions", heldOut, data.indices.length],
    ["the fingerprint of questions and pictures", before ?? fingerprint, fingerprint],
    ["the GPU", state.device.description, device.description],
    ["the kernels' tuning", state.device.tuning.matmul, tuning.matmul],
  ];
  return pairs.map(([name, was, is]) => [name, JSON.stringify(was), JSON.stringify(is)])
    .filter(([, was, is]) => was !== is)
    .map(([name, was, is]) => `${name} is ${is}, was ${was}`);
}

function settingPairs(was: Config, is: Config): [string, unknown, unknown][] {
  const before = new Map<string, unknown>(Object.entries({ ...was.vlm, ...was.train }));
  return Object.entries({ ...is.vlm, ...is.train })
    .filter(([key]) => !FREE.includes(key) && before.has(key))
    .map(([key, value]) => [key, before.get(key), value]);
}

function fileBytes(path: string): number {
  try {
    return Deno.statSync(path).size;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/**
 * Checks that a new run in folder `out` would not replace anything.
 *
 * @throws {Error} where a run or a model is there
 */
export function requireFree(out: string): void {
  const occupant = occupantOf(out);
  if (!occupant) return;
  const { text, isUnfinished } = occupant;
  throw new Error(
    `Cannot begin a run in "${out}": ${text}; expected a folder without a run or a model; ` +
      (isUnfinished ? `go on with it: ${resumeCommand(out)}; or ` : "") +
      `choose another folder with --out DIR, or replace what is there with --force`,
  );
}

/** `error`, with what to do next: where the run in `out` has a checkpoint, after step `newest`, and where memory ran out. */
export function withAdvice(error: unknown, out: string, newest: number): unknown {
  if (!(error instanceof Error)) return error;
  const saved = newest === 0
    ? []
    : isFile(`${out}/${LATEST}`)
    ? [`what was saved is whole, go on from step ${newest} with: ${resumeCommand(out)}`]
    : [`what was saved up to step ${newest} is gone with the folder`];
  const advice = [
    ...(error.name === "OutOfMemoryError" ? [LESS_MEMORY] : []),
    ...(error instanceof TooManyBadRows
      ? [`all that were found are in ${shellWord(`${out}/${BAD_ROWS_FILE}`)}`]
      : []),
    ...saved,
  ];
  if (advice.length > 0) error.message = [error.message.replace(/\.$/, ""), ...advice].join("; ");
  return error;
}

/** The command that goes on with the run in folder `out`. */
export function resumeCommand(out: string): string {
  return denoCommand(`task train --resume=${shellWord(out)}`);
}

/** What is said where a signal stopped the run in folder `out`; where it had taken all its steps, while its model was asked. */
export function stoppedText(signal: string, out: string, step: number): string {
  return `Stopped by ${signal} after step ${step}, which is saved; go on with: ${
    resumeCommand(out)
  }`;
}
