/**
 * The folder of a pretrained model or tokenizer: one on this machine, or one of the Hugging Face Hub, brought into its cache.
 *
 * Between hub.ts and everything that reads a folder: tokenizer.ts, commands/checkpoints.ts, runs/weights.ts.
 */
import { HubError, type HubOptions, openRepository, parseRepositoryName } from "./hub.ts";
import type { Repository } from "./hub.ts";

/** What to find in a folder: nanoVLM's checkpoint, a backbone of transformers, or a tokenizer. */
export type PretrainedKind = "checkpoint" | "backbone" | "tokenizer";

/** Which revision, and how to reach the Hub. */
export interface PretrainedOptions extends HubOptions {
  /** A branch, tag or commit; "main" where neither this nor the name says so. */
  revision?: string;
}

const TOKENIZER_FILES = ["tokenizer.json", "tokenizer_config.json"];
/** Files of a kind that must be there, and that are taken if they are. */
const FILES: Readonly<Record<PretrainedKind, { needed: string[]; optional: string[] }>> = {
  checkpoint: { needed: ["config.json", "model.safetensors"], optional: TOKENIZER_FILES },
  backbone: { needed: ["config.json"], optional: [] },
  tokenizer: { needed: TOKENIZER_FILES, optional: [] },
};

/** A file or a folder on this machine; undefined where there is none, or none can have that name. */
export function statOf(path: string): Deno.FileInfo | undefined {
  try {
    return Deno.statSync(path);
  } catch (error) {
    const isHidden = error instanceof Deno.errors.PermissionDenied ||
      error instanceof Deno.errors.NotCapable;
    if (isHidden) throw error;
    return undefined;
  }
}

/**
 * The folder that a name stands for: itself if it is on this machine, else the repository "owner/name" or
 * "owner/name@revision" of the Hub, whose files of that kind are downloaded where the cache has them not.
 *
 * @throws {Error} where it is neither
 * @throws {HubError} where the Hub cannot give it, or it holds something else
 */
export async function pretrainedFolder(
  name: string,
  kind: PretrainedKind,
  { revision, ...options }: PretrainedOptions = {},
): Promise<string> {
  if (statOf(name)) return name;
  const parsed = parseRepositoryName(name);
  if (parsed === undefined) {
    throw new Error(
      `Cannot open the ${kind} "${name}": no such folder, expected one on this machine, or a name on the Hugging Face Hub ` +
        `such as "owner/name"; check the path`,
    );
  }
  const chosen = revision ?? parsed.revision;
  const wanted = { kind: "model" as const, name: parsed.name };
  try {
    const repository = await openRepository(
      chosen === undefined ? wanted : { ...wanted, revision: chosen },
      options,
    );
    return await repository.download(await filesOf(repository, kind));
  } catch (error) {
    if (!(error instanceof HubError)) throw error;
    const message = `${error.message}; there is no folder "${name}" on this machine either`;
    const { status } = error;
    throw new HubError(message, { cause: error, ...(status === undefined ? {} : { status }) });
  }
}

async function filesOf(repository: Repository, kind: PretrainedKind): Promise<string[]> {
  const { needed, optional } = FILES[kind];
  const weights = kind === "backbone" ? await weightFiles(repository) : [];
  const missing = needed.filter((path) => !has(repository, path));
  if (missing.length > 0) throw lacking(repository, kind, missing);
  return [...needed, ...optional.filter((path) => has(repository, path)), ...weights];
}

function has({ files }: Repository, path: string): boolean {
  return files.some((file) => file.path === path);
}

const INDEX = "model.safetensors.index.json";

/** The safetensors files of a model of transformers: one, or several and their index. */
async function weightFiles(repository: Repository): Promise<string[]> {
  if (!has(repository, INDEX)) {
    if (has(repository, "model.safetensors")) return ["model.safetensors"];
    throw lacking(repository, "backbone", ["model.safetensors"]);
  }
  const folder = await repository.download([INDEX]);
  const names = shardsOf(await Deno.readTextFile(`${folder}/${INDEX}`));
  if (names !== undefined) return [INDEX, ...names];
  throw new HubError(
    `Cannot use "${repository.name}" as a backbone: found no names of files in its ${INDEX}, expected "weight_map"; choose ` +
      `another repository`,
  );
}

/** The files that an index names; undefined where it is no index. */
function shardsOf(text: string): Set<string> | undefined {
  try {
    const { weight_map: map } = JSON.parse(text);
    const names = Object.values(map);
    return names.every((name) => typeof name === "string") ? new Set(names) : undefined;
  } catch {
    return undefined; // no JSON, or none with such an object in it
  }
}

function lacking({ name, files }: Repository, kind: PretrainedKind, missing: string[]): HubError {
  const found = files.map(({ path }) => path);
  const more = found.length > 8 ? ` and ${found.length - 8} more` : "";
  return new HubError(
    `Cannot use "${name}" as ${kind === "backbone" ? "a backbone" : `a ${kind}`}: found ${
      found.length === 0 ? "no files" : `"${found.slice(0, 8).join('", "')}"${more}`
    }, expected ${missing.join(" and ")} as well; choose another repository`,
  );
}
