/**
 * Datasets on this machine: a file, a folder of files, a folder that `datasets.save_to_disk` wrote,
 * or a pattern. Between dataset_spec.ts and datasets.ts. Ours.
 */
import { dirname, posix } from "node:path";
import picomatch from "picomatch";
import { cardConfigs, chooseConfigs, readCard } from "./card_configs.ts";
import { localFile } from "./local_file.ts";
import { savedSplits } from "./saved_dataset.ts";
import type { FileSource } from "./sources.ts";
import {
  divideFiles,
  dividePictures,
  type FileKind,
  isPicture,
  kindOf,
  KNOWN_ENDINGS,
  KNOWN_KINDS,
  partOf,
  type SplitFiles,
} from "./split_files.ts";

const CARD_FILE = "README.md";
/** Beside pictures, the file that tells of them. */
const METADATA_FILE = /(^|\/)metadata\.(jsonl|ndjson|json|csv|tsv|parquet)$/;

/** How the name of a file begins that every training leaves in its folder, for TensorBoard. */
const RUN_MARK = "events.out.tfevents.";
/** What it leaves besides, where its folder is the data's. */
const OF_A_RUN = /^((metrics|bad_rows)\.jsonl|examples?(\.png)?|step-\d+)$/;

/** More files than this are no dataset's. */
const MOST_FILES = 2_000_000;
/** Folders in folders that are looked into; links can lead around in a ring. */
const DEEPEST = 12;

/** @param folder holds all that the files name */
function source(name: string, folder: string, kind: FileKind, splits: SplitFiles): FileSource {
  return { name, folder, kind, splits, files: (paths) => Promise.resolve(paths.map(localFile)) };
}

/** Whether a name is hidden, or what macOS leaves in archives. */
function isHidden(name: string): boolean {
  return name.startsWith(".") || name === "__MACOSX";
}

/**
 * The paths of all files in a folder, with "/" between folders; hidden ones and what training left
 * are left out.
 */
async function filesIn(folder: string, depth: number = 0): Promise<string[]> {
  const files: string[] = [];
  const entries = await Array.fromAsync(Deno.readDir(folder));
  const isRun = entries.some(({ name }) => name.startsWith(RUN_MARK));
  if (isRun && depth > 0) return [];
  for (const { name, isDirectory, isSymlink } of entries) {
    if (isHidden(name) || isRun && OF_A_RUN.test(name)) continue;
    const linked = isSymlink ? await Deno.stat(`${folder}/${name}`).catch(() => undefined) : {};
    if (linked === undefined) continue; // a link to nothing
    if (!(isDirectory || "isDirectory" in linked && linked.isDirectory)) files.push(name);
    else if (depth < DEEPEST) {
      for (const path of await filesIn(`${folder}/${name}`, depth + 1)) {
        files.push(`${name}/${path}`);
      }
    }
    if (files.length > MOST_FILES) {
      throw new RangeError(
        `Cannot open dataset "${folder}": found more than ${MOST_FILES} files, expected a dataset. ` +
          `Name the folder that holds it.`,
      );
    }
  }
  return files.sort();
}

function several(name: string, kinds: readonly FileKind[]): Error {
  return new Error(
    `Cannot open dataset "${name}": found ${kinds.join(" and ")} files, expected one kind. Name ` +
      `them by a pattern, such as "${name}/*.parquet".`,
  );
}

/** The folder that all paths are in, with "/" at its end, or "". */
function sharedFolder(paths: readonly string[]): string {
  const [first = ""] = paths;
  let length = first.length;
  while (length > 0 && !paths.every((path) => path.startsWith(first.slice(0, length)))) length--;
  return first.slice(0, first.lastIndexOf("/", length - 1) + 1);
}

/** The paths of files in a folder from where the folder's own path begins. */
function within(folder: string, splits: SplitFiles): SplitFiles {
  return Object.fromEntries(
    Object.entries(splits).map(([part, its]) => [part, its.map((path) => `${folder}/${path}`)]),
  );
}

/** Files in a folder as a source: data of one kind, or else pictures in folders of their classes. */
function sourceOf(name: string, folder: string, paths: readonly string[]): FileSource | undefined {
  const kindsOf = (some: readonly string[]) => new Set(some.flatMap((path) => kindOf(path) ?? []));
  const mixed = kindsOf(paths);
  // A .json file beside others often tells of them.
  const kinds = mixed.size > 1 ? kindsOf(paths.filter((path) => !/\.json$/i.test(path))) : mixed;
  const [kind] = kinds;
  if (kinds.size > 1) throw several(name, [...kinds]);
  if (kind) {
    const files = paths.filter((path) => kindOf(path) === kind);
    const chosen = mixed === kinds ? files : files.filter((path) => !/\.json$/i.test(path));
    return source(name, folder, kind, within(folder, divideFiles(chosen)));
  }
  const pictures = paths.filter(isPicture);
  if (pictures.length === 0) return undefined;
  const divided = dividePictures(pictures);
  const { rest: _, ...parts } = divided;
  const classes = new Set(Object.values(parts).flat().map((path) => path.split("/").at(-2)));
  if (classes.size > 1) return source(name, folder, "pictures", within(folder, divided));
  throw new Error(
    `Cannot open dataset "${name}": found ${pictures.length} pictures and no words about them, ` +
      `expected "metadata.jsonl" with file_name, question and answer for each, or a folder for ` +
      `each class of pictures, called by what they show.`,
  );
}

function firstFolders(paths: readonly string[]): string[] {
  return [...new Set(paths.flatMap((path) => path.includes("/") ? path.split("/", 1) : []))];
}

/** The folders that are configurations of a dataset: not parts, nor "data". */
function configsOf(paths: readonly string[]): string[] {
  return firstFolders(paths).filter((name) => name !== "data" && !partOf(name));
}

async function openFolder(folder: string): Promise<FileSource> {
  const all = await filesIn(folder);
  const saved = await savedSplits(folder, all);
  if (saved) return source(folder, folder, "arrow", saved);
  const [listed] = await openCard(folder, all, []);
  if (listed) return listed;
  const data = all.filter((path) => kindOf(path));
  const metadata = data.filter((path) => METADATA_FILE.test(path));
  const beside = data.filter((path) => !path.includes("/"));
  const [chosen = all] = [metadata, beside, data].filter(({ length }) => length > 0);
  const configs = chosen === data ? configsOf(data) : [];
  if (configs.length > 1) {
    throw new Error(
      `Cannot open dataset "${folder}": found data in its folders "${
        configs.slice(0, 20).join(", ")
      }", expected one to be chosen. Write "${folder}:${configs[0]}", several behind commas, or ` +
        `"${folder}:all".`,
    );
  }
  const found = sourceOf(folder, folder, chosen);
  if (found) return found;
  throw new Error(
    `Cannot open dataset "${folder}": found no ${KNOWN_KINDS} files and no pictures` +
      `${
        all.length > 0 ? ` but "${all.slice(0, 5).join(", ")}"` : ""
      }, expected some. Check the path.`,
  );
}

/**
 * The configurations that are asked for, by the card in a folder's README.md: those of the data
 * beside it. None where it lists none.
 */
async function openCard(
  folder: string,
  all: readonly string[],
  asked: readonly string[],
): Promise<FileSource[]> {
  const card = all.includes(CARD_FILE)
    ? readCard(`${folder}/${CARD_FILE}`, await Deno.readTextFile(`${folder}/${CARD_FILE}`))
    : {};
  const configs = cardConfigs(card, all.filter((path) => kindOf(path)));
  const isFolder = (name: string) =>
    name !== "all" && !configs?.byName.has(name) &&
    all.some((path) => `${path}/`.startsWith(`${name}/`));
  if (!configs || asked.some(isFolder)) return [];
  return chooseConfigs(folder, configs, asked).map((config) => {
    const splits = configs.byName.get(config) ?? {};
    const kinds = [...new Set(Object.values(splits).flat().flatMap((path) => kindOf(path) ?? []))];
    const [kind = "pictures"] = kinds;
    if (kinds.length > 1) throw several(folder, kinds);
    const name = configs.byName.size > 1 ? `${folder}:${config}` : folder;
    return source(name, folder, kind, within(folder, splits));
  });
}

/**
 * Finds the files of a file or folder.
 *
 * @throws {Error} when there are none that can be read
 * @throws {SyntaxError} when what save_to_disk() wrote, or the card, is damaged
 */
export async function openPath(path: string): Promise<FileSource> {
  if ((await Deno.stat(path)).isDirectory) {
    return await openFolder(path.replace(/(?<=.)[/\\]+$/, ""));
  }
  const kind = kindOf(path);
  if (kind) return source(path, dirname(path), kind, { whole: [path] });
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
export async function openGlob(pattern: string): Promise<FileSource> {
  const given = Deno.build.os === "windows" ? pattern.replaceAll("\\", "/") : pattern;
  const fixed = posix.dirname(given.slice(0, given.search(/[*?[{]/)) + "x");
  const rest = given.slice(fixed === "." ? 0 : fixed.length).replace(/^(\.?\/)+/, "");
  const depth = rest.includes("**") ? 0 : Math.max(0, DEEPEST - (rest.split("/").length - 1));
  const all = await filesIn(fixed, depth).catch((error) => {
    if (error instanceof Deno.errors.NotFound || error instanceof Deno.errors.NotADirectory) {
      return [];
    }
    throw error;
  });
  const fits: (path: string) => boolean = picomatch(rest);
  const paths = all.filter((path) => fits(path));
  // A folder that all are in tells nothing about parts.
  const shared = sharedFolder(paths);
  const found = sourceOf(
    pattern,
    posix.join(fixed, shared),
    paths.map((path) => path.slice(shared.length)),
  );
  if (!found) {
    throw new Error(
      `Cannot open dataset "${pattern}": found no files, expected some that fit and end with one ` +
        `of ${KNOWN_ENDINGS}. Check the pattern.`,
    );
  }
  // Files of one part alone are what was meant, whatever part is asked for.
  const parts = Object.values(found.splits);
  return parts.length > 1 ? found : { ...found, splits: { whole: parts.flat() } };
}

/**
 * Opens what is in a folder by name, as a clone of a Hub dataset has it: configurations of its card,
 * or else subfolders; "all" is every one.
 *
 * @throws {Error} when one is missing or holds no files that can be read
 */
export async function openFolders(path: string, configs: readonly string[]): Promise<FileSource[]> {
  const all = await filesIn(path);
  const listed = await openCard(path, all, configs);
  if (listed.length > 0) return listed;
  const known = firstFolders(all);
  const chosen = configs.flatMap((name) => name === "all" && !known.includes(name) ? known : name);
  const missing = chosen.find((name) => !known.includes(name) && !all.includes(name)); // a file may be named too
  if (missing !== undefined) {
    throw new Error(
      `Cannot open dataset "${path}:${missing}": found no such folder with files, expected one of "${
        known.join(", ")
      }". Check the name.`,
    );
  }
  // Pictures may be anywhere in the clone.
  return await Promise.all(
    chosen.map(async (name) => ({ ...await openPath(`${path}/${name}`), folder: path })),
  );
}
