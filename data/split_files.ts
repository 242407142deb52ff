/**
 * Which files of a dataset are for training, validation and test, by their names; below
 * local_sources.ts and hub_dataset.ts.
 *
 * Source: the `datasets` library, "Structure your repository": a split's name in a file's or a
 * folder's name, apart from other words.
 */

import { basename, dirname } from "node:path/posix";

/** The kinds of files that are read, by how their names end. */
const KINDS: Readonly<Record<string, FileKind>> = {
  parquet: "parquet",
  arrow: "arrow",
  feather: "arrow",
  jsonl: "json",
  ndjson: "json",
  json: "json",
  csv: "csv",
  tsv: "csv",
};
/** What `datasets` and models leave beside data. */
const NO_DATA =
  /(^|[/\\])((\w+_)?config|tokenizer|vocab|special_tokens_map|(trainer_)?state|dataset_(dict|infos?))\.json$/;

/** A kind of files. */
export type FileKind = "parquet" | "arrow" | "json" | "csv" | "pictures";

/** The kinds, for messages. */
export const KNOWN_KINDS = "Parquet, Arrow, JSON, CSV or TSV";
/** The endings, for messages. */
export const KNOWN_ENDINGS = Object.keys(KINDS).map((ending) => `.${ending}`).join(", ");

/** A part of a dataset. */
export type PartName = "train" | "validation" | "test";

/**
 * Paths of the files of each part, in order; or, where names tell nothing, of the whole, which is
 * taken whatever part is asked for. The rest is left out.
 */
export type SplitFiles = Readonly<Partial<Record<PartName | "whole" | "rest", readonly string[]>>>;

const WORDS: Readonly<Record<PartName, string>> = {
  train: "train|training",
  validation: "validation|valid|val|dev",
  test: "test|testing|eval|evaluation",
};
const PARTS = ["train", "validation", "test"] as const;

/** The kind of a file, or undefined where it is none that is read. */
export function kindOf(path: string): FileKind | undefined {
  const [, ending = ""] = /\.([a-z]+)(?:(?<=csv|tsv|json|jsonl|ndjson)\.gz)?$/i.exec(path) ?? [];
  return NO_DATA.test(path) || !Object.hasOwn(KINDS, ending.toLowerCase())
    ? undefined
    : KINDS[ending.toLowerCase()];
}

/** Whether a file is a picture, by how its name ends. */
export function isPicture(path: string): boolean {
  return /\.(a?png|jp(g|eg?)|jfif|mpo|webp|gif|tiff?|bmp|dib|hei[cf]|avif)$/i.test(path);
}

/** The part that a name such as "val" or "train" means. */
export function partOf(name: string): PartName | undefined {
  return PARTS.find((part) => new RegExp(`^(${WORDS[part]})$`, "i").test(name));
}

/** The part that a path tells, by the last of its words that means one. */
function partOfPath(path: string): PartName | undefined {
  const words = path.split(/[-._ /\\]|(?<=[a-z])(?=\d)/i);
  return words.map(partOf).findLast((part) => part !== undefined);
}

/** Sorts files into parts; files without a part are the rest if others have one. */
function divide(
  paths: readonly string[],
  partOfOne: (path: string) => PartName | undefined,
): SplitFiles {
  const sorted = [...paths].sort();
  const divided = Object.fromEntries(Map.groupBy(sorted, (path) => partOfOne(path) ?? "rest"));
  return sorted.every((path) => partOfOne(path) === undefined) ? { whole: sorted } : divided;
}

/** Sorts files of data into parts, by words in their paths. */
export function divideFiles(paths: readonly string[]): SplitFiles {
  return divide(paths, partOfPath);
}

/**
 * Sorts pictures in folders of classes into parts, by folders above these. The rest are those beside
 * such folders, and those without a part if others have one.
 */
export function dividePictures(paths: readonly string[]): SplitFiles {
  const above = new Set(paths.map((path) => dirname(dirname(path))));
  const isLoose = (folder: string) =>
    folder === "." || above.has(folder) && partOfPath(basename(folder)) !== undefined;
  const loose = new Set(paths.filter((path) => isLoose(dirname(path))));
  const inClasses = paths.filter((path) => !loose.has(path));
  const { rest = [], ...parts } = divide(inClasses, (path) => partOfPath(dirname(dirname(path))));
  const left = [...rest, ...loose].sort();
  return left.length > 0 ? { ...parts, rest: left } : parts;
}
