/**
 * Publishes a model on the Hugging Face Hub, with a model card made from its run. `--help` shows the command's flags.
 *
 * Last stop of a trained model: checkpoint, card and curves become one commit, which `generate.ts --checkpoint owner/name`
 * and PyTorch's nanoVLM read. Source: push_to_hub() of nanoVLM v0.1, models/vision_language_model.py.
 */
import { checkpointFolder, tokenizerOf } from "./commands/checkpoints.ts";
import { type Command, runCommand } from "./commands/command.ts";
import { type Arguments, type Flags, UsageError } from "./commands/flags.ts";
import { HubError, type HubOptions, parseRepositoryName } from "./data/hub.ts";
import { type HubSettings, hubSettings } from "./data/hub/environment.ts";
import { type UploadFile, uploadFiles, type UploadProgress } from "./data/hub/upload.ts";
import { requireWriteAccess } from "./data/hub/write_access.ts";
import { statOf } from "./data/pretrained.ts";
import { denoCommand, printLine } from "./data/terminal.ts";
import type { TrainConfig, VLMConfig } from "./model/config.ts";
import { parseVLMConfig } from "./model/config_file.ts";
import { portableModel } from "./model/portable.ts";
import { curvesSvg } from "./runs/curves.ts";
import { Display } from "./runs/display.ts";
import { METRICS_FILE } from "./runs/metrics.ts";
import { modelCard, publicName } from "./runs/model_card.ts";
import { clock, shellWord } from "./runs/report.ts";
import { historyOf, readHistory } from "./runs/run_history.ts";
import { sizeText } from "./runs/survey_text.ts";

/** How to publish; what is absent comes from the environment, as for downloads. */
export interface PushOptions extends Pick<HubOptions, "endpoint" | "token" | "retry"> {
  /** Whether a new repository is private, and an old one must be; public by default. */
  isPrivate?: boolean;
  /** The commit's title. */
  message?: string;
  /** The Hub's name of a licence; "apache-2.0" by default, as of SigLIP and SmolLM2. */
  license?: string;
  /** Called about ten times a second. */
  onProgress?: (progress: UploadProgress) => void;
}

/** What was published. */
export interface PushReport {
  /** The repository's page. */
  readonly url: string;
  /** 40 hexadecimal digits. */
  readonly commit: string;
  /** Everything in the commit. */
  readonly files: readonly { readonly path: string; readonly bytes: number }[];
}

const MESSAGE = "Upload a model of nanoVLM for WebGPU";
const CURVES = "curves.svg";
const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"];

/**
 * Publishes the model in a folder: its files, its tokenizer's, a model card, and the curves of its run.
 *
 * config.json and the weights are such that PyTorch's nanoVLM v0.1 loads them unchanged, see portableModel().
 *
 * @param folder a checkpoint, with the metrics.jsonl of its run if there is one
 * @param name the repository, "owner/name"; made if it is not there
 * @throws {HubError} where the name cannot be one, there is no good token, or the Hub refuses or cannot be reached
 * @throws {CheckpointError} {SyntaxError} {TypeError} {RangeError} where a file is damaged
 * @throws {Error} where a file is missing
 *
 * @example
 * ```ts
 * import { pushToHub } from "@nanovlm/webgpu";
 *
 * const { url } = await pushToHub("checkpoints/quickstart", "me/my-first-vlm", { isPrivate: true });
 * console.log(url);
 * ```
 */
export async function pushToHub(
  folder: string,
  name: string,
  options: PushOptions = {},
): Promise<PushReport> {
  requireName(name);
  const { license = "apache-2.0", isPrivate = false, message = MESSAGE, onProgress } = options;
  const { endpoint, token, retry } = await settingsOf(options);
  const scratch = await Deno.makeTempDir();
  try {
    const files = await filesOf(folder, scratch, { name, license });
    const where = { endpoint, token, retry, isPrivate, message, onProgress };
    const { url, commit } = await uploadFiles(name, files, where);
    return { url, commit, files: files.map(({ path, bytes }) => ({ path, bytes })) };
  } finally {
    await Deno.remove(scratch, { recursive: true });
  }
}

/** Where a training run pushes its model; no name is nowhere. */
type PushSettings = Pick<TrainConfig, "push_to" | "push_private">;

/**
 * Checks, before a model is trained to be pushed, what can be known by then: the name, the token, and that it may write there.
 *
 * @throws {HubError} where pushToHub() would fail
 */
export async function requirePushAccess(
  { push_to: name, push_private: isPrivate }: PushSettings,
  hub: HubOptions = {},
): Promise<void> {
  if (name === null) return;
  requireName(name);
  await requireWriteAccess(name, { ...await settingsOf(hub), isPrivate });
}

/** What came of pushing a trained model. */
export interface Pushed {
  /** The repository's page; null where pushing was not asked for, or failed. */
  readonly pushed: string | null;
  /** Why it failed, and how to push by hand; null where it did not. */
  readonly push_error: string | null;
}

/** Pushes a trained model where that is asked for; a failure is told, not thrown, so that nothing else is lost by it. */
export async function pushTrained(
  folder: string,
  { push_to: name, push_private: isPrivate }: PushSettings,
  { hub = {}, display }: { hub?: HubOptions; display: Pick<Display, "print"> },
): Promise<Pushed> {
  if (name === null) return { pushed: null, push_error: null };
  display.print(`Pushing the best model to ${name}`);
  try {
    const { onProgress: _, ...where } = hub;
    const { url } = await pushToHub(folder, name, { ...where, isPrivate });
    return { pushed: url, push_error: null };
  } catch (error) {
    const reason = error instanceof Error ? error.message.replace(/\.$/, "") : String(error);
    const flags = `--checkpoint ${shellWord(folder)} --to ${name}${isPrivate ? " --private" : ""}`;
    const advice = `the model is in "${folder}", push it with: ${
      denoCommand(`task push ${flags}`)
    }`;
    return { pushed: null, push_error: `${reason}; ${advice}` };
  }
}

function requireName(name: string): void {
  const parsed = parseRepositoryName(name);
  if (parsed !== undefined && parsed.revision === undefined) return;
  throw new HubError(
    `Cannot push to "${name}": found no name of a repository, expected owner/name`,
  );
}

/** @throws {HubError} where the network is not to be asked */
async function settingsOf(
  options: Pick<HubOptions, "endpoint" | "token" | "retry">,
): Promise<HubSettings> {
  const settings = await hubSettings({
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint }),
    ...(options.token === undefined ? {} : { token: options.token }),
    ...(options.retry === undefined ? {} : { retry: options.retry }),
  });
  if (!settings.isOffline) return settings;
  throw new HubError(
    "Cannot push: found HF_HUB_OFFLINE set, expected the Hub to be asked. Unset it",
  );
}

/** Everything to upload; what must be written first goes to `scratch`. */
async function filesOf(
  folder: string,
  scratch: string,
  { name, license }: { name: string; license: string },
): Promise<UploadFile[]> {
  await checkpointFolder(folder);
  let tokenizer: string | undefined;
  const { config, weights, trained } = await portableModel(folder, scratch, (own) => {
    tokenizer = tokenizerFolder(folder, own);
    return publicNames(own, name, tokenizer);
  });
  const run = statOf(`${folder}/${METRICS_FILE}`) ? readHistory(folder) : historyOf(folder, []);
  const curves = await curvesSvg(run);
  const card = modelCard({
    name,
    config: {
      ...parseVLMConfig(JSON.parse(config), "to publish"),
      image_fit: trained.image_fit,
      image_alpha: trained.image_alpha,
    },
    run,
    license,
    curves: curves && CURVES,
    isLocal: (name) => statOf(name) !== undefined,
  });
  const folders = tokenizer === undefined ? [] : [tokenizer];
  return [
    textFile("README.md", card),
    textFile("config.json", config),
    diskFile("model.safetensors", weights),
    ...folders.flatMap((dir) => TOKENIZER_FILES.map((file) => diskFile(file, `${dir}/${file}`))),
    ...(curves === undefined ? [] : [textFile(CURVES, curves)]),
  ];
}

/** Where the tokenizer's files are; undefined where the Hub has them under their own name, or there are none. */
function tokenizerFolder(folder: string, config: VLMConfig): string | undefined {
  const { lm_tokenizer: name } = config;
  const isOnHub = parseRepositoryName(name) !== undefined && statOf(name) === undefined;
  if (isOnHub && statOf(`${folder}/tokenizer.json`) === undefined) return undefined;
  const found = tokenizerOf(folder, config);
  if (found === "bytes") return undefined;
  if (statOf(`${found}/tokenizer.json`)) return found;
  throw new Error(
    `Cannot find the tokenizer "${found}" of "${folder}": no such folder, expected tokenizer.json and ` +
      `tokenizer_config.json there; copy them into "${folder}"`,
  );
}

/** What names a folder on this machine names the repository instead, or says no more than its last part. */
function publicNames(
  config: VLMConfig,
  name: string,
  tokenizer: string | undefined,
): Partial<VLMConfig> {
  return {
    vit_model_type: publicName(config.vit_model_type),
    lm_model_type: publicName(config.lm_model_type),
    vlm_checkpoint_path: publicName(config.vlm_checkpoint_path),
    ...(tokenizer === undefined ? {} : { lm_tokenizer: name }),
  };
}

function textFile(path: string, text: string): UploadFile {
  const content = new Blob([text]);
  return { path, content, bytes: content.size };
}

function diskFile(path: string, source: string): UploadFile {
  const real = Deno.realPathSync(source);
  const url = new URL("file:///");
  url.pathname = real.replaceAll("\\", "/").replaceAll("%", "%25");
  return { path, content: url, bytes: Deno.statSync(real).size };
}

const FLAGS = {
  "checkpoint": { value: "DIR", help: "the model's folder, as training left it; must be given" },
  "to": {
    value: "owner/name",
    help: "the repository, which is made if it is not there; must be given",
  },
  "private": { help: "make it private; one that is there must be private already" },
  "message": { value: "M", help: `the commit's title (default: "${MESSAGE}")` },
  "license": { value: "ID", help: "the Hub's name of the model's licence (default: apache-2.0)" },
  "json": { help: "print one JSON document" },
} as const satisfies Flags;

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno task push",
  summary: "Publishes a model on the Hugging Face Hub, with a model card made from its run.\n" +
    "The token is taken from HF_TOKEN, or from where `hf auth login` has left it.",
  positionals: [],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const [dir, name] = [args.text("checkpoint"), args.text("to")];
  if (dir === undefined || name === undefined) {
    throw new UsageError("Cannot push: expected both --checkpoint DIR and --to owner/name");
  }
  const isJson = args.has("json");
  const output = isJson ? Deno.stderr : Deno.stdout;
  const display = new Display(output);
  const [message, license] = [args.text("message"), args.text("license")];
  try {
    const report = await pushToHub(dir, name, {
      isPrivate: args.has("private"),
      ...(message === undefined ? {} : { message }),
      ...(license === undefined ? {} : { license }),
      ...(output.isTerminal() ? { onProgress: (at) => display.update(progressLine(at)) } : {}),
    });
    display.clear();
    printLine(isJson ? JSON.stringify(report) : reportText(report, name));
  } finally {
    display.clear();
  }
}

function progressLine(progress: UploadProgress): string {
  const { phase, doneBytes, totalBytes, bytesPerSecond, secondsLeft } = progress;
  if (phase === "committing") return "committing";
  const left = Number.isFinite(secondsLeft) ? `, ${clock(secondsLeft)} left` : "";
  return `${phase} ${sizeText(doneBytes)} of ${sizeText(totalBytes)}, ${
    sizeText(bytesPerSecond)
  }/s${left}`;
}

function reportText({ url, commit, files }: PushReport, name: string): string {
  const bytes = files.reduce((sum, file) => sum + file.bytes, 0);
  return [
    ...files.map(({ path, bytes }) => `  ${path}  ${sizeText(bytes)}`),
    `Pushed ${files.length} files, ${sizeText(bytes)}, as commit ${commit.slice(0, 7)}: ${url}`,
    `Try it:\n  ${denoCommand(`run -A generate.ts --checkpoint ${name} image.png "question"`)}`,
  ].join("\n");
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
