/**
 * Datasets on the Hugging Face Hub: which files make up a configuration and its parts, and how they
 * are read, in ranges or downloaded whole. Between dataset_spec.ts and datasets.ts.
 *
 * Source: the Hub's documentation, "Data files Configuration": `configs` in a dataset card, else
 * the names of folders and files.
 */
import picomatch from "picomatch";
import type { DatasetOptions } from "./dataset_options.ts";
import { revisionKey } from "./dataset_revisions.ts";
import { openRepository, type Repository } from "./hub.ts";
import { type DataFile, localFile } from "./local_file.ts";
import type { FileSource } from "./sources.ts";
import { divideFiles, kindOf, partOf, type SplitFiles } from "./split_files.ts";

/** Configurations by name. */
interface Configs {
  readonly byName: ReadonlyMap<string, SplitFiles>;
  /** The one that is meant where none is named. */
  readonly preferred: string | undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Files that fit a pattern or several of a card. */
function matching(patterns: unknown, files: readonly string[]): string[] {
  const all = [patterns].flat().filter((one) => typeof one === "string");
  const fits = (file: string) =>
    all.some((pattern) =>
      file === pattern || picomatch.isMatch(file, pattern.replace(/^\.\//, ""))
    );
  return files.filter(fits);
}

/** `data_files` of a card: patterns, or lists of them by part. */
function cardSplits(dataFiles: unknown, files: readonly string[]): SplitFiles {
  const entries = [dataFiles].flat();
  if (!entries.some(isRecord)) return divideFiles(matching(dataFiles, files));
  const splits: Partial<Record<keyof SplitFiles, string[]>> = {};
  for (const entry of entries) {
    if (!isRecord(entry)) continue;
    const part = partOf(String(entry["split"]));
    if (part) splits[part] = [...splits[part] ?? [], ...matching(entry["path"], files)];
  }
  return splits;
}

function cardConfigs(configs: readonly unknown[], files: readonly string[]): Configs {
  const byName = new Map<string, SplitFiles>();
  let preferred: string | undefined;
  for (const config of configs) {
    if (!isRecord(config)) continue;
    const { config_name: name = "default", data_files: patterns, data_dir: folder } = config;
    const within = typeof folder === "string" ? `${folder.replace(/\/$/, "")}/**` : "**";
    byName.set(
      String(name),
      patterns === undefined ? divideFiles(matching(within, files)) : cardSplits(patterns, files),
    );
    if (config["default"] === true) preferred = String(name);
  }
  return { byName, preferred };
}

/** Configurations by the first folder, unless that is a part or "data". */
function folderConfigs(files: readonly string[]): Configs {
  const byFolder = Map.groupBy(files, (file) => {
    const folder = file.includes("/") ? file.slice(0, file.indexOf("/")) : "data";
    return folder === "data" || partOf(folder) ? "default" : folder;
  });
  const byName = new Map([...byFolder].map(([name, its]) => [name, divideFiles(its)]));
  return { byName, preferred: undefined };
}

function configsOf({ name, card, files }: Repository): Configs {
  const paths = files.map(({ path }) => path);
  const parquet = paths.filter((path) => kindOf(path) === "parquet");
  const cardList = Array.isArray(card["configs"]) ? card["configs"] : [];
  if (parquet.length === 0) {
    const isData = (path: string) => !/(^|\/)\.|\.(md|txt|py)$/i.test(path);
    const found = paths.filter(isData).slice(0, 10).join(", ");
    throw new Error(
      `Cannot open dataset "${name}": found no Parquet files on the Hub but "${found}", expected ` +
        `some. Try "${name}@refs/convert/parquet", which the Hub makes of many datasets, or ` +
        `download and convert it.`,
    );
  }
  const all = cardList.length > 0 ? cardConfigs(cardList, parquet) : folderConfigs(parquet);
  const byName = new Map([...all.byName].filter(([, splits]) => Object.keys(splits).length > 0));
  return { ...all, byName };
}

/** The names of the configurations that are asked for. */
function chooseConfigs(name: string, { byName, preferred }: Configs, asked: readonly string[]) {
  const known = [...byName.keys()];
  const [first] = known;
  const fallback = preferred ??
    (known.length === 1 ? first : known.find((one) => one === "default"));
  if (asked.length === 0 && fallback !== undefined) return [fallback];
  const list = `"${known.join(", ")}"`;
  if (asked.length === 0) {
    throw new Error(
      `Cannot open dataset "${name}": found ${known.length} configurations, ${list}, expected one ` +
        `to be chosen. Write "${name}:${first}", several behind commas, or "${name}:all".`,
    );
  }
  const chosen = asked.flatMap((one) => one === "all" && !byName.has(one) ? known : [one]);
  const missing = chosen.find((one) => !byName.has(one));
  if (missing === undefined) return [...new Set(chosen)];
  throw new Error(
    `Cannot open dataset "${name}:${missing}": found no such configuration, expected one of ${list}.`,
  );
}

/** Files read in ranges, or from the folder that they are downloaded to. */
async function readable(
  repository: Repository,
  paths: readonly string[],
  isWhole: boolean,
): Promise<DataFile[]> {
  if (isWhole) {
    const folder = await repository.download(paths);
    return paths.map((path) => ({ ...localFile(`${folder}/${path}`), name: path }));
  }
  return paths.map((path) => ({
    name: `${repository.name}/${path}`,
    open: () => repository.open(path),
  }));
}

/**
 * Finds the files of configurations, one source for each.
 *
 * @throws {HubError} when the repository cannot be read
 * @throws {Error} when a configuration is unknown, or there are no Parquet files
 */
export async function openHubSources(
  spec: { readonly name: string; readonly revision?: string; readonly configs: readonly string[] },
  { download = false, revisions = {}, hub }: DatasetOptions,
): Promise<FileSource[]> {
  const { name } = spec;
  const revision = revisions[revisionKey(spec)] ?? spec.revision;
  const repository = await openRepository(
    { kind: "dataset", name, ...(revision === undefined ? {} : { revision }) },
    hub,
  );
  const configs = configsOf(repository);
  const chosen = chooseConfigs(name, configs, spec.configs);
  return chosen.map((config) => ({
    name: configs.byName.size === 1 ? name : `${name}:${config}`,
    kind: "parquet",
    splits: configs.byName.get(config) ?? {},
    files: (paths) => readable(repository, paths, download),
  }));
}
