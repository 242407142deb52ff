/**
 * Models on a command line, by folder or by name on the Hub: which one, whether it is whole, and the tokenizer that
 * belongs to it.
 *
 * Between the flags of eval.ts, generate.ts and train.ts and model/checkpoint.ts. Ours.
 */
import { pretrainedFolder, type PretrainedOptions, statOf } from "../data/pretrained.ts";
import { denoCommand } from "../data/terminal.ts";
import { type Tokenizer, tokenizerFor } from "../data/tokenizer.ts";
import type { VLMConfig } from "../model/config.ts";
import { LATEST } from "../model/trainer_state.ts";
import { type ModelOptions, VisionLanguageModel } from "../model/vision_language_model.ts";
import type { Device } from "../shaders/runtime/device.ts";

/** What generate.ts answers with where nothing was trained yet: the model that nanoVLM published. */
export const PUBLISHED_MODEL = "lusxvr/nanoVLM-222M";

/** Where training puts models unless told otherwise. */
export const MODELS_FOLDER = "checkpoints";
/** What makes a folder a model. */
export const MODEL_FILES = ["config.json", "model.safetensors"] as const;
const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"] as const;

/** Which of `names` are no files in `dir`. */
export function missingFiles(dir: string, names: readonly string[]): string[] {
  return names.filter((name) => !statOf(`${dir}/${name}`)?.isFile);
}

/**
 * The folder of a model: `name` itself, or the cache's where it is a name on the Hub, with both files of a model in it.
 *
 * @throws {Error} where one is missing
 * @throws {HubError} where the Hub cannot give it
 */
export async function checkpointFolder(
  name: string,
  options: PretrainedOptions = {},
): Promise<string> {
  const isPath = !name.includes("/") || /^[./]/.test(name) || name.startsWith(`${MODELS_FOLDER}/`);
  const dir = statOf(name) || isPath ? name : await pretrainedFolder(name, "checkpoint", options);
  const missing = missingFiles(dir, MODEL_FILES);
  if (missing.length === 0) return dir;
  const found = statOf(dir) ? `there is no ${missing.join(" and no ")} in it` : "no such folder";
  const step = statOf(`${dir}/${LATEST}`) && Deno.readTextFileSync(`${dir}/${LATEST}`).trim();
  throw new Error(
    `Cannot open the checkpoint "${dir}": ${found}, expected a folder with ${
      MODEL_FILES.join(" and ")
    }, or "owner/name" on the Hugging Face Hub; ${
      step
        ? `its run was stopped before its first evaluation; its newest checkpoint is "${dir}/${step}"`
        : `train a model with: ${denoCommand("task train")}`
    }`,
  );
}

/** How to load a model, which revision of it, and how to reach the Hub. */
export interface FromPretrainedOptions extends ModelOptions, PretrainedOptions {}

/**
 * Loads a model: a folder that nanoVLM or `savePretrained` wrote, or "owner/name" on the Hub.
 *
 * @example
 * ```ts
 * import { Device, fromPretrained } from "@nanovlm/webgpu";
 *
 * using device = await Device.open();
 * using model = await fromPretrained(device, "checkpoints/quickstart"); // or "owner/name@revision" on the Hub
 * console.log(model.store.count);
 * ```
 *
 * @throws {HubError} where the Hub cannot give it
 * @throws {CheckpointError} {TypeError} {RangeError} {SyntaxError} where a file is wrong
 * @throws {DeviceError} where the device cannot hold it
 */
export async function fromPretrained(
  device: Device,
  name: string,
  options: FromPretrainedOptions = {},
): Promise<VisionLanguageModel> {
  const dir = await checkpointFolder(name, options);
  return await VisionLanguageModel.fromPretrained(device, dir, options);
}

/**
 * The tokenizer's name or folder for the model in folder `dir`: "bytes" where it says so, else the folder itself if the
 * files are in it, else what its configuration names.
 */
export function tokenizerOf(dir: string, { lm_tokenizer: name }: VLMConfig): string {
  const isInFolder = name !== "bytes" && missingFiles(dir, TOKENIZER_FILES).length === 0;
  return isInFolder ? dir : name;
}

/**
 * `name` itself if it is "bytes" or a folder, else the cache's folder of the tokenizer of that name on the Hub.
 *
 * @throws {Error} where there is no such folder
 * @throws {HubError} where the Hub cannot give it
 */
export async function tokenizerFolder(name: string): Promise<string> {
  return name === "bytes" ? name : await pretrainedFolder(name, "tokenizer");
}

/**
 * Loads a tokenizer that fits the model.
 *
 * @throws {RangeError} where it has tokens that the model does not know
 * @throws {Error} {SyntaxError} where files are missing or damaged
 */
export async function openTokenizer(name: string, config: VLMConfig): Promise<Tokenizer> {
  const tokenizer = await tokenizerFor(name);
  if (tokenizer.vocabSize <= config.lm_vocab_size) return tokenizer;
  throw new RangeError(
    `Cannot use the tokenizer "${name}": it has ${tokenizer.vocabSize} tokens, expected at most lm_vocab_size, ` +
      `${config.lm_vocab_size}; it belongs to another model`,
  );
}

/** Copies the tokenizer's files from folder `name` into `dir`, so that the model there needs nothing else. */
export async function copyTokenizer(name: string, dir: string): Promise<void> {
  if (name === "bytes" || await Deno.realPath(name) === await Deno.realPath(dir)) return;
  for (const file of TOKENIZER_FILES) {
    // Not copyFile(): it copies a write protection too, which the next run would meet.
    await Deno.writeFile(`${dir}/${file}`, await Deno.readFile(`${name}/${file}`));
  }
}
