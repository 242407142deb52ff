/**
 * From the flags of train.ts to both configurations: a preset, a checkpoint's own, a JSON file, `--set`, and flags by
 * name; what comes later wins.
 *
 * Between commands/flags.ts and train.ts. Source: main() of nanoVLM v0.1, train.py.
 */
import type { HubOptions } from "../data/hub.ts";
import { statOf } from "../data/pretrained.ts";
import { tokenizerFor } from "../data/tokenizer.ts";
import { openCheckpoint, readJson } from "../model/checkpoint.ts";
import { type Config, presets, TRAIN_FIELDS, VLM_FIELDS } from "../model/config.ts";
import { applySettings } from "../model/config_file.ts";
import { didYouMean, type Field } from "../model/fields.ts";
import type { MemoryRequest } from "../model/plan_choice.ts";
import type { SavedRun } from "../model/trainer_state.ts";
import { checkpointFolder, tokenizerOf } from "./checkpoints.ts";
import { type Arguments, UsageError } from "./flags.ts";
import { memoryRequest } from "./memory_flags.ts";
import { memoryAsBefore, runToResume } from "./resume_flags.ts";
import { newRunFolder } from "./run_folders.ts";
import { flagSettings, PRESETS, type TRAIN_FLAGS } from "./train_flags.ts";

export { TRAIN_FLAGS } from "./train_flags.ts";

/** What to train, and where to put it. */
export interface TrainingRequest {
  /** Of the model and of the training. */
  readonly config: Config;
  /** The model's folder to go on from; absent for a new model. */
  readonly checkpoint: string | undefined;
  /** The output folder. */
  readonly out: string;
  /** How to do with the memory that there is. */
  readonly memory: MemoryRequest;
  /** How to reach the Hub, and who is told what comes from there. */
  readonly hub?: HubOptions;
  /** The run to go on with, in folder `out`; absent for a new one. */
  readonly resume?: SavedRun;
  /** Whether to go on with a run that will not be the same one, or to replace the one that is in the folder. */
  readonly force?: boolean;
  /** Checkpoints to keep; 2 when absent. */
  readonly keep?: number;
  /** The step in which to look at all tensors for numbers that are not finite, or all steps; none when absent. */
  readonly checked?: number | "all";
  /** Keys that were not set, so that the data or the number of steps decide; none when absent. */
  readonly open?: readonly ("lm_max_length" | "batch_size" | "eval_interval")[];
  /** Whether to take the fastest kernels measured on the device; fixed ones when absent. */
  readonly tuned?: boolean;
}

/**
 * The configurations that the flags ask for.
 *
 * @throws {UsageError} where flags contradict each other or a setting is wrong
 * @throws {TypeError} {RangeError} {SyntaxError} where a configuration file is wrong
 * @throws {Error} where a file is missing
 */
export async function trainingRequest(
  args: Arguments<typeof TRAIN_FLAGS>,
  hub: HubOptions = {},
): Promise<TrainingRequest> {
  if (args.has("epochs") && args.has("max-steps")) {
    throw new UsageError("Cannot use both --epochs and --max-steps, expected one of them");
  }
  const preset = PRESETS.find((name) => name === args.text("preset")) ?? "quickstart";
  const file = args.text("config");
  const changes = [...fileSettings(file), ...args.texts("set"), ...flagSettings(args)];
  const keep = args.number("keep");
  const rest = {
    hub,
    memory: memoryRequest(args),
    tuned: !args.has("no-tune"),
    force: args.has("force"),
    ...(keep === undefined ? {} : { keep }),
    ...(args.has("detect-anomaly") ? { checked: "all" as const } : {}),
  };
  const resume = runToResume(args, args.text("out"), args.text("preset"));
  if (resume) return resumed(resume, args, { changes, file, rest });
  const changed = settle(presets[preset], changes, file);
  const { resume_from_vlm_checkpoint: resumes } = changed.train;
  const path = changed.vlm.vlm_checkpoint_path;
  const from = initFrom(args) ?? (resumes ? path : undefined);
  const checkpoint = from === undefined ? undefined : await checkpointFolder(from, hub);
  const isOwnPath = !resumes && path !== presets[preset].vlm.vlm_checkpoint_path;
  const out = args.text("out") ?? (isOwnPath ? path : newRunFolder(preset));
  const base = checkpoint === undefined ? presets[preset] : {
    vlm: checkpointConfig(checkpoint),
    train: presets[preset].train,
  };
  const vocabulary = checkpoint === undefined ? await vocabularySettings(changed, changes) : [];
  const config = settle(base, [...vocabulary, ...changes, `vlm_checkpoint_path=${out}`], file);
  requirePushTarget(args, config);
  return {
    config,
    checkpoint,
    out,
    ...rest,
    open: openKeys(config, preset, { changes, checkpoint }),
  };
}

/** Of a preset that trains from scratch, the keys that its data and steps decide, as long as these are not its own. */
function openKeys(
  { train }: Config,
  preset: typeof PRESETS[number],
  { changes, checkpoint }: { changes: readonly string[]; checkpoint: string | undefined },
): NonNullable<TrainingRequest["open"]> {
  const own = presets[preset];
  if (own.vlm.vlm_load_backbone_weights) return [];
  const isSet = (key: string) => changes.some((setting) => setting.startsWith(`${key}=`));
  const hasOwnData = train.train_dataset_path === own.train.train_dataset_path;
  const hasOwnSteps = train.max_training_steps === own.train.max_training_steps;
  const isLengthOpen = checkpoint === undefined && !hasOwnData && !isSet("lm_max_length");
  return [
    ...(isLengthOpen ? ["lm_max_length" as const] : []),
    ...(hasOwnData || isSet("batch_size") ? [] : ["batch_size" as const]),
    ...(hasOwnSteps || isSet("eval_interval") ? [] : ["eval_interval" as const]),
  ];
}

/** A run's own configuration, with what the flags change in it. */
function resumed(
  resume: SavedRun,
  args: Arguments<typeof TRAIN_FLAGS>,
  { changes, file, rest }: {
    changes: readonly string[];
    file: string | undefined;
    rest: Omit<TrainingRequest, "config" | "checkpoint" | "out">;
  },
): TrainingRequest {
  const { out, state } = resume;
  const config = settle(state.config, [...changes, `vlm_checkpoint_path=${out}`], file);
  requirePushTarget(args, config);
  const checkpoint = initFrom(args) ?? state.checkpoint ?? undefined;
  return { ...rest, config, checkpoint, out, resume, memory: memoryAsBefore(rest.memory, resume) };
}

/** @throws {UsageError} where something is to be private and nothing to be pushed */
function requirePushTarget(args: Arguments<typeof TRAIN_FLAGS>, { train }: Config): void {
  if (!args.has("private") || train.push_to !== null) return;
  throw new UsageError(
    "Cannot use --private: nothing is pushed, expected --push-to owner/name too",
  );
}

/** The model that the user asks to go on from. @throws {UsageError} where two are asked for */
function initFrom(args: Arguments<typeof TRAIN_FLAGS>): string | undefined {
  if (args.has("init-from") && args.has("checkpoint")) {
    throw new UsageError("Cannot use both --init-from and --checkpoint, expected one of them");
  }
  return args.text("init-from") ?? args.text("checkpoint");
}

/** `config` changed by settings, which the user wrote. */
function settle(config: Config, settings: readonly string[], file: string | undefined): Config {
  try {
    return applySettings(config, settings);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new UsageError(file === undefined ? reason : `${reason} (flags and "${file}")`, {
      cause: error,
    });
  }
}

function checkpointConfig(dir: string): Config["vlm"] {
  using checkpoint = openCheckpoint(dir);
  const { config } = checkpoint;
  // Where the folder has no tokenizer of its own the name stays, and a flag may replace it.
  return statOf(`${dir}/tokenizer.json`)
    ? { ...config, lm_tokenizer: tokenizerOf(dir, config) }
    : config;
}

/** A new model's vocabulary is the tokenizer's, where the user chose one and no size. */
async function vocabularySettings(
  { vlm }: Config,
  settings: readonly string[],
): Promise<string[]> {
  const isSet = (key: string) => settings.some((setting) => setting.startsWith(`${key}=`));
  if (vlm.vlm_load_backbone_weights || !isSet("lm_tokenizer")) return [];
  if (isSet("lm_vocab_size") && isSet("lm_eos_token_id")) return [];
  const { vocabSize, eosTokenId } = await tokenizerFor(vlm.lm_tokenizer);
  return [`lm_vocab_size=${vocabSize}`, `lm_eos_token_id=${eosTokenId}`];
}

/** All settings as --config takes them, without those that the data or the number of steps decide. */
export function configJson({ config: { vlm, train }, open = [] }: TrainingRequest): string {
  const keys = Object.entries({ ...vlm, ...train }).filter(([key]) => !open.some((o) => o === key));
  return JSON.stringify(Object.fromEntries(keys), null, 2);
}

/** The keys of a JSON file, checked, as settings. */
function fileSettings(path: string | undefined): string[] {
  if (path === undefined) return [];
  if (!statOf(path)?.isFile) {
    throw new Error(`Cannot read the configuration "${path}": no such file, expected a JSON file`);
  }
  const json = readJson(path);
  if (typeof json !== "object" || json === null || Array.isArray(json)) {
    throw new TypeError(
      `Cannot read the configuration "${path}": ${JSON.stringify(json)}, expected an object`,
    );
  }
  const fields: Record<string, Field<unknown>> = { ...VLM_FIELDS, ...TRAIN_FIELDS };
  return Object.entries(json).map(([key, value]) => {
    const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
    if (field) return `${key}=${settingText(field.check(value, `use "${key}" of "${path}"`))}`;
    throw new TypeError(
      `Cannot use "${key}" of "${path}": there is no such key${
        didYouMean(key, Object.keys(fields))
      }, expected one of the model or of the training; docs/settings.md has them all`,
    );
  });
}

/** A value as `--set` takes it; texts in a list may have commas. */
function settingText(value: unknown): string {
  const isTexts = Array.isArray(value) && typeof value[0] === "string";
  return isTexts ? JSON.stringify(value) : String(value);
}
