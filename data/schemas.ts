/**
 * The schemas of datasets that are known: by which columns each is recognized, and how a record
 * becomes a picture with questions. Between the records and record_dataset.ts.
 *
 * Source: the dataset cards of HuggingFaceM4/the_cauldron, HuggingFaceM4/FineVision and
 * Lin-Chen/MMStar; nanoVLM's data/datasets.py, for FineVision's ratings at its version of October
 * 2025: a question is left out if one of its ratings is below the minimum. The `datasets` library's
 * imagefolder, LLaVA and TRL for the other forms.
 */
import { CLASSES, type ClassNames, columnOf, findFields, type Found } from "./columns.ts";
import type { ColumnNames, MinimumRatings, RecordField } from "./dataset_options.ts";
import { RATINGS } from "./dataset_options.ts";
import { isMessages, pictureInMessages, turnsOf } from "./messages.ts";
import {
  answerOf,
  type Picture,
  pictureOf,
  readList,
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
  /** Columns that must be there. */
  readonly needed: readonly string[];
  /** Columns that `turns()` reads. */
  readonly turnColumns: readonly string[];
  /** Columns that `picture()` reads. */
  readonly pictureColumns: readonly string[];
  /** Whether every record has exactly one question. */
  readonly hasOneTurn: boolean;
  /** Whether questions may be left out for their ratings. */
  readonly hasFilter: boolean;
  /** Whether names of columns that the user gave were of use. */
  readonly isMapped: boolean;
  /** The questions that are asked where records have only answers, and the kind that they are of. */
  readonly asked: { readonly questions: readonly string[]; readonly kind: string } | undefined;
  /**
   * The questions of a record.
   *
   * @param index the record's number
   * @throws {TypeError} when a field is missing or of the wrong kind
   */
  turns(record: DataRecord, index: number): LabelledTurn[];
  /** @throws {PictureError} when there is no picture */
  picture(record: DataRecord): Picture;
}

/** What the records of a kind are read with. */
interface Reading {
  readonly found: Found;
  readonly classes: ClassNames;
  readonly index: number;
}

interface Kind {
  /** Fields that must be there, besides `image` or `images`. */
  readonly fields: readonly RecordField[];
  readonly hasOneTurn?: boolean;
  readonly asked?: NonNullable<Schema["asked"]>;
  turns(record: DataRecord, reading: Reading): LabelledTurn[];
}

/** What is asked for captions, in turn. */
const CAPTION_QUESTIONS = [
  "What does the picture show?",
  "Describe the picture.",
  "What can be seen in the picture?",
  "Write a caption for the picture.",
];

/** What is asked for classes. */
const CLASS_QUESTION = "What is it?";

/** Places of pictures in questions: "<image>" in LLaVA's data, "<image 1>", "<|image|>" in others. */
const PLACES = /<\|?image(?:[ _]?\d+)?\|?>/g;

/** A question without places of pictures, as LLaVA takes them out. */
function withoutPlaces(question: string): string {
  return question.search(PLACES) < 0 ? question : question.replaceAll(PLACES, "").trim();
}

/** The kind of questions that a record names. */
function labelOf(record: DataRecord, { found: { category }, classes }: Reading) {
  return category && answerOf(record[category], classes.get(category));
}

/** The texts of The Cauldron and FineVision: questions of a `user` with answers. */
function cauldronTurns(record: DataRecord, reading: Reading): LabelledTurn[] {
  const { texts = "texts" } = reading.found;
  return readList(record, texts).map((value) => {
    const text = readRecord(value, texts);
    return {
      question: withoutPlaces(readString(text, "user")),
      answer: readString(text, "assistant"),
      label: textOf(text["source"]) ?? labelOf(record, reading),
    };
  });
}

function labelled(turns: readonly [string, string][], label: string | undefined): LabelledTurn[] {
  return turns.map(([question, answer]) => ({ question: withoutPlaces(question), answer, label }));
}

/** Messages in turn of a user and an assistant. */
function messageTurns(record: DataRecord, reading: Reading): LabelledTurn[] {
  const { messages = "messages" } = reading.found;
  return labelled(turnsOf(readList(record, messages), messages), labelOf(record, reading));
}

/**
 * The answer in words. A number where there are choices is the place of one of them, or one of them
 * itself: where they are numbers, or texts of numbers that are no places.
 */
function readAnswer(
  record: DataRecord,
  { found: { answer = "answer" }, classes }: Reading,
): string {
  const field = ["choices", "options"].find((name) => (record[name] ?? "") !== "");
  const text = textOf(record[answer])?.trim() ?? ""; // a number is text in CSV
  const value = field !== undefined && /^\d+$/.test(text) ? Number(text) : record[answer];
  const isNumber = /^(number|bigint)$/.test(typeof value);
  let names = classes.get(answer);
  if (isNumber && field !== undefined) {
    const choices = readList(record, field);
    names = choices.map((choice) => answerOf(choice) ?? "");
    const areValues = text !== "" || textOf(choices[0]) === undefined ||
      names.every((name) => !(Number(name) in choices));
    if (areValues && names.includes(text || String(value))) return text || String(value);
  }
  const words = answerOf(value, names);
  if (words !== undefined) return words;
  const unlabelled = Number(value) === -1 ? ": -1 stands for no label" : "";
  const expected = isNumber && names
    ? `a number from 0 to ${names.length - 1}${unlabelled}`
    : "text, a number or a list of them";
  throw wrongField(answer, value, expected, record);
}

/** One question with its answer; in TRL's form of messages perhaps several. */
function singleTurn(record: DataRecord, reading: Reading): LabelledTurn[] {
  const { question = "question", answer = "answer", category: _ } = reading.found;
  const label = labelOf(record, reading);
  if (isMessages(record[question])) {
    const all = [...readList(record, question), ...readList(record, answer)];
    return labelled(turnsOf(all, question), label);
  }
  return labelled([[readString(record, question), readAnswer(record, reading)]], label);
}

/** Captions, each asked for in another way. */
function captionTurns(record: DataRecord, { found, index }: Reading): LabelledTurn[] {
  const { caption = "caption" } = found;
  const value = record[caption];
  const captions = (Array.isArray(value) ? readList(record, caption) : [value]).map((one) =>
    answerOf(one)
  );
  return captions.map((answer, at) => {
    if (answer === undefined) throw wrongField(caption, record[caption], "text", record);
    const question = CAPTION_QUESTIONS[(index + at) % CAPTION_QUESTIONS.length] ?? "";
    return { question, answer, label: undefined };
  });
}

/** The class of what is in the picture. */
function classTurns(record: DataRecord, reading: Reading): LabelledTurn[] {
  return [{ question: CLASS_QUESTION, answer: readAnswer(record, reading), label: undefined }];
}

const KINDS: readonly Kind[] = [
  { fields: ["texts"], turns: cauldronTurns },
  { fields: ["messages"], turns: messageTurns },
  { fields: ["question", "answer"], turns: singleTurn, hasOneTurn: true },
  {
    fields: ["caption"],
    turns: captionTurns,
    asked: { questions: CAPTION_QUESTIONS, kind: "caption" },
  },
  {
    fields: ["answer"],
    turns: classTurns,
    hasOneTurn: true,
    asked: { questions: [CLASS_QUESTION], kind: "class" },
  },
];

/** For the error message. */
export const KNOWN_SCHEMAS = "a picture (image, picture, photo, file_name, …) with question and " +
  "answer, messages, conversations, texts, a caption or a label";

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

/** The kind of records with these fields; what the user names goes before what is there besides. */
function kindOf(columns: readonly string[], found: Found, names: ColumnNames): Kind | undefined {
  const isNamed = (kind: Kind) => kind.fields.some((field) => names[field] !== undefined);
  const kinds = KINDS.filter(({ fields }) => fields.every((field) => found[field] !== undefined));
  const kind = kinds.find(isNamed) ?? kinds[0];
  const label = columnOf(columns, CLASSES);
  // A caption beside a class: either could be meant.
  if (kind?.asked && kinds.length > 1 && label !== undefined && !isNamed(kind)) return undefined;
  return kind;
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
  { names, minimum, classes }: {
    names: ColumnNames;
    minimum: MinimumRatings;
    classes: ClassNames;
  },
): Schema | undefined {
  const named = Object.values(names);
  const isMapped = named.length > 0 && named.every((name) => columns.includes(name));
  const given = isMapped ? names : {};
  const fields = findFields(columns, given);
  const isAsked = fields.question !== undefined || given.answer !== undefined;
  const label = columnOf(columns, CLASSES);
  // Without a question only what is called like a class is one.
  const { answer: _, ...others } = fields;
  const found: Found = isAsked
    ? { ...fields.caption === undefined ? {} : { answer: fields.caption }, ...fields }
    : label === undefined
    ? others
    : { ...others, answer: label };
  const kind = kindOf(columns, found, given);
  const own = given.image ?? given.images;
  const images = own === undefined ? [found.images ?? [], found.image ?? []].flat() : [own];
  const [first] = images;
  const messages = kind?.turns === messageTurns ? found.messages : undefined;
  if (!kind || (first === undefined && messages === undefined)) return undefined;
  const { columns: ratings, hasFilter, isGood } = filterOf(columns, minimum);
  const more = [
    found.category ?? [],
    ["choices", "options"].filter((one) => columns.includes(one)),
  ];
  const isChoice = kind.turns === singleTurn && columns.includes(MMSTAR_COLUMN) && !isMapped;
  const columnsOfKind = kind.fields.flatMap((field) => found[field] ?? []);
  return {
    format: isChoice ? "multiple-choice" : "vqa",
    needed: [...columnsOfKind, images.length === 1 && messages === undefined ? images : []].flat(),
    turnColumns: [...new Set([...columnsOfKind, ...ratings, ...more.flat()])],
    pictureColumns: [...images, messages ?? []].flat(),
    hasOneTurn: kind.hasOneTurn === true && !hasFilter && found.question !== "prompt",
    hasFilter,
    isMapped,
    asked: kind.asked,
    turns: (record, index) => {
      const turns = kind.turns(record, { found, classes, index });
      const isBlank = ({ answer }: LabelledTurn) => answer.trim() === "";
      if (turns.length > 0 && turns.every(isBlank)) {
        throw wrongField(columnsOfKind.at(-1) ?? "answer", undefined, "an answer");
      }
      return turns.filter((turn, at) => !isBlank(turn) && isGood(record, at));
    },
    picture: (record) => {
      const image = images.find((column) => (record[column] ?? undefined) !== undefined);
      return image === undefined && messages !== undefined
        ? pictureInMessages(readList(record, messages), messages)
        : pictureOf(record[image ?? first ?? ""], image ?? first ?? "", record);
    },
  };
}
