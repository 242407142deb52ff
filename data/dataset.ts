/**
 * What a dataset is to the rest of the data room: numbered rows of one picture with questions and
 * answers. Implemented by shapes.ts and record_dataset.ts, opened by datasets.ts, indexed by
 * samples.ts.
 */
import type { RgbImage } from "./rgb_image.ts";

/** The part of a dataset to learn from, to check on, or to test with in the end. */
export type Split = "train" | "validation" | "test";

/** One question about a picture with its answer. */
export interface Turn {
  /** As asked, without a prompt. */
  question: string;
  /** As expected, without an end token. */
  answer: string;
  /** The kind of question: a line of the accuracy table. */
  category: string;
}

/** One picture and all that is asked about it. */
export interface Row {
  /** A picture file's bytes, or a picture. */
  image: Uint8Array | RgbImage;
  /** What to call the picture in messages. */
  imageName: string;
  /** At least one, in the order of the file. */
  turns: Turn[];
}

/** Neighbouring rows that are read together, such as a Parquet row group. */
export interface RowGroup {
  /** Number of the first row. */
  readonly start: number;
  readonly rows: number;
  /** What it takes in memory. */
  readonly bytes: number;
}

/** Neighbouring rows from one source, in a dataset made of several. */
export interface DatasetPart {
  /** What to call the source. */
  readonly name: string;
  /** Number of the first row. */
  readonly start: number;
  readonly rows: number;
  /** Its share of an epoch's samples is weight / sum of the weights; absent where its size decides. */
  readonly weight?: number;
}

/** Numbered rows. */
export interface Dataset {
  /** What to call it in logs and messages. */
  readonly name: string;
  /** Number of rows. */
  readonly rows: number;
  /** How its questions are meant to be asked: freely, or for the letter of a choice. */
  readonly format: "vqa" | "multiple-choice";
  /** Names of its records' columns; absent where it has none, or not the same everywhere. */
  readonly columns?: readonly string[];
  /** What was decided about the data that a person should know, in sentences. */
  readonly notes?: readonly string[];
  /** All rows in groups, in order; absent where any row is read as quickly alone. */
  readonly groups?: readonly RowGroup[];
  /** All rows by source, in order; absent where there is one source. */
  readonly parts?: readonly DatasetPart[];
  /** Whether rows may be left without questions by a filter; turnCounts() says which. */
  readonly mayLackTurns?: boolean;
  /**
   * Tells which groups, by their places in `groups`, are in use until further notice: these stay in
   * memory, all others are let go. Present where `groups` is.
   *
   * @param numbers the groups in use
   * @param next one that will be in use soon, to be read ahead
   */
  hold?(numbers: readonly number[], next?: number): void;
  /** One row, `index` from 0. */
  row(index: number): Promise<Row> | Row;
  /** What to call a row in messages; absent where it is the dataset's name and the row's number. */
  rowName?(index: number): string;
  /** A name that rows with the same picture share, where it is known. */
  pictureOf?(index: number): string | undefined;
  /** The number of questions of every row, without decoding pictures. (rows) */
  turnCounts(): Promise<Uint32Array>;
  /**
   * Every row's questions, row by row, without reading pictures.
   *
   * @param most rows from the start of every source, about as many of all together; all by default
   */
  allTurns(most?: number): AsyncIterable<readonly Turn[]>;
}

/** What to call a row in messages: by its source, and its number there. */
export function rowName(dataset: Dataset, row: number): string {
  return dataset.rowName?.(row) ?? `${dataset.name}, row ${row}`;
}
