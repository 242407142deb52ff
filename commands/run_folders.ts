/**
 * The runs under checkpoints/: a free folder for a new one, the one to go on with, the newest model, and what is said of it.
 *
 * Beside commands/checkpoints.ts. Ours.
 */
import { statOf } from "../data/pretrained.ts";
import { denoCommand, folded, printableLines, terminalColumns } from "../data/terminal.ts";
import {
  isTraining,
  isUnfinished,
  LATEST,
  occupantOf,
  type SavedRun,
  savedRun,
} from "../model/trainer_state.ts";
import { CheckpointError, requireIntact } from "../model/saved_files.ts";
import { missingFiles, MODEL_FILES, MODELS_FOLDER } from "./checkpoints.ts";
import type { Flag } from "./flags.ts";

/** Checks a model before it answers. */
export const VERIFY_FLAG = {
  help: "check first that no bit of the model has changed since its run saved it",
} as const satisfies Flag;

/** A folder under checkpoints/, and when a file in it was written, in milliseconds. */
interface Written {
  readonly dir: string;
  readonly time: number;
}

/** The folders that have `file`, the one where it was written last first. */
function newestFirst(file: string): Written[] {
  const names = statOf(MODELS_FOLDER)?.isDirectory ? [...Deno.readDirSync(MODELS_FOLDER)] : [];
  return names.flatMap(({ name }) => {
    const dir = `${MODELS_FOLDER}/${name}`;
    const time = statOf(`${dir}/${file}`)?.mtime?.getTime();
    return time === undefined ? [] : [{ dir, time }];
  }).sort((a, b) => b.time - a.time);
}

/**
 * The folder for a new run of a preset: `checkpoints/<preset>`, or with `-2`, `-3`, … behind it the first that is free. Where
 * the last one that is taken has an unfinished run it is that one, which is probably what the user wants to go on with.
 */
export function newRunFolder(preset: string): string {
  let unfinished: string | undefined;
  for (let number = 1;; number++) {
    const dir = `${MODELS_FOLDER}/${preset}${number === 1 ? "" : `-${number}`}`;
    const occupant = occupantOf(dir);
    if (!occupant) return unfinished ?? dir;
    unfinished = occupant.isUnfinished ? dir : undefined;
  }
}

/**
 * The unfinished run that has saved last: of a preset, or of any where that is undefined.
 *
 * @throws {Error} where none is unfinished, or the newest one cannot be read
 */
export function newestUnfinished(preset: string | undefined): SavedRun {
  const isOfPreset = ({ dir }: Written) =>
    preset === undefined || dir.slice(MODELS_FOLDER.length + 1).replace(/-\d+$/, "") === preset;
  const runs = newestFirst(LATEST).filter(isOfPreset);
  for (const { dir } of runs) {
    const run = savedRun(dir);
    if (run && isUnfinished(run.state) && !isTraining(dir)) return run;
  }
  const [newest] = runs;
  throw new Error(
    `Cannot resume a run: there is none ${preset === undefined ? "" : `of ${preset} `}under ` +
      `"${MODELS_FOLDER}/"` +
      (newest ? ` that is unfinished; the newest, "${newest.dir}", has taken all its steps` : "") +
      `, expected one that was stopped; name it with --resume=DIR, or begin one without --resume`,
  );
}

/** The folder of the newest model under `checkpoints/`, if there is one. */
export function newestCheckpoint(): string | undefined {
  return newestFirst("model.safetensors")
    .find(({ dir }) => missingFiles(dir, MODEL_FILES).length === 0)?.dir;
}

/** "after step 800 of 1000, saved 2026-11-29 11:05", as far as it is known. */
function ageText(dir: string): string {
  const { mtime } = statOf(`${dir}/model.safetensors`) ?? {};
  const saved = mtime ? [`saved ${mtime.toLocaleString("sv").slice(0, 16)}`] : [];
  try {
    const run = savedRun(dir);
    const step = run?.folder === dir ? run.state.step : run?.state.best?.step;
    return [...(step ? [`after step ${step} of ${run?.state.steps}`] : []), ...saved].join(", ");
  } catch {
    return saved.join(", "); // that the run cannot be resumed does not matter to who asks its model
  }
}

/** @throws {CheckpointError} where a file of the model in `dir` is not as it was saved, or nothing is known of that */
function requireSaved(dir: string): void {
  const run = savedRun(dir);
  const checksums = run?.folder === dir ? run.state.files : run?.state.best?.files;
  if (checksums) return requireIntact(dir, checksums);
  throw new CheckpointError(
    `${dir}/model.safetensors`,
    "no checksum that was written beside it",
    "a model in the folder of its run, or a checkpoint there",
    "Leave out --verify.",
  );
}

/** What noteModel() is told. */
interface NoteOptions {
  /** Whether the user named the model. */
  readonly isNamed: boolean;
  /** Whether to check that no bit of it has changed. */
  readonly isVerified: boolean;
}

/**
 * Says on stderr which model answers: its folder, its step, when it was saved; and that a newer run has no model yet, where
 * the user named none.
 *
 * @param name as the user wrote it, or as newestCheckpoint() found it
 * @param dir where it is on this machine
 * @throws {CheckpointError} where it is to be verified and has changed
 */
export function noteModel(name: string, dir: string, { isNamed, isVerified }: NoteOptions): void {
  if (isVerified) requireSaved(dir);
  const isLocal = name === dir;
  const lines = [
    `Model: ${name}, ${isLocal ? ageText(dir) : "from the Hugging Face Hub"}${
      isVerified ? ", each file as it was saved" : ""
    }`,
  ];
  const age = statOf(`${dir}/model.safetensors`)?.mtime?.getTime() ?? 0;
  const [newer] = isNamed
    ? []
    : newestFirst("metrics.jsonl").filter(({ dir }) => missingFiles(dir, MODEL_FILES).length > 0);
  if (newer && newer.time > age) {
    const isSaved = statOf(`${newer.dir}/${LATEST}`) !== undefined;
    lines.push(
      `The run in ${newer.dir} is newer, but was stopped before its first evaluation ` +
        `and has no best model yet` +
        (isSaved ? `; go on with it: ${denoCommand(`task train --resume=${newer.dir}`)}` : ""),
    );
  }
  const columns = Deno.stderr.isTerminal() ? terminalColumns() : Infinity;
  console.error(folded(printableLines(lines.join("\n")), columns, 2));
}
