/**
 * The configurations of a dataset, and the parts of each, as the card in its README.md lists them.
 * Below hub_dataset.ts and local_sources.ts.
 *
 * Source: the Hub's documentation, "Data files Configuration".
 */
import { load } from "js-yaml";
import picomatch from "picomatch";
import { divideFiles, partOf, type SplitFiles } from "./split_files.ts";

/** Configurations by name. */
export interface Configs {
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

/** The configurations that a card lists and that there are files of; undefined where there are none. */
export function cardConfigs(
  { configs }: Readonly<Record<string, unknown>>,
  files: readonly string[],
): Configs | undefined {
  if (!Array.isArray(configs)) return undefined;
  const byName = new Map<string, SplitFiles>();
  let preferred: string | undefined;
  for (const config of configs as unknown[]) {
    if (!isRecord(config)) continue;
    const { config_name: name = "default", data_files: patterns, data_dir: folder } = config;
    const within = typeof folder === "string" ? `${folder.replace(/\/$/, "")}/**` : "**";
    const splits = patterns === undefined
      ? divideFiles(matching(within, files))
      : cardSplits(patterns, files);
    if (Object.values(splits).some(({ length }) => length > 0)) byName.set(String(name), splits);
    if (config["default"] === true) preferred = String(name);
  }
  return byName.size > 0 ? { byName, preferred } : undefined;
}

/**
 * The card in the text of a README.md, which is YAML between two lines of dashes.
 *
 * @returns nothing where it lists no configurations
 * @throws {SyntaxError} when it is damaged
 */
export function readCard(name: string, text: string): Readonly<Record<string, unknown>> {
  const [, yaml = ""] = /^\ufeff?---\r?\n(.*?)\n---/s.exec(text) ?? [];
  if (!/^configs:/m.test(yaml)) return {};
  try {
    const card: unknown = load(yaml);
    return isRecord(card) ? card : {};
  } catch (cause) {
    throw new SyntaxError(
      `Cannot read "${name}": found damaged YAML between its first lines of dashes, expected the ` +
        `configurations of a dataset. Correct it, or remove "configs".`,
      { cause },
    );
  }
}

/** The names of the configurations that are asked for. */
export function chooseConfigs(
  name: string,
  { byName, preferred }: Configs,
  asked: readonly string[],
) {
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
