/**
 * Rows from records of any known schema, whatever the format of the files; opened by datasets.ts.
 *
 * Source: nanoVLM v0.1, data/datasets.py: of several pictures the first counts.
 */
import { CLASSES, classNames, columnOf, findFields, KNOWN_NAMES } from "./columns.ts";
import type { Dataset, Row, RowGroup, Turn } from "./dataset.ts";
import type { ColumnNames, DatasetOptions } from "./dataset_options.ts";
import { questionCategory } from "./question_category.ts";
import { missingText, nearest, PictureError } from "./record_fields.ts";
import type { DataRecord, RecordSource } from "./records.ts";
import { guessInFolder, readInFolder } from "./safe_path.ts";
import { KNOWN_SCHEMAS, type LabelledTurn, recognize, type Schema } from "./schemas.ts";

/** Rows whose labels are looked at before anything else. */
const SURVEY_ROWS = 1000;
/** Rows in which there must be a picture, where no column is one. */
const ROWS_WITH_PICTURE = 20;

/** A picture as it tells itself from others: the bytes of its file or their number, and its path. */
export interface PictureKey {
  readonly path: string;
  readonly bytes?: Uint8Array | number;
}

/** The files, and what to call them. */
export interface OpenedSource {
  readonly records: RecordSource;
  readonly name: string;
  /** Where pictures are that are named by paths; absent where none are followed. */
  readonly folder?: string | undefined;
  /** Files that are not among them, since nothing tells what they are. */
  readonly leftOut?: readonly string[] | undefined;
}

/** Rows of records. */
export class RecordDataset implements Dataset {
  readonly name: string;
  readonly rows: number;
  readonly format: Dataset["format"];
  readonly columns: readonly string[];
  readonly notes: readonly string[];
  readonly groups?: readonly RowGroup[];
  readonly mayLackTurns: boolean;
  /** Whether names of columns that the user gave were of use. */
  readonly isMapped: boolean;
  readonly #source: RecordSource;
  readonly #folder: string | undefined;
  readonly #schema: Schema;
  /** Whether labels tell questions apart; where they are all the same, the questions' words do. */
  #labelsVary = false;

  private constructor(opened: OpenedSource, schema: Schema) {
    const { records: source, name, folder, leftOut = [] } = opened;
    this.#source = source;
    this.#folder = folder;
    this.#schema = schema;
    this.name = name;
    this.rows = source.rows;
    this.columns = source.columns;
    this.format = schema.format;
    this.mayLackTurns = schema.hasFilter;
    this.isMapped = schema.isMapped;
    if (source.groups) this.groups = source.groups;
    this.notes = [
      ...(schema.asked ? [noteOf(name, schema.asked)] : []),
      ...(leftOut.length > 0 ? [leftOutNote(name, leftOut)] : []),
    ];
  }

  /**
   * Recognizes the schema.
   *
   * @throws {TypeError} when the columns are of no known schema
   * @throws {RangeError} when there are no rows
   */
  static async open(
    opened: OpenedSource,
    { columns: names = {}, minimumRatings: minimum = {} }: DatasetOptions,
  ): Promise<RecordDataset> {
    const { records: { rows, columns, features }, name } = opened;
    if (rows === 0) {
      throw new RangeError(`Cannot open dataset "${name}": found no rows, expected at least one`);
    }
    const schema = recognize(columns, { names, minimum, classes: classNames(features) });
    if (!schema) throw unknownSchema(name, columns, names);
    const { needed, turnColumns, pictureColumns } = schema;
    opened.records.useColumns?.(needed, [...turnColumns, ...pictureColumns]);
    const dataset = new RecordDataset(opened, schema);
    const isAmongMessages = schema.pictureColumns.every((one) => schema.turnColumns.includes(one));
    if (isAmongMessages && !await dataset.#hasPicture()) throw unknownSchema(name, columns, names);
    await dataset.#surveyLabels();
    return dataset;
  }

  /** Whether one of the first rows has a picture among its messages. */
  async #hasPicture(): Promise<boolean> {
    let row = 0;
    for await (const record of this.#source.select(this.#schema.pictureColumns)) {
      if (record && attempt(() => this.#schema.picture(record))) return true;
      if (++row >= ROWS_WITH_PICTURE) break;
    }
    return false;
  }

  /** Looks through the first 1,000 rows, or until two labels have been seen. */
  async #surveyLabels(): Promise<void> {
    const { turnColumns, hasOneTurn, turns } = this.#schema;
    if (hasOneTurn && turnColumns.length <= 2) return; // no column of labels
    const labels = new Set<string>();
    let row = 0;
    for await (const record of this.#source.select(turnColumns)) {
      for (const { label } of (record && attempt(() => turns(record, row))) ?? []) {
        if (label !== undefined) labels.add(label);
      }
      this.#labelsVary = labels.size > 1;
      if (this.#labelsVary || ++row >= SURVEY_ROWS) break;
    }
  }

  #turn = ({ question, answer, label }: LabelledTurn): Turn => {
    const category = (this.#labelsVary ? label : undefined) ?? this.#schema.asked?.kind ??
      questionCategory(question);
    return { question, answer, category };
  };

  async #image(record: DataRecord, index: number): Promise<{ bytes: Uint8Array; path: string }> {
    const picture = this.#schema.picture(record);
    if ("bytes" in picture) return picture;
    const { path } = picture;
    if (this.#folder === undefined) {
      throw new PictureError(
        `Cannot read picture "${path}": found a path on the Hub, expected the bytes of a file`,
      );
    }
    return { bytes: await readInFolder(path, this.#folder, this.#source.fileOf(index)), path };
  }

  /**
   * Reads one row.
   *
   * @throws {RangeError} when there is no such row
   * @throws {TypeError} when a field is missing or of the wrong kind
   * @throws {SyntaxError} when the file is damaged
   * @throws {PictureError} when there is no picture, or none in the dataset's folder
   */
  async row(index: number): Promise<Row> {
    const record = await this.#source.record(index);
    const turns = this.#schema.turns(record, index).map(this.#turn);
    const { bytes, path } = await this.#image(record, index);
    const place = `${this.name}, row ${index}`;
    return { image: bytes, imageName: path ? `${place}, ${path}` : place, turns };
  }

  /** Whether its files are on this machine, and pictures that they name are found. */
  get isLocal(): boolean {
    return this.#folder !== undefined;
  }

  /**
   * What tells the pictures of rows apart, in order: the bytes of a file; where one lies on this
   * machine, and its size; or undefined where there is none. Nothing is kept.
   */
  async *pictures(start: number, end: number): AsyncGenerator<PictureKey | undefined> {
    const rows = start === 0
      ? this.#source.select(this.#schema.pictureColumns)
      : this.#records(start);
    let row = start;
    for await (const record of rows) {
      const picture = record && attempt(() => this.#schema.picture(record));
      const isFile = picture && !("bytes" in picture) && this.#folder !== undefined;
      yield isFile
        ? guessInFolder(picture.path, this.#folder ?? "", this.#source.fileOf(row))
        : picture;
      if (++row >= end) return;
    }
  }

  /** Records from one on, read one by one. */
  async *#records(start: number): AsyncGenerator<DataRecord> {
    for (let row = start; row < this.rows; row++) yield await this.#source.record(row);
  }

  rowName(index: number): string {
    const place = this.#source.place?.(index);
    const isSame = place === undefined || place.startsWith(`row ${index} of `);
    return `${this.name}, row ${index}${isSame ? "" : ` (${place})`}`;
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
      counts[row] = record ? attempt(() => turns(record, row).length) ?? 1 : 1;
      row++;
    }
    return counts;
  }

  /** Reads only the columns of questions, and counts rows as `turnCounts()` does. */
  async *allTurns(most: number = Infinity): AsyncGenerator<readonly Turn[]> {
    const { turnColumns, turns } = this.#schema;
    let row = 0;
    for await (const record of this.#source.select(turnColumns)) {
      yield (record && attempt(() => turns(record, row).map(this.#turn))) ?? UNREADABLE;
      if (++row >= most) return;
    }
  }
}

/** Says what is asked where the data ask nothing. */
function noteOf(name: string, { questions, kind }: NonNullable<Schema["asked"]>): string {
  const list = questions.map((question) => `"${question}"`);
  return `${name} has a ${kind} for each picture and no questions: it is asked ` +
    (list.length === 1 ? list[0] : `${list.slice(0, -1).join(", ")} and ${list.at(-1)} in turn`);
}

/** Says which files are not used. */
function leftOutNote(name: string, files: readonly string[]): string {
  return `${name} has files of no known part or class, which are left out: ${files.length}, such ` +
    `as "${files[0]}"`;
}

function unknownSchema(
  name: string,
  columns: readonly string[],
  names: ColumnNames,
): TypeError {
  const hints = columns.flatMap((column) => {
    const most = Math.min(2, Math.ceil(column.length / 3));
    const known = KNOWN_NAMES.includes(column) ? undefined : nearest(column, KNOWN_NAMES, most);
    // Who slips gets the first letter right: "frage" is no slip of "image".
    const isSlip = known !== undefined && known[0] === column[0]?.toLowerCase();
    return isSlip ? [`"${known}" instead of "${column}"`] : [];
  });
  const { caption, question } = findFields(columns, {});
  const label = columnOf(columns, CLASSES);
  const both = caption !== undefined && label !== undefined && question === undefined
    ? ` Either of "${caption}" and "${label}" could be the answer, the first also the question.`
    : "";
  return new TypeError(
    `Cannot open dataset "${name}": found columns "${columns.join(", ")}", expected ` +
      `${KNOWN_SCHEMAS}.${hints.length > 0 ? ` Perhaps ${hints.join(", ")}.` : ""}` +
      `${both}${
        missingText(Object.values(names), columns)
      } Say which columns hold them, as with: ` +
      `--columns image=COLUMN,question=COLUMN,answer=COLUMN`,
  );
}

/** Stands for the questions of a row that cannot be read. */
const UNREADABLE: readonly Turn[] = [{ question: "", answer: "", category: "other" }];

/** What `read` gives, or undefined where a field is of the wrong kind or too much. */
function attempt<T>(read: () => T): T | undefined {
  try {
    return read();
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) return undefined;
    throw error;
  }
}
