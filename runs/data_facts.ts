/**
 * What reading the data once tells before a run: how long rows of tokens must be, and a fingerprint by which a resumed run
 * knows the data again.
 *
 * Between training_data.ts or inspect.ts and data/. Ours.
 */
import { crc32 } from "node:zlib";
import { encodeTurn } from "../data/collator.ts";
import type { Dataset } from "../data/datasets.ts";
import { HubError } from "../data/hub.ts";
import { readImageHeader } from "../data/image_header.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { PictureSizes } from "./picture_advice.ts";
import { Tally } from "./tally.ts";

/** Rows whose questions are read: enough to know the data, and read in seconds. */
const MOST_ROWS = 20_000;
/** The same where every read goes over the network. */
const MOST_HUB_ROWS = 1000;

/** The longest rows that are taken unless asked for: a longer question costs every other one its time and memory. */
export const MOST_TOKENS = 512;

/** Pictures whose bytes are in the fingerprint. */
const MOST_PICTURES = 64;
/** The same where a picture is read with all of its row group. */
const MOST_GROUPED_PICTURES = 4;

/** What was found. */
export interface DataFacts {
  /** Tokens of every question that was read, with its prompt, its answer and the end token. */
  readonly lengths: Tally;
  /** Rows whose questions were read, at most, and rows that there are. */
  readonly rows: { readonly read: number; readonly all: number };
  /** Of the questions and answers that were read, and on this machine of some pictures and the numbers of rows. */
  readonly fingerprint: string;
  /** Of those pictures; none of data that is read over the network. */
  readonly pictures: PictureSizes;
}

/** How to read. */
export interface FactsOptions {
  readonly tokenizer: Tokenizer;
  readonly questionsPerRow: "first" | "all";
  /** Whether reads go over the network: then fewer rows are read, and no pictures. */
  readonly isRemote: boolean;
}

/**
 * Reads the questions of datasets, and a few pictures.
 *
 * @param datasets the training data first: of large data only that is read
 * @throws {HubError} where the Hub fails
 * @throws {SyntaxError} where a file is damaged
 */
export async function readFacts(
  datasets: readonly Dataset[],
  { tokenizer, questionsPerRow, isRemote }: FactsOptions,
): Promise<DataFacts> {
  const mostRows = isRemote ? MOST_HUB_ROWS : MOST_ROWS;
  const lengths = new Tally();
  const known = new Map<string, number>(); // many questions are asked again and again
  const all = datasets.reduce((sum, { rows }) => sum + rows, 0);
  const pictures = new PictureSizes();
  let [sum, read] = [0, 0];
  // Held-out rows of large data lie at its end, for which all before them would be read.
  for (const dataset of all > mostRows ? datasets.slice(0, 1) : datasets) {
    for await (const turns of dataset.allTurns(mostRows)) {
      sum = crc32(`${turns.length}`, sum);
      for (const turn of questionsPerRow === "first" ? turns.slice(0, 1) : turns) {
        const text = JSON.stringify([turn.question, turn.answer]);
        const length = known.get(text) ?? encodeTurn(tokenizer, turn).ids.length;
        known.set(text, length);
        lengths.add(length);
        sum = crc32(text, sum);
      }
    }
    if (!isRemote) sum = await addPictures(dataset, sum, pictures);
    read += Math.min(dataset.rows, mostRows);
  }
  const fingerprint = sum.toString(16).padStart(8, "0");
  return { lengths, rows: { read, all }, fingerprint, pictures };
}

/** Of pictures all over the dataset, and of the sizes of row groups, which tell of the others. */
async function addPictures(
  dataset: Dataset,
  sum: number,
  pictures: PictureSizes,
): Promise<number> {
  const { rows, groups } = dataset;
  const count = Math.min(rows, groups ? MOST_GROUPED_PICTURES : MOST_PICTURES);
  let next = crc32(JSON.stringify([rows, groups?.map(({ bytes }) => bytes)]), sum);
  for (let i = 0; i < count; i++) {
    try {
      const { image, imageName } = await dataset.row(Math.floor(i * rows / count));
      const isFile = image instanceof Uint8Array;
      next = crc32(isFile ? image : image.data, next);
      pictures.add(isFile ? readImageHeader(image, imageName) : image);
    } catch (error) {
      if (error instanceof HubError) throw error;
      next = crc32("unreadable", next);
    }
  }
  return next;
}

/** The tokens that rows must have for all questions to fit, but at most 512. */
export function rowLength(lengths: Tally): number {
  return Math.max(2, Math.min(MOST_TOKENS, lengths.quantile(1) || 0));
}

/** How long rows are and which questions do not fit, for people. */
export function rowsText(length: number, facts: DataFacts | undefined): string {
  const what = `${length.toLocaleString("en")} tokens for a question with its answer`;
  if (!facts) return what;
  const { lengths, rows } = facts;
  const count = (value: number) => value.toLocaleString("en");
  const tooLong = lengths.above(length);
  const longest = lengths.quantile(1);
  const some = rows.read < rows.all ? ` of the first ${count(rows.read)} rows` : "";
  if (tooLong === 0) return `${what}; the longest${some} has ${count(longest)}`;
  return `${what}; ${count(tooLong)} of ${count(lengths.count)}${some} are longer, the longest ${
    count(longest)
  }, and teach nothing: --set lm_max_length=N takes more`;
}
