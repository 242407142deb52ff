/**
 * Which columns hold the picture, the question and the answer, by the names that people give them;
 * below schemas.ts. Ours, after the datasets on the Hub.
 */
import type { ColumnNames, RecordField } from "./dataset_options.ts";
import { isRecord } from "./record_fields.ts";

/** The names of classes by column. */
export type ClassNames = ReadonlyMap<string, readonly string[]>;

/** The columns in which to find fields; a field that there is no column for is absent. */
export type Found = Readonly<Partial<Record<RecordField, string>>>;

/** What a picture is called, and what of it a column can hold. */
const PICTURES = "image img images imgs pictures picture photos photo pics pic".split(" ");
const HELD = "path paths file files file_name file_names filename bytes base64 b64 data url".split(
  " ",
);

/** Names by field, the likeliest first. */
const NAMES: Readonly<Record<RecordField, readonly string[]>> = {
  images: ["images"],
  image: [
    ...PICTURES.filter((name) => name !== "images"),
    ...HELD.flatMap((what) => PICTURES.map((picture) => `${picture}_${what}`)),
    ..."jpg jpeg png file_name file_names filename file_path filepath path file".split(" "),
  ],
  texts: ["texts"],
  messages: ["messages", "conversations", "conversation"],
  question: ["question", "query", "prompt", "instruction", "problem"],
  answer: (
    "answer multiple_choice_answer answers response output reply completion solution target label"
  ).split(" "),
  caption: ["caption", "captions", "text", "description"],
  category: ["category", "source"],
};

/** What a class is called that is the answer, where there is no question. */
export const CLASSES: readonly string[] = ["label", "labels", "class", "class_name"];

/** "imagePath", "Image Path" and "image_path" are the same. */
function plain(name: string): string {
  return name.replace(/([a-z])([A-Z])/g, "$1_$2").toLowerCase().replace(/[^a-z0-9]+/g, "_");
}

/** The column that is called by the first of names that any is called by. */
export function columnOf(columns: readonly string[], names: readonly string[]): string | undefined {
  const byName = new Map(columns.toReversed().map((column) => [plain(column), column]));
  const name = names.find((one) => byName.has(one));
  return name === undefined ? undefined : byName.get(name);
}

/** The columns in which to find fields: by their names, and those that the user names. */
export function findFields(columns: readonly string[], names: ColumnNames): Found {
  const found: Partial<Record<RecordField, string>> = {};
  for (const [field, known] of Object.entries(NAMES) as [RecordField, readonly string[]][]) {
    const column = columnOf(columns, known);
    if (column !== undefined) found[field] = column;
  }
  return { ...found, ...names };
}

/** The names of classes that numbers stand for, by column; none where nothing is told about them. */
export function classNames(features: string | undefined): ClassNames {
  const names = new Map<string, readonly string[]>();
  let told: unknown;
  try {
    told = JSON.parse(features ?? "{}");
  } catch {
    return names; // of no use, and no harm: the numbers are the answers
  }
  const info = isRecord(told) && isRecord(told["info"]) ? told["info"]["features"] : undefined;
  for (const [column, feature] of Object.entries(isRecord(info) ? info : {})) {
    const inner = isRecord(feature) && isRecord(feature["feature"]) ? feature["feature"] : feature;
    const list = isRecord(inner) ? inner["names"] : undefined;
    if (Array.isArray(list)) names.set(column, list.map(String));
  }
  return names;
}

/** The names that a column is recognized by, for a hint at one that is misspelt. */
export const KNOWN_NAMES: readonly string[] = Object.values(NAMES).flat();
