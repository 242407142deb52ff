/**
 * Opens a dataset by what a user writes: files, folders, datasets on the Hub, "shapes", or several
 * of them. The samples of samples.ts are drawn from the result.
 */
import { openArrow } from "./arrow.ts";
import { openCsv } from "./csv_records.ts";
import { ConcatDataset } from "./concat_dataset.ts";
import type { Dataset, Split } from "./dataset.ts";
import type { DatasetOptions } from "./dataset_options.ts";
import { parseDatasetSpec, type SourceSpec } from "./dataset_spec.ts";
import { holdOut } from "./held_out.ts";
import { openHubSources } from "./hub_dataset.ts";
import { openJson } from "./json_records.ts";
import { mapSome } from "./local_file.ts";
import { openFolders, openGlob, openPath } from "./local_sources.ts";
import { openParquet } from "./parquet.ts";
import { openPictures } from "./picture_records.ts";
import { missingText } from "./record_fields.ts";
import { RecordDataset } from "./record_dataset.ts";
import { GroupCache } from "./records.ts";
import { RowSubset } from "./row_subset.ts";
import { Shapes } from "./shapes.ts";
import type { FileSource, Source } from "./sources.ts";
import type { PartName } from "./split_files.ts";

export type { Dataset, Row, Split, Turn } from "./dataset.ts";
export type { DatasetOptions } from "./dataset_options.ts";
export { type Sample, Samples } from "./samples.ts";

/** Sources that are opened at once. */
const SOURCES_AT_ONCE = 4;

const READERS = {
  parquet: openParquet,
  arrow: openArrow,
  json: openJson,
  csv: openCsv,
  pictures: openPictures,
};

async function findSources(spec: SourceSpec, options: DatasetOptions): Promise<Source[]> {
  if (spec.kind === "shapes") return [{ kind: "shapes", name: "shapes" }];
  if (spec.kind === "path") return [await openPath(spec.path)];
  if (spec.kind === "glob") return [await openGlob(spec.pattern)];
  if (spec.kind === "folders") return await openFolders(spec.path, spec.configs);
  return await openHubSources(spec, options);
}

/** Whether a source has rows of its own to check on. */
function hasValidation(source: Source): boolean {
  return source.kind === "shapes" || source.splits.validation !== undefined;
}

/** The files of a part; a test part serves to check on where there is no other. */
function filesOf({ name, splits }: FileSource, split: Split): readonly string[] {
  const others: PartName[] = split === "validation" ? ["validation", "test"] : [split];
  const found = splits.whole ?? others.map((part) => splits[part]).find((files) => files);
  if (found) return found;
  const names = Object.values(splits).flat();
  throw new Error(
    `Cannot open dataset "${name}": found files "${
      names.slice(0, 20).join(", ")
    }", expected some ` +
      `for ${split}, with "${split}" in their names. Rename them, or name one file.`,
  );
}

/** Opens the rows of sources. */
class Opener {
  readonly #cache: GroupCache;
  readonly #options: DatasetOptions;
  readonly #isAlone: boolean;
  /** Whether names of columns that the user gave were of use anywhere. */
  isMapped = false;
  /** The columns of all sources. */
  readonly columns = new Set<string>();

  /** @param isAlone whether there is one source */
  constructor(options: DatasetOptions, isAlone: boolean) {
    this.#options = options;
    this.#cache = new GroupCache(options.cacheBytes ?? 512 * 2 ** 20);
    this.#isAlone = isAlone;
  }

  async open(source: Source, split: Split): Promise<Dataset> {
    const { rows, seed, heldOut } = this.#options;
    if (source.kind === "shapes") {
      const isCounted = this.#isAlone && (split === "train" || heldOut === undefined);
      return new Shapes(split, {
        ...(rows !== undefined && isCounted ? { rows } : {}),
        ...(seed === undefined ? {} : { seed }),
      });
    }
    const files = await source.files(filesOf(source, split));
    const records = await READERS[source.kind](files, this.#cache);
    const dataset = await RecordDataset.open(
      { records, name: source.name, folder: source.folder, leftOut: source.splits.rest },
      this.#options,
    );
    this.isMapped ||= dataset.isMapped;
    for (const column of dataset.columns) this.columns.add(column);
    return dataset;
  }
}

/** How many rows of each dataset are among the first `rows` of all together. */
function takenOf(datasets: readonly Dataset[], rows: number): number[] {
  let left = rows;
  return datasets.map((dataset) => {
    const taken = Math.min(left, dataset.rows);
    left -= taken;
    return taken;
  });
}

/** The first rows of a dataset; undefined where there are none. */
function cut(dataset: Dataset, rows: number = 0): Dataset | undefined {
  if (rows === dataset.rows) return dataset;
  return rows === 0 ? undefined : new RowSubset(dataset, { start: 0, rows });
}

/** The rows of each source, in order; undefined where `rows` leaves nothing of one. */
async function openParts(
  sources: readonly Source[],
  split: Split,
  { opener, rows = Infinity, heldOut }: { opener: Opener; rows?: number; heldOut?: number },
): Promise<(Dataset | undefined)[]> {
  const openAll = (part: Split, some: readonly Source[]) =>
    mapSome(some, SOURCES_AT_ONCE, (source) => opener.open(source, part));
  if (heldOut !== undefined && split === "validation" && sources.every(hasValidation)) {
    return await openAll(split, sources);
  }
  const all = await openAll(heldOut === undefined ? split : "train", sources);
  const taken = takenOf(all, rows);
  return await mapSome(all, SOURCES_AT_ONCE, async (dataset, at) => {
    const [source, its] = [sources[at], taken[at] ?? 0];
    if (heldOut === undefined || !source) return cut(dataset, its);
    if (dataset instanceof RecordDataset && !hasValidation(source)) {
      return its === 0 ? undefined : await holdOut(dataset, { rows: its, share: heldOut, split });
    }
    return split === "train" ? cut(dataset, its) : await opener.open(source, split);
  });
}

function checkOptions(spec: string, { rows, heldOut = 0 }: DatasetOptions): void {
  const wrong = rows !== undefined && (!Number.isInteger(rows) || rows < 1)
    ? `"${rows}" rows asked for, expected a whole number from 1 on`
    : !(heldOut >= 0 && heldOut < 1)
    ? `a share of "${heldOut}" held out, expected a number from 0 to below 1`
    : undefined;
  if (wrong !== undefined) throw new RangeError(`Cannot open dataset "${spec}": found ${wrong}`);
}

function checkWeights(weights: readonly number[] | undefined, sources: readonly Source[]): void {
  if (!weights) return;
  const isGood = weights.every((weight) => Number.isFinite(weight) && weight > 0);
  if (isGood && weights.length === sources.length) return;
  throw new RangeError(
    `Cannot weigh datasets: found weights "${
      weights.join(", ")
    }", expected ${sources.length}, each ` +
      `above 0, for "${sources.map(({ name }) => name).join(", ")}"`,
  );
}

/**
 * Opens a dataset.
 *
 * @param spec what dataset_spec.ts takes apart; files that are named one by one are taken whole
 * whatever the split, in folders and on the Hub their names tell the split
 * @param split which part
 * @throws {Error} when a path is missing, or there are no files of the split
 * @throws {HubError} when the Hub cannot be read
 * @throws {TypeError} when the columns are of no known schema, or of several sources some are
 * multiple choice and some are not
 * @throws {SyntaxError} when a file is damaged
 * @throws {RangeError} when there are no rows, or an option is out of range
 */
export async function openDataset(
  spec: string,
  split: Split,
  options: DatasetOptions = {},
): Promise<Dataset> {
  checkOptions(spec, options);
  const specs = parseDatasetSpec(spec);
  const sources = (await mapSome(specs, 1, (one) => findSources(one, options))).flat();
  const { weights, columns = {}, rows, heldOut } = options;
  checkWeights(weights, sources);
  const opener = new Opener(options, sources.length === 1);
  const parts = await openParts(sources, split, {
    opener,
    ...(rows === undefined ? {} : { rows }),
    ...(heldOut === undefined ? {} : { heldOut }),
  });
  if (Object.keys(columns).length > 0 && !opener.isMapped) {
    throw new TypeError(
      `Cannot open dataset "${spec}": found no source with all of the columns "${
        Object.values(columns).join(", ")
      }", expected one.${missingText(Object.values(columns), [...opener.columns])} Correct ` +
        `--columns, or leave it out.`,
    );
  }
  const datasets = parts.flatMap((dataset, at) => {
    const weight = weights?.[at];
    return dataset ? [{ dataset, ...(weight === undefined ? {} : { weight }) }] : [];
  });
  const [first] = datasets;
  return datasets.length === 1 && first ? first.dataset : new ConcatDataset(datasets);
}
