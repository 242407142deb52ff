/**
 * Datasets on the Hugging Face Hub: which files make up a configuration and its parts, and how they
 * are read, in ranges or downloaded whole. Between dataset_spec.ts and datasets.ts.
 *
 * Source: the Hub's documentation, "Data files Configuration": `configs` in a dataset card, else
 * the names of folders and files.
 */
import { cardConfigs, chooseConfigs, type Configs } from "./card_configs.ts";
import type { DatasetOptions } from "./dataset_options.ts";
import { revisionKey } from "./dataset_revisions.ts";
import { openRepository, type Repository } from "./hub.ts";
import { type DataFile, localFile } from "./local_file.ts";
import type { FileSource } from "./sources.ts";
import { divideFiles, kindOf, partOf } from "./split_files.ts";

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
  if (parquet.length === 0) {
    const isData = (path: string) => !/(^|\/)\.|\.(md|txt|py)$/i.test(path);
    const found = paths.filter(isData).slice(0, 10).join(", ");
    throw new Error(
      `Cannot open dataset "${name}": found no Parquet files on the Hub but "${found}", expected ` +
        `some. Try "${name}@refs/convert/parquet", which the Hub makes of many datasets, or ` +
        `download and convert it.`,
    );
  }
  return cardConfigs(card, parquet) ?? folderConfigs(parquet);
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
