/**
 * The files of a dataset that Python saved in a folder; below local_sources.ts.
 *
 * Source: the `datasets` library, Dataset.save_to_disk() and DatasetDict.save_to_disk().
 */
import { partOf, type SplitFiles } from "./split_files.ts";

/** What save_to_disk() leaves beside the data. */
const DICT_FILE = "dataset_dict.json";
const STATE_FILE = "state.json";

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

/** A folder of several saved datasets, each of them a part; a single one is the whole. */
async function savedParts(folder: string): Promise<SplitFiles> {
  const { splits } = await readObject(`${folder}/${DICT_FILE}`);
  const names = Array.isArray(splits) ? splits.map(String) : [];
  const parts: { -readonly [Part in keyof SplitFiles]: SplitFiles[Part] } = {};
  for (const name of names) {
    const part = partOf(name) ?? (names.length === 1 ? "whole" : "rest");
    parts[part] = [...parts[part] ?? [], ...await savedFiles(`${folder}/${name}`)];
  }
  if (Object.keys(parts).some((part) => part !== "rest")) return parts;
  throw new Error(
    `Cannot open dataset "${folder}": found splits "${names.join(", ")}", expected "train", ` +
      `"validation" or "test". Name the folder of one, such as "${folder}/${names[0] ?? "train"}".`,
  );
}

/**
 * The files of each part.
 *
 * @param names of the files in the folder
 * @returns undefined where save_to_disk() wrote nothing there
 * @throws {SyntaxError} when what it wrote is damaged
 * @throws {Error} when none of several parts is a known one
 */
export async function savedSplits(
  folder: string,
  names: readonly string[],
): Promise<SplitFiles | undefined> {
  if (names.includes(DICT_FILE)) return await savedParts(folder);
  if (names.includes(STATE_FILE)) return { whole: await savedFiles(folder) };
}
