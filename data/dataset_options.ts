/**
 * How datasets are opened: plain data, which goes from the command line's configuration to the
 * loader's workers. Read by datasets.ts and the files below it.
 */
import { closestMatch } from "leven";
import type { DatasetRevisions } from "./dataset_revisions.ts";
import type { HubOptions } from "./hub.ts";

/** The fields of a record that the known schemas are made of. */
const FIELDS = [
  "image",
  "images",
  "question",
  "answer",
  "caption",
  "texts",
  "messages",
  "category",
] as const;

/** A field of a record. */
export type RecordField = (typeof FIELDS)[number];

/** Which column holds a field, where it is not called so. */
export type ColumnNames = Readonly<Partial<Record<RecordField, string>>>;

/** FineVision's kinds of ratings, from 1 to 5 for each question. */
export const RATINGS = [
  "relevance",
  "image_correspondence",
  "visual_dependency",
  "formatting",
] as const;

/** The least rating that a question needs to be taken, by kind. */
export type MinimumRatings = Readonly<Partial<Record<(typeof RATINGS)[number], number>>>;

/** How to open a dataset. */
export interface DatasetOptions {
  /** Only that many rows from the start; for "shapes" alone the number of rows to draw. */
  rows?: number;
  /**
   * The share of each source's rows, from its end, that is its validation part where it has none of
   * its own. At least one row; absent for none. `rows` then counts before they are taken off.
   */
  heldOut?: number;
  /** The seed of "shapes". Default 0. */
  seed?: number;
  /** Bytes of row groups to keep in memory. Default 512 MiB. */
  cacheBytes?: number;
  /** Columns by field, for sources whose columns have other names. */
  columns?: ColumnNames;
  /** One for each source: how much of an epoch it gets. By default its size decides. */
  weights?: readonly number[];
  /** Of FineVision's ratings. Default 1 each. */
  minimumRatings?: MinimumRatings;
  /** Whether files on the Hub are downloaded whole; otherwise parts are read when needed. */
  download?: boolean;
  /** Commits to read on the Hub; what is not named there is read as it is there now. */
  revisions?: DatasetRevisions;
  /** Where the Hub is, and who asks. */
  hub?: HubOptions;
}

/**
 * Columns by field from texts such as "image=photo".
 *
 * @throws {TypeError} when a text is not of that form, or names no field
 */
export function parseColumns(texts: readonly string[]): ColumnNames {
  const columns: Partial<Record<RecordField, string>> = {};
  for (const text of texts) {
    const [, name, column] = /^\s*([^=]*?)\s*=\s*(.*?)\s*$/.exec(text) ?? [];
    const field = FIELDS.find((known) => known === name);
    if (!field || !column) {
      const near = column && name ? closestMatch(name, FIELDS, { maxDistance: 2 }) : undefined;
      throw new TypeError(
        `Cannot use the column "${text}": expected FIELD=COLUMN, FIELD one of ${
          FIELDS.join(", ")
        }` +
          (near === undefined ? "" : `. Did you mean "${near}=${column}"?`),
      );
    }
    columns[field] = column;
  }
  return columns;
}
