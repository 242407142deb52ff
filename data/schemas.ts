/**
 * The schemas of datasets that are known: by which columns each is recognized, and how a record
 * becomes a picture with questions. Between the records and record_dataset.ts.
 *
 * Source: the dataset cards of HuggingFaceM4/the_cauldron, HuggingFaceM4/FineVision and
 * Lin-Chen/MMStar; nanoVLM's data/datasets.py, for FineVision's ratings at its version of October
 * 2025: a question is left out if one of its ratings is below the minimum.
 */
import type { ColumnNames, MinimumRatings, RecordField } from "./dataset_options.ts";
import { RATINGS } from "./dataset_options.ts";
import {
  type Picture,
  readList,
  readPicture,
  readRecord,
  readString,
  textOf,
  wrongField,
} from "./record_fields.ts";
import type { DataRecord } from "./records.ts";

/** A question with its answer, and the kind that the record says it is of. */
export interface LabelledTurn {
  readonly question: string;
  readonly answer: string;
  readonly label: string | undefined;
}

/** How the records of a dataset are understood. */
export interface Schema {
  readonly format: "vqa" | "multiple-choice";
  /** Columns that `turns()` reads. */
  readonly turnColumns: readonly string[];
  /** Whether every record has exactly one question. */
  readonly hasOneTurn: boolean;
  /** Whether questions may be left out for their ratings. */
  readonly hasFilter: boolean;
  /** Whether names of columns that the user gave were of use. */
  readonly isMapped: boolean;
  /** @throws {TypeError} when a field is missing or of the wrong kind */
  turns(record: DataRecord): LabelledTurn[];
  /** @throws {TypeError} when there is no picture */
  picture(record: DataRecord): Picture;
}

/** The columns in which to find fields; a field that there is no column for is absent. */
type Found = Readonly<Partial<Record<RecordField, string>>>;

interface Kind {
  /** Fields that must be there, besides `image` or `images`. */
  readonly fields: readonly RecordField[];
  turns(record: DataRecord, found: Found): LabelledTurn[];
}

/** The texts of The Cauldron and FineVision: questions of a `user` with answers. */
function cauldronTurns(record: DataRecord, { texts = "texts", category }: Found): LabelledTurn[] {
  return readList(record, texts).map((value) => {
    const text = readRecord(value, texts);
    return {
      question: readString(text, "user"),
      answer: readString(text, "assistant"),
      label: textOf(text["source"]) ?? (category && textOf(record[category])),
    };
  });
}

/** A message's text: itself, or its parts but for places of pictures. */
function contentOf(message: DataRecord): string {
  const { content } = message;
  if (!Array.isArray(content)) return readString(message, "content");
  return content.map((value) => {
    const part = readRecord(value, "content");
    const kind = readString(part, "type");
    if (kind === "text") return readString(part, "text");
    if (kind === "image") return "";
    throw new TypeError(
      `Cannot read field "content": found a part of type "${kind}", expected "text" or "image"`,
    );
  }).join("");
}

/** Messages in turn of a user and an assistant. */
function messageTurns(
  record: DataRecord,
  { messages = "messages", category }: Found,
): LabelledTurn[] {
  const all = readList(record, messages).map((value, at) => {
    const message = readRecord(value, messages);
    const role = readString(message, "role");
    const expected = at % 2 === 0 ? "user" : "assistant";
    if (role === expected) return contentOf(message);
    throw new TypeError(
      `Cannot read field "${messages}": found role "${role}" at place ${
        at + 1
      }, expected "${expected}"`,
    );
  });
  if (all.length % 2 === 1) {
    throw new TypeError(
      `Cannot read field "${messages}": found a question at the end, expected an answer behind it`,
    );
  }
  const label = category && textOf(record[category]);
  return all.flatMap((question, at) =>
    at % 2 === 0 ? [{ question, answer: all[at + 1] ?? "", label }] : []
  );
}

/** One question with its answer. */
function singleTurn(
  record: DataRecord,
  { question = "question", answer = "answer", category }: Found,
): LabelledTurn[] {
  return [{
    question: readString(record, question),
    answer: readString(record, answer),
    label: category && textOf(record[category]),
  }];
}

const KINDS: readonly Kind[] = [
  { fields: ["texts"], turns: cauldronTurns },
  { fields: ["messages"], turns: messageTurns },
  { fields: ["question", "answer"], turns: singleTurn },
];

/** For the error message. */
export const KNOWN_SCHEMAS = "images, texts (The Cauldron, FineVision) or image, question, " +
  "answer, category, l2_category (MMStar) or image, question, answer or image, messages";

/** A column that only MMStar has; its answers are letters. */
const MMSTAR_COLUMN = "l2_category";

/** Whether each question's ratings are high enough. */
function filterOf(columns: readonly string[], minimum: MinimumRatings) {
  const rated = RATINGS.map((kind) => ({ column: `${kind}_ratings`, least: minimum[kind] ?? 1 }))
    .filter(({ column }) => columns.includes(column));
  const isGood = (record: DataRecord, turn: number) =>
    rated.every(({ column, least }) => {
      const ratings = record[column];
      if (ratings === null || ratings === undefined) return true;
      const rating = readList(record, column)[turn];
      if (rating === null || rating === undefined) return true;
      if (typeof rating === "number" || typeof rating === "bigint") return rating >= least;
      throw wrongField(column, rating, "a number");
    });
  const hasFilter = rated.some(({ least }) => least > 1);
  return { columns: rated.map(({ column }) => column), hasFilter, isGood };
}

/**
 * The columns in which to find fields: those that the user names, if all of them are there, and
 * those that are called like fields.
 */
function findFields(columns: readonly string[], names: ColumnNames): Found {
  const own = ["image", "images", "texts", "messages", "question", "answer", "category"] as const;
  const found: Partial<Record<RecordField, string>> = {};
  for (const field of own) if (columns.includes(field)) found[field] = field;
  if (!found.category && columns.includes("source")) found.category = "source";
  return { ...found, ...names };
}

/**
 * Recognizes the schema of records.
 *
 * @param columns of the records
 * @param names columns by field, as the user gave them; they count where all of them are there
 * @param minimum of FineVision's ratings
 * @returns undefined where it is none that is known
 */
export function recognize(
  columns: readonly string[],
  names: ColumnNames,
  minimum: MinimumRatings,
): Schema | undefined {
  const named = Object.values(names);
  const isMapped = named.length > 0 && named.every((name) => columns.includes(name));
  const found = findFields(columns, isMapped ? names : {});
  const fits = (kind: Kind) => kind.fields.every((field) => found[field] !== undefined);
  // What the user names goes before what is there besides.
  const isNamed = (kind: Kind) => isMapped && kind.fields.some((field) => names[field]);
  const kind = KINDS.find((one) => fits(one) && isNamed(one)) ?? KINDS.find(fits);
  const image = isMapped && names.image ? names.image : found.images ?? found.image;
  if (!kind || image === undefined) return undefined;
  const { columns: ratings, hasFilter, isGood } = filterOf(columns, minimum);
  const category = found.category === undefined ? [] : [found.category];
  const isChoice = kind.turns === singleTurn && columns.includes(MMSTAR_COLUMN) && !isMapped;
  return {
    format: isChoice ? "multiple-choice" : "vqa",
    turnColumns: [...kind.fields.flatMap((field) => found[field] ?? []), ...ratings, ...category],
    hasOneTurn: kind.turns === singleTurn && !hasFilter,
    hasFilter,
    isMapped,
    turns: (record) => kind.turns(record, found).filter((_, turn) => isGood(record, turn)),
    picture: (record) => readPicture(record, image),
  };
}
