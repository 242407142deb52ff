/**
 * Datasets on this machine: a file, a folder of files, a folder that `datasets.save_to_disk` wrote,
 * or a pattern. Between dataset_spec.ts and datasets.ts.
 *
 * Source: the `datasets` library, Dataset.save_to_disk() and DatasetDict.save_to_disk().
 */
import { globSync } from "node:fs";
import { localFile } from "./local_file.ts";
import type { FileSource } from "./sources.ts";
import { divideFiles, type FileKind, kindOf, KNOWN_ENDINGS, KNOWN_KINDS } from "./split_files.ts";
import { type PartName, partOf, type SplitFiles } from "./split_files.ts";

/** What save_to_disk() leaves beside the data. */
const DICT_FILE = "dataset_dict.json";
const STATE_FILE = "state.json";
/** Beside pictures, the file that tells of them. */
const METADATA_FILE = /^metadata\.(jsonl|ndjson|json|csv|tsv|parquet)$/;

function source(name: string, kind: FileKind, splits: SplitFiles): FileSource {
  return { name, kind, splits, files: (paths) => Promise.resolve(paths.map(localFile)) };
}

async function namesIn(folder: string): Promise<{ files: string[]; folders: string[] }> {
  const files: string[] = [];
  const folders: string[] = [];
  for await (const { name, isDirectory } of Deno.readDir(folder)) {
    (isDirectory ? folders : files).push(name);
  }
  return { files: files.sort(), folders: folders.sort() };
}

async function readObject(path: string): Promise<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(await Deno.readTextFile(path));
    if (typeof value === "object" && value !== null) return value as Record<string, unknown>;
  } catch (cause) {
    throw new SyntaxError(`Cannot read "${path}": found no JSON, expected what datasets wrote`, {
      cause,
    });
  }
  throw new SyntaxError(`Cannot read "${path}": found no object, expected what datasets wrote`);
}

/** The data files that save_to_disk() lists, in order. */
async function savedFiles(folder: string): Promise<string[]> {
  const { _data_files: listed } = await readObject(`${folder}/${STATE_FILE}`);
  return (Array.isArray(listed) ? listed : []).map((entry: unknown) => {
    const name = typeof entry === "object" && entry !== null && "filename" in entry
      ? entry.filename
      : undefined;
    if (typeof name === "string" && !/[/\\]/.test(name)) return `${folder}/${name}`;
    throw new SyntaxError(
      `Cannot read "${folder}/${STATE_FILE}": found a data file ${
        JSON.stringify(name)
      }, expected ` +
        `a file in that folder`,
    );
  });
}

/** A folder of several saved datasets, each of them a part. */
async function savedParts(folder: string): Promise<SplitFiles> {
  const { splits } = await readObject(`${folder}/${DICT_FILE}`);
  const parts: Partial<Record<PartName, string[]>> = {};
  for (const name of Array.isArray(splits) ? splits : []) {
    const part = partOf(String(name));
    if (part) parts[part] = await savedFiles(`${folder}/${name}`);
  }
  return parts;
}

function several(name: string, kinds: readonly FileKind[]): Error {
  return new Error(
    `Cannot open dataset "${name}": found ${kinds.join(" and ")} files, expected one kind. Name ` +
      `them by a pattern, such as "${name}/*.parquet".`,
  );
}

/** How much of the paths is a folder that all are in: it tells nothing about parts. */
function sharedFolder(paths: readonly string[]): number {
  const [first = ""] = paths;
  let length = first.length;
  while (length > 0 && !paths.every((path) => path.startsWith(first.slice(0, length)))) length--;
  return Math.max(first.lastIndexOf("/", length - 1), first.lastIndexOf("\\", length - 1)) + 1;
}

/** Files of one kind, or undefined where there is none that is known. */
function sourceOf(name: string, paths: readonly string[]): FileSource | undefined {
  const kinds = [...new Set(paths.flatMap((path) => kindOf(path) ?? []))];
  if (kinds.length > 1) throw several(name, kinds);
  const [kind] = kinds;
  const files = paths.filter((path) => kindOf(path) === kind);
  return kind && source(name, kind, divideFiles(files, sharedFolder(files)));
}

async function openFolder(folder: string): Promise<FileSource> {
  const { files, folders } = await namesIn(folder);
  if (files.includes(DICT_FILE)) return source(folder, "arrow", await savedParts(folder));
  if (files.includes(STATE_FILE)) {
    return source(folder, "arrow", { whole: await savedFiles(folder) });
  }
  const metadata = files.filter((name) => METADATA_FILE.test(name));
  const chosen = metadata.length > 0 ? metadata : files;
  const found = sourceOf(folder, chosen.map((name) => `${folder}/${name}`));
  if (found) return found;
  const inside = folders.length === 0 ? "" : ` in it, but folders "${folders.join(", ")}"`;
  throw new Error(
    `Cannot open dataset "${folder}": found no ${KNOWN_KINDS} files${inside}, expected some. Check the path` +
      (folders.length === 0 ? "." : `, or name a folder in it: "${folder}:${folders[0]}".`),
  );
}

/**
 * Finds the files of a file or folder.
 *
 * @throws {Error} when there are none that can be read
 * @throws {SyntaxError} when what save_to_disk() wrote is damaged
 */
export async function openPath(path: string): Promise<FileSource> {
  if ((await Deno.stat(path)).isDirectory) return await openFolder(path.replace(/(?<=.)\/+$/, ""));
  const kind = kindOf(path);
  if (kind) return source(path, kind, { whole: [path] });
  throw new Error(
    `Cannot open dataset "${path}": found a file of an unknown kind, expected one of ` +
      `${KNOWN_ENDINGS}. Convert or rename it.`,
  );
}

/**
 * Finds files by a pattern with `*`, `**`, `?` or brackets.
 *
 * @throws {Error} when there are none that can be read
 */
export function openGlob(pattern: string): FileSource {
  const found = sourceOf(pattern, globSync(pattern));
  if (!found) {
    throw new Error(
      `Cannot open dataset "${pattern}": found no files, expected some that fit and end with one ` +
        `of ${KNOWN_ENDINGS}. Check the pattern.`,
    );
  }
  // Files of one part alone are what was meant, whatever part is asked for.
  const parts = Object.values(found.splits);
  return parts.length > 1 ? found : source(pattern, found.kind, { whole: parts.flat() });
}

/**
 * Opens what is in a folder by name, as a clone of a Hub dataset has it; "all" is every subfolder.
 *
 * @throws {Error} when one is missing or holds no files that can be read
 */
export async function openFolders(path: string, configs: readonly string[]): Promise<FileSource[]> {
  const { files, folders } = await namesIn(path);
  const known = folders.filter((name) => !name.startsWith("."));
  const chosen = configs.flatMap((name) => name === "all" && !known.includes(name) ? known : name);
  const missing = chosen.find((name) => ![...known, ...files].includes(name));
  if (missing !== undefined) {
    throw new Error(
      `Cannot open dataset "${path}:${missing}": found no such folder in it, expected one of "${
        known.join(", ")
      }". Check the name.`,
    );
  }
  return await Promise.all(chosen.map((name) => openPath(`${path}/${name}`)));
}
