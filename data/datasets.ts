/**
 * Opens a dataset by what a user writes: "shapes", a Parquet file, or a folder of them. The
 * samples of samples.ts are drawn from the result.
 */
import type { Dataset, Split } from "./dataset.ts";
import { Parquet } from "./parquet.ts";
import { ParquetDataset } from "./parquet_dataset.ts";
import { Shapes } from "./shapes.ts";

export type { Dataset, Row, Split, Turn } from "./dataset.ts";
export { type Sample, Samples } from "./samples.ts";

/** How to open a dataset. */
export interface DatasetOptions {
  /** Only that many rows from the start; for "shapes" the number of rows to draw. */
  rows?: number;
  /** The seed of "shapes". Default 0. */
  seed?: number;
  /** Uncompressed bytes of Parquet row groups to keep in memory. Default 512 MiB. */
  cacheBytes?: number;
}

/** How the files of a part begin; the first that fits counts. */
const PREFIXES: Readonly<Record<Split, readonly string[]>> = {
  train: ["train"],
  validation: ["validation", "val"],
};

async function findFiles(dir: string, split: Split): Promise<string[]> {
  const names: string[] = [];
  for await (const entry of Deno.readDir(dir)) {
    if (entry.name.endsWith(".parquet")) names.push(entry.name);
  }
  names.sort();
  for (const prefix of PREFIXES[split]) {
    const chosen = names.filter((name) => name.startsWith(prefix));
    if (chosen.length > 0) return chosen.map((name) => `${dir}/${name}`);
  }
  throw new Error(
    `Cannot open dataset "${dir}": found ${
      names.length > 0 ? `files "${names.join(", ")}"` : "no Parquet files"
    }, expected some that begin with ${
      PREFIXES[split].map((prefix) => `"${prefix}"`).join(" or ")
    } and end with ".parquet". Rename them, or name one file.`,
  );
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await Deno.stat(path)).isDirectory;
  } catch (cause) {
    throw new Error(
      `Cannot open dataset "${path}": found no such file or folder, expected "shapes", a Parquet ` +
        `file, or a folder of Parquet files. Check the path.`,
      { cause },
    );
  }
}

/**
 * Opens a dataset.
 *
 * @param spec "shapes"; a Parquet file, which is taken whole whatever the split; or a folder whose
 * files of the split begin with `train`, or with `validation` or `val`
 * @param split which part
 * @throws {Error} when the path is missing or the folder has no file of the split
 * @throws {TypeError} when the columns are of no known schema
 * @throws {SyntaxError} when a file is damaged
 * @throws {RangeError} when there are no rows, or an option is out of range
 */
export async function openDataset(
  spec: string,
  split: Split,
  options: DatasetOptions = {},
): Promise<Dataset> {
  const { rows, seed, cacheBytes = 512 * 2 ** 20 } = options;
  if (rows !== undefined && (!Number.isInteger(rows) || rows < 1)) {
    throw new RangeError(
      `Cannot open dataset "${spec}": found "${rows}" rows asked for, expected a whole number from 1 on`,
    );
  }
  if (spec === "shapes") {
    return new Shapes(split, {
      ...(rows === undefined ? {} : { rows }),
      ...(seed === undefined ? {} : { seed }),
    });
  }
  const paths = await isFolder(spec) ? await findFiles(spec, split) : [spec];
  return await ParquetDataset.open(await Parquet.open(paths, cacheBytes), spec, rows);
}
