/**
 * Model folders on a command line: which one, whether it is whole, and the tokenizer that belongs to it.
 *
 * Between the flags of eval.ts, generate.ts and train.ts and model/checkpoint.ts. Ours.
 */
import { type Tokenizer, tokenizerFor } from "../data/tokenizer.ts";
import type { VLMConfig } from "../model/config.ts";

/** Where training puts models unless told otherwise. */
export const MODELS_FOLDER = "checkpoints";
const MODEL_FILES = ["config.json", "model.safetensors"] as const;
const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"] as const;

/** What stands at `path`, if anything that can be looked at does. */
export function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory;
    if (isAbsent) return undefined;
    throw error;
  }
}

function missingFiles(dir: string, names: readonly string[]): string[] {
  return names.filter((name) => !statOf(`${dir}/${name}`)?.isFile);
}

/**
 * `dir` itself, if both files of a model are in it.
 *
 * @throws {Error} where one is missing
 */
export function requireCheckpoint(dir: string): string {
  const missing = missingFiles(dir, MODEL_FILES);
  if (missing.length === 0) return dir;
  const found = statOf(dir) ? `there is no ${missing.join(" and no ")} in it` : "no such folder";
  throw new Error(
    `Cannot open the checkpoint "${dir}": ${found}, expected a folder with ${
      MODEL_FILES.join(" and ")
    }; train a model with: deno task train`,
  );
}

/**
 * The folder of the newest model under `checkpoints/`.
 *
 * @throws {Error} where there is none
 */
export function newestCheckpoint(): string {
  const entries = statOf(MODELS_FOLDER)?.isDirectory ? [...Deno.readDirSync(MODELS_FOLDER)] : [];
  const models = entries
    .map(({ name }) => `${MODELS_FOLDER}/${name}`)
    .filter((dir) => missingFiles(dir, MODEL_FILES).length === 0)
    .map((dir) => ({ dir, saved: statOf(`${dir}/model.safetensors`)?.mtime?.getTime() ?? 0 }))
    .sort((a, b) => b.saved - a.saved);
  const [newest] = models;
  if (newest) return newest.dir;
  throw new Error(
    `Cannot find a model: there is none under "${MODELS_FOLDER}/", expected a trained one; ` +
      `train one with: deno task train, or give --checkpoint DIR`,
  );
}

/**
 * The tokenizer's name or folder for the model in folder `dir`: "bytes" where it says so, else the folder itself, else what
 * its configuration names.
 *
 * @throws {Error} where there is none
 */
export function tokenizerOf(dir: string, { lm_tokenizer: name }: VLMConfig): string {
  const isInFolder = name !== "bytes" && missingFiles(dir, TOKENIZER_FILES).length === 0;
  return isInFolder ? dir : localTokenizer(name);
}

/**
 * `name` itself, if it is "bytes" or a folder.
 *
 * @throws {Error} where it is neither
 */
export function localTokenizer(name: string): string {
  if (name === "bytes" || statOf(name)?.isDirectory) return name;
  throw new Error(
    `Cannot find the tokenizer "${name}": no such folder, expected a local one with ${
      TOKENIZER_FILES.join(" and ")
    }, since names on the Hugging Face Hub are not supported yet; give --tokenizer DIR`,
  );
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

/** Copies the tokenizer's files into `dir`, so that the model there needs nothing else. */
export async function copyTokenizer(name: string, dir: string): Promise<void> {
  if (name === "bytes" || await Deno.realPath(name) === await Deno.realPath(dir)) return;
  for (const file of TOKENIZER_FILES) {
    // Not copyFile(): it copies a write protection too, which the next run would meet.
    await Deno.writeFile(`${dir}/${file}`, await Deno.readFile(`${name}/${file}`));
  }
}
