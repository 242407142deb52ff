/**
 * Rows from Parquet files in the two schemas that nanoVLM knows; opened by datasets.ts.
 *
 * Source: the dataset cards of HuggingFaceM4/the_cauldron (training) and Lin-Chen/MMStar (test),
 * and nanoVLM v0.1, data/datasets.py: of several pictures the first counts.
 */
import type { Dataset, Row, RowGroup, Turn } from "./dataset.ts";
import type { Parquet, ParquetRecord } from "./parquet.ts";

/** Columns by which a schema is recognized, and how its questions are meant. */
const SCHEMAS = [
  { name: "The Cauldron", columns: ["images", "texts"], format: "vqa" },
  { name: "MMStar", columns: ["image", "question", "answer"], format: "multiple-choice" },
] as const;

const YES_NO = new Set(
  "is are was were am do does did has have had can could will would should".split(" "),
);
const QUESTION_WORDS = new Set("what which how who whose where when why".split(" "));

/**
 * The kind of a question by its leading words: "yes/no", "what color", "how many", "where", …,
 * or "other".
 */
export function questionCategory(question: string): string {
  const words = question.toLowerCase().match(/[\p{L}\p{N}']+/gu) ?? [];
  const [first = "", second = ""] = words;
  if (YES_NO.has(first)) return "yes/no";
  if (/^(what|which) ((is|are) )?(the )?colou?rs?\b/.test(words.join(" "))) return "what color";
  if (!QUESTION_WORDS.has(first)) return "other";
  const takesSecond = ["what", "which", "how"].includes(first) && second !== "";
  return takesSecond ? `${first} ${second}` : first;
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return "nothing";
  return Array.isArray(value) ? "a list" : `a value of type ${typeof value}`;
}

function wrongField(field: string, value: unknown, expected: string): TypeError {
  return new TypeError(
    `Cannot read field "${field}": found ${kindOf(value)}, expected ${expected}`,
  );
}

/** A string, also where the file does not mark its bytes as text. */
function readString(record: ParquetRecord, field: string): string {
  const value = record[field];
  if (typeof value === "string") return value;
  if (value instanceof Uint8Array) return new TextDecoder().decode(value);
  throw wrongField(field, value, "text");
}

function readRecord(value: unknown, field: string): ParquetRecord {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw wrongField(field, value, "a struct");
  }
  return value as ParquetRecord;
}

function readList(record: ParquetRecord, field: string): unknown[] {
  const value = record[field];
  if (!Array.isArray(value)) throw wrongField(field, value, "a list");
  return value;
}

/** A picture is a struct of `bytes` and `path`, or the bare bytes. */
function readImage(value: unknown, field: string): { bytes: Uint8Array; path: string } {
  if (value instanceof Uint8Array) return { bytes: value, path: "" };
  const { bytes, path } = readRecord(value, field);
  if (!(bytes instanceof Uint8Array)) throw wrongField(`${field}.bytes`, bytes, "a picture file");
  return { bytes, path: typeof path === "string" ? path : "" };
}

/** Rows of one or several Parquet files. */
export class ParquetDataset implements Dataset {
  readonly name: string;
  readonly rows: number;
  readonly format: "vqa" | "multiple-choice";
  readonly groups: readonly RowGroup[];
  readonly #parquet: Parquet;
  /** Whether `source` tells questions apart; where it is always the same, their words do. */
  #sourceVaries = false;

  private constructor(
    parquet: Parquet,
    facts: { name: string; rows: number; format: "vqa" | "multiple-choice" },
  ) {
    this.#parquet = parquet;
    this.name = facts.name;
    this.rows = facts.rows;
    this.format = facts.format;
    this.groups = parquet.groups.filter(({ start }) => start < facts.rows)
      .map(({ start, rows, bytes }) => ({
        start,
        rows: Math.min(rows, facts.rows - start),
        bytes,
      }));
  }

  /**
   * Recognizes the schema.
   *
   * @param parquet the opened files
   * @param name what to call the dataset
   * @param maximumRows only that many rows from the start
   * @throws {TypeError} when the columns are of no known schema
   * @throws {RangeError} when there are no rows
   */
  static async open(
    parquet: Parquet,
    name: string,
    maximumRows: number = Infinity,
  ): Promise<ParquetDataset> {
    const { columns } = parquet;
    const schema = SCHEMAS.find((known) => known.columns.every((c) => columns.includes(c)));
    if (!schema) {
      const known = SCHEMAS.map((one) => `${one.columns.join(", ")} (${one.name})`).join(" or ");
      throw new TypeError(
        `Cannot open dataset "${name}": found columns "${
          columns.join(", ")
        }", expected ${known}. ` +
          `Rename or convert the columns.`,
      );
    }
    const rows = Math.min(parquet.rows, maximumRows);
    if (rows === 0) {
      throw new RangeError(`Cannot open dataset "${name}": found no rows, expected at least one`);
    }
    const dataset = new ParquetDataset(parquet, { name, rows, format: schema.format });
    if (schema.format === "vqa") await dataset.#surveySources();
    return dataset;
  }

  /** Looks through the first 1,000 rows, or until two sources have been seen. */
  async #surveySources(): Promise<void> {
    const sources = new Set<unknown>();
    let row = 0;
    for await (const texts of this.#parquet.column("texts")) {
      for (const text of Array.isArray(texts) ? texts : []) {
        sources.add(readRecord(text, "texts")["source"]);
      }
      this.#sourceVaries = sources.size > 1;
      row++;
      if (this.#sourceVaries || row >= Math.min(this.rows, 1000)) break;
    }
  }

  #turn(value: unknown): Turn {
    const text = readRecord(value, "texts");
    const question = readString(text, "user");
    const answer = readString(text, "assistant");
    const category = this.#sourceVaries ? readString(text, "source") : questionCategory(question);
    return { question, answer, category };
  }

  #cauldronRow(record: ParquetRecord, place: string): Row {
    const [first] = readList(record, "images");
    const { bytes, path } = readImage(first, "images");
    const turns = readList(record, "texts").map((text) => this.#turn(text));
    return { image: bytes, imageName: path ? `${place}, ${path}` : place, turns };
  }

  #mmstarRow(record: ParquetRecord, place: string): Row {
    const { bytes, path } = readImage(record["image"], "image");
    const question = readString(record, "question");
    const category = record["category"];
    const turn: Turn = {
      question,
      answer: readString(record, "answer"),
      category: typeof category === "string" ? category : questionCategory(question),
    };
    return { image: bytes, imageName: path ? `${place}, ${path}` : place, turns: [turn] };
  }

  /**
   * Reads one row.
   *
   * @throws {RangeError} when there is no such row
   * @throws {TypeError} when a field is missing or of the wrong kind
   * @throws {SyntaxError} when the file is damaged
   */
  async row(index: number): Promise<Row> {
    const record = await this.#parquet.record(index);
    const place = `${this.name}, row ${index}`;
    return this.format === "vqa"
      ? this.#cauldronRow(record, place)
      : this.#mmstarRow(record, place);
  }

  hold(numbers: readonly number[], next?: number): void {
    this.#parquet.hold(numbers, next);
  }

  /** Reads only the column of questions; a row without a list of them counts as none. */
  async turnCounts(): Promise<Uint32Array> {
    const counts = new Uint32Array(this.rows);
    if (this.format !== "vqa") return counts.fill(1);
    let row = 0;
    for await (const texts of this.#parquet.column("texts")) {
      if (row >= this.rows) break;
      counts[row++] = Array.isArray(texts) ? texts.length : 0;
    }
    return counts;
  }
}
