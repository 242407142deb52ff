/**
 * Rows from records of any known schema, whatever the format of the files; opened by datasets.ts.
 *
 * Source: nanoVLM v0.1, data/datasets.py: of several pictures the first counts.
 */
import type { Dataset, Row, RowGroup, Turn } from "./dataset.ts";
import type { DatasetOptions } from "./dataset_options.ts";
import { questionCategory } from "./question_category.ts";
import { wrongField } from "./record_fields.ts";
import type { DataRecord, RecordSource } from "./records.ts";
import { KNOWN_SCHEMAS, type LabelledTurn, recognize, type Schema } from "./schemas.ts";

/** Rows whose labels are looked at before anything else. */
const SURVEY_ROWS = 1000;

/** Rows of records. */
export class RecordDataset implements Dataset {
  readonly name: string;
  readonly rows: number;
  readonly format: Dataset["format"];
  readonly columns: readonly string[];
  readonly groups?: readonly RowGroup[];
  readonly mayLackTurns: boolean;
  /** Whether names of columns that the user gave were of use. */
  readonly isMapped: boolean;
  readonly #source: RecordSource;
  readonly #schema: Schema;
  /** Whether labels tell questions apart; where they are all the same, the questions' words do. */
  #labelsVary = false;

  private constructor(source: RecordSource, schema: Schema, name: string) {
    this.#source = source;
    this.#schema = schema;
    this.name = name;
    this.rows = source.rows;
    this.columns = source.columns;
    this.format = schema.format;
    this.mayLackTurns = schema.hasFilter;
    this.isMapped = schema.isMapped;
    if (source.groups) this.groups = source.groups;
  }

  /**
   * Recognizes the schema.
   *
   * @param source the opened files
   * @param name what to call the dataset
   * @throws {TypeError} when the columns are of no known schema
   * @throws {RangeError} when there are no rows
   */
  static async open(
    source: RecordSource,
    name: string,
    { columns = {}, minimumRatings = {} }: DatasetOptions,
  ): Promise<RecordDataset> {
    if (source.rows === 0) {
      throw new RangeError(`Cannot open dataset "${name}": found no rows, expected at least one`);
    }
    const schema = recognize(source.columns, columns, minimumRatings);
    if (!schema) {
      throw new TypeError(
        `Cannot open dataset "${name}": found columns "${source.columns.join(", ")}", expected ` +
          `${KNOWN_SCHEMAS}. Say which columns hold them, as with: ` +
          `--columns image=COLUMN,question=COLUMN,answer=COLUMN`,
      );
    }
    const dataset = new RecordDataset(source, schema, name);
    await dataset.#surveyLabels();
    return dataset;
  }

  /** Looks through the first 1,000 rows, or until two labels have been seen. */
  async #surveyLabels(): Promise<void> {
    const { turnColumns, hasOneTurn, turns } = this.#schema;
    if (hasOneTurn && turnColumns.length <= 2) return; // no column of labels
    const labels = new Set<string>();
    let row = 0;
    for await (const record of this.#source.select(turnColumns)) {
      for (const { label } of (record && attempt(() => turns(record))) ?? []) {
        if (label !== undefined) labels.add(label);
      }
      this.#labelsVary = labels.size > 1;
      if (this.#labelsVary || ++row >= SURVEY_ROWS) break;
    }
  }

  #turn = ({ question, answer, label }: LabelledTurn): Turn => {
    const category = (this.#labelsVary ? label : undefined) ?? questionCategory(question);
    return { question, answer, category };
  };

  async #image(record: DataRecord, index: number): Promise<{ bytes: Uint8Array; path: string }> {
    const picture = this.#schema.picture(record);
    if ("bytes" in picture) return picture;
    const { path } = picture;
    if (!this.#source.readPicture) throw wrongField("image", path, "a picture file's bytes");
    return { bytes: await this.#source.readPicture(index, path), path };
  }

  /**
   * Reads one row.
   *
   * @throws {RangeError} when there is no such row
   * @throws {TypeError} when a field is missing or of the wrong kind
   * @throws {SyntaxError} when the file is damaged
   * @throws {Error} when a picture is not in the dataset's folder
   */
  async row(index: number): Promise<Row> {
    const record = await this.#source.record(index);
    const turns = this.#schema.turns(record).map(this.#turn);
    const { bytes, path } = await this.#image(record, index);
    const place = `${this.name}, row ${index}`;
    return { image: bytes, imageName: path ? `${place}, ${path}` : place, turns };
  }

  hold(numbers: readonly number[], next?: number): void {
    this.#source.hold?.(numbers, next);
  }

  /**
   * Reads only the columns of questions. A row whose questions cannot be read counts as one, so
   * that who reads the dataset meets it.
   */
  async turnCounts(): Promise<Uint32Array> {
    const counts = new Uint32Array(this.rows).fill(1);
    const { turnColumns, hasOneTurn, turns } = this.#schema;
    if (hasOneTurn) return counts;
    let row = 0;
    for await (const record of this.#source.select(turnColumns)) {
      counts[row++] = record ? attempt(() => turns(record).length) ?? 1 : 1;
    }
    return counts;
  }

  /** Reads only the columns of questions, and counts rows as `turnCounts()` does. */
  async *allTurns(most: number = Infinity): AsyncGenerator<readonly Turn[]> {
    const { turnColumns, turns } = this.#schema;
    let row = 0;
    for await (const record of this.#source.select(turnColumns)) {
      yield (record && attempt(() => turns(record).map(this.#turn))) ?? UNREADABLE;
      if (++row >= most) return;
    }
  }
}

/** Stands for the questions of a row that cannot be read. */
const UNREADABLE: readonly Turn[] = [{ question: "", answer: "", category: "other" }];

/** What `read` gives, or undefined where a field is of the wrong kind. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}
