/**
 * Which rows of a source are held out to evaluate on: the same ones whenever it is opened, spread
 * over all of it, and never a picture that is learned from. Between record_dataset.ts and
 * datasets.ts. Ours.
 *
 * Differs from nanoVLM: rows are not shuffled before they are divided. Data that is too large to be
 * looked through is divided in one place, so that row groups are read whole.
 */
import { createHash } from "node:crypto";
import type { Split } from "./dataset.ts";
import { Random } from "./random.ts";
import type { PictureKey, RecordDataset } from "./record_dataset.ts";
import { RowSubset } from "./row_subset.ts";

/** Row groups of at most so many bytes are looked through: on this machine, and on the Hub. */
const SMALL_BYTES = { here: 2 ** 28, onHub: 2 ** 25 };
/** Of files of the same size so many bytes are compared. */
const COMPARED_BYTES = 2 ** 16;
/** More picture files than this are told apart by their paths alone. */
const MOST_FILES = 50_000;

function digest(bytes: Uint8Array): string {
  return createHash("sha1").update(bytes).digest("hex");
}

/** How a file begins, or its path where it cannot be read, which its row will say. */
function startOf(path: string): string {
  try {
    using file = Deno.openSync(path);
    const bytes = new Uint8Array(COMPARED_BYTES);
    return digest(bytes.subarray(0, file.readSync(bytes) ?? 0));
  } catch {
    return path;
  }
}

/** What tells files apart, by path: their sizes and, where these are the same, how they begin. */
function filesByContent(sizes: ReadonlyMap<string, number>): Map<string, string> {
  const keys = new Map<string, string>();
  for (const [size, same] of Map.groupBy(sizes.keys(), (path) => sizes.get(path))) {
    for (const path of same) {
      keys.set(path, same.length === 1 ? path : `${size} ${startOf(path)}`);
    }
  }
  return keys;
}

/** What tells the picture of each row: rows that show the same one have the same text. (rows) */
async function pictureKeys(dataset: RecordDataset, rows: number): Promise<string[]> {
  const keys: string[] = [];
  const files = new Map<string, number>();
  for await (const picture of dataset.pictures(0, rows)) {
    if (typeof picture?.bytes === "number") files.set(picture.path, picture.bytes);
    keys.push(keyOf(picture) ?? `row ${keys.length}`);
  }
  if (files.size > MOST_FILES) return keys;
  const byContent = filesByContent(files);
  return keys.map((key) => byContent.get(key) ?? key);
}

function keyOf(picture: PictureKey | undefined): string | undefined {
  return picture?.bytes instanceof Uint8Array ? digest(picture.bytes) : picture?.path;
}

/** Whether the pictures can be looked through in a moment. */
function isSmall({ groups, isLocal }: RecordDataset): boolean {
  const bytes = groups?.reduce((sum, group) => sum + group.bytes, 0) ?? 0;
  return bytes <= (isLocal ? SMALL_BYTES.here : SMALL_BYTES.onHub);
}

/** A share of the pictures, one out of each stretch of them, of the last stretch the last one. */
function choosePictures(pictures: readonly string[], share: number): Set<string> {
  const count = Math.min(pictures.length - 1, Math.max(1, Math.floor(pictures.length * share)));
  const random = new Random(0);
  const chosen = new Set<string>();
  for (let stretch = 0; stretch < count; stretch++) {
    const from = Math.floor(stretch * pictures.length / count);
    const to = Math.floor((stretch + 1) * pictures.length / count);
    const place = stretch === count - 1 ? to - 1 : from + random.below(to - from);
    chosen.add(pictures[place] ?? "");
  }
  return chosen;
}

/** The first row from `start` on that does not show the picture of the row before. */
async function nextPicture(dataset: RecordDataset, start: number, end: number): Promise<number> {
  let before: string | undefined;
  let row = start - 1;
  for await (const picture of dataset.pictures(start - 1, end)) {
    const key = keyOf(picture);
    if (before !== undefined && key !== before || key === undefined) return Math.max(row, start);
    before = key;
    row++;
  }
  return start; // all of them show one picture
}

/**
 * The rows that are held out, or those that are not.
 *
 * @param rows of the dataset that count, from its start
 * @param share of its pictures, or of its rows where these are too many to look through; at least
 * one is held out
 * @throws {RangeError} when there is no row left to learn from
 */
export async function holdOut(
  dataset: RecordDataset,
  { rows, share, split }: { rows: number; share: number; split: Split },
): Promise<RowSubset> {
  const { name, notes = [] } = dataset;
  if (rows < 2 || Math.floor(rows * share) >= rows) {
    throw new RangeError(
      `Cannot hold out rows of "${name}" to evaluate on: found ${rows}, expected at least 2. Take ` +
        `more rows, or evaluate on other data.`,
    );
  }
  const isHeld = split !== "train";
  if (!isSmall(dataset)) {
    const left = rows - Math.max(1, Math.floor(rows * share));
    if (!isHeld) return new RowSubset(dataset, { start: 0, rows: left });
    const start = await nextPicture(dataset, left, rows);
    return new RowSubset(dataset, { start, rows: rows - start });
  }
  const pictures = await pictureKeys(dataset, rows);
  const hasOnePicture = new Set(pictures).size === 1;
  const keys = hasOnePicture ? pictures.map((_, row) => `row ${row}`) : pictures;
  const chosen = choosePictures([...new Set(keys)], share);
  const numbers = keys.flatMap((key, row) => chosen.has(key) === isHeld ? row : []);
  const warning = `All rows of ${name} show the same picture, those that are held out too`;
  return new RowSubset(dataset, Uint32Array.from(numbers), {
    notes: hasOnePicture ? [...notes, warning] : notes,
    pictures,
  });
}
