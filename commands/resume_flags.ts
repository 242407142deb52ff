/**
 * Flags of train.ts about checkpoints: how often, how many, and going on from one.
 *
 * Beside commands/training_config.ts. Ours.
 */
import { resolve } from "node:path";
import { statOf } from "../data/pretrained.ts";
import type { MemoryRequest } from "../model/plan_choice.ts";
import { type SavedRun, savedRun } from "../model/trainer_state.ts";
import { type Arguments, type Flags, UsageError, wholeNumber } from "./flags.ts";
import { newestUnfinished } from "./run_folders.ts";

/** The flags. */
export const RESUME_FLAGS = {
  "checkpoint-every": {
    value: "N",
    number: wholeNumber(1),
    help: "steps between checkpoints to resume from (default: one with each evaluation)",
  },
  "keep": {
    value: "N",
    number: wholeNumber(1),
    help: "how many of those to keep, the newest ones (default: 2)",
  },
  "resume": {
    value: "DIR",
    isValueOptional: true,
    help: "go on with the run in that folder, or in --out, or else with the newest that is not " +
      "finished; with its settings, and flags only to change them",
  },
  "detect-anomaly": {
    help: "look at all tensors of every step, which is slow, and stop at the first that is not " +
      "finite; without, the step is taken again for that when the loss is not",
  },
  "force": {
    help: "go on though changes make the run another one, or replace the run that is in the folder",
  },
} as const satisfies Flags;

/**
 * The run that --resume names; undefined without that flag.
 *
 * @param out where the run is if the flag does not say; where that does not either it is the newest unfinished one
 * @param preset of that
 * @throws {UsageError} where it is in another folder than `out`, or a preset is asked for though the folder is known
 * @throws {Error} where there is none
 * @throws {SyntaxError} where its state is damaged
 */
export function runToResume(
  args: Arguments<typeof RESUME_FLAGS>,
  out: string | undefined,
  preset: string | undefined,
): SavedRun | undefined {
  const asked = args.text("resume");
  if (asked === undefined) return undefined;
  const folder = asked !== "" ? asked.replace(/(?<=.)\/+$/, "") : out;
  if (folder === undefined) return newestUnfinished(preset);
  if (preset !== undefined) {
    throw new UsageError(
      `Cannot use --preset ${preset} with a run to resume in "${folder}": it goes on with its own model and settings; ` +
        `leave --preset out, or begin a run without --resume`,
    );
  }
  const saved = savedRun(folder);
  if (saved && asked !== "" && out !== undefined && resolve(out) !== resolve(saved.out)) {
    throw new UsageError(
      `Cannot use --out ${out} with --resume=${asked}: a run goes on in its own folder, expected one of them; to keep that ` +
        `folder as it is, copy it and resume the copy`,
    );
  }
  if (saved) return saved;
  throw new Error(
    `Cannot resume the run in "${folder}": ${
      statOf(folder) ? "no checkpoint of a run is there" : "no such folder"
    }, expected one that training has saved in; name it with --resume=DIR, or begin one without --resume`,
  );
}

/** How the resumed run took its steps, where the flags do not say otherwise. */
export function memoryAsBefore(asked: MemoryRequest, { state: { plan } }: SavedRun): MemoryRequest {
  const { microBatchSize, recompute } = asked;
  return {
    ...asked,
    microBatchSize: typeof microBatchSize === "number" ? microBatchSize : plan.micro_batch_size,
    recompute: recompute === "auto" ? plan.recompute : recompute,
  };
}
