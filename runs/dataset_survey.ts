/**
 * Looks through a dataset: how large and how long everything is, and what training would leave out,
 * and why.
 *
 * Between data/ and inspect.ts. Ours.
 */
import { reasonAt } from "../data/bad_rows.ts";
import { encodeTurn } from "../data/collator.ts";
import { type Dataset, type DatasetPart, rowName } from "../data/dataset.ts";
import type { Row, Turn } from "../data/datasets.ts";
import { HubError } from "../data/hub.ts";
import { decodeImage } from "../data/image.ts";
import { readImageHeader } from "../data/image_header.ts";
import { PictureError } from "../data/record_fields.ts";
import { Random } from "../data/random.ts";
import type { Tokenizer } from "../data/tokenizer.ts";
import { PictureSizes } from "./picture_advice.ts";
import { Tally } from "./tally.ts";

/** How to look. */
export interface SurveyOptions {
  readonly tokenizer: Tokenizer;
  /** Tokens of a question with its answer that training takes. */
  readonly maxLength: number;
  readonly questionsPerRow: "first" | "all";
  /** Rows to look at, from the start of every source; all by default. */
  readonly limit?: number;
  /** Rows to choose for a closer look. */
  readonly samples: number;
  /** Of that choice. */
  readonly seed: number;
  /** The same dataset with all questions, where some are left out for their ratings. */
  readonly unfiltered?: Dataset;
  /** Told after every row how many are done. */
  readonly onRow?: (done: number, of: number) => void;
}

/** Why training leaves rows out. */
const REASONS = [
  "no picture",
  "unreadable picture",
  "bad record",
  "no questions",
  "ratings too low",
] as const;

/** Rows that training leaves out for one reason. */
export interface DroppedRows {
  readonly reason: (typeof REASONS)[number];
  readonly rows: number;
  /** A few of them. */
  readonly examples: readonly { readonly place: string; readonly message: string }[];
}

/** Questions of one kind. */
export interface Category {
  readonly name: string;
  readonly questions: number;
  /** How many of them are too long. */
  readonly tooLong: number;
}

/** What was found. Questions are those that training takes from rows that it can read. */
export interface Survey {
  readonly name: string;
  readonly format: Dataset["format"];
  readonly columns: readonly string[] | undefined;
  readonly parts: readonly DatasetPart[];
  readonly rowGroups: { readonly count: number; readonly bytes: number };
  readonly rows: number;
  /** Rows that were looked at. */
  readonly scanned: number;
  readonly questionsPerRow: "first" | "all";
  readonly questions: number;
  readonly tooLong: number;
  /** Questions that are left out for their ratings; undefined where no rating is asked for. */
  readonly ratedOut: number | undefined;
  readonly maxLength: number;
  /** Questions of a row, taken or not. */
  readonly turns: Tally;
  /** Tokens of prompt, answer and end token together; and of the answer with its end token. */
  readonly lengths: Tally;
  readonly answerLengths: Tally;
  readonly pictures: {
    readonly types: ReadonlyMap<string, number>;
    readonly bytes: Tally;
    readonly sizes: PictureSizes;
  };
  /** The answers, the most frequent first. */
  readonly answers: readonly { readonly text: string; readonly questions: number }[];
  /** Questions that the most frequent answer of their kind is right for. */
  readonly guessable: number;
  /** What was decided about the data. */
  readonly notes: readonly string[];
  /** In the order of REASONS, without those that no row has. */
  readonly dropped: readonly DroppedRows[];
  /** The largest first. */
  readonly categories: readonly Category[];
  /** Numbers of rows to look closer at, in order. */
  readonly samples: readonly number[];
}

/** Examples of a reason that are kept. */
const MOST_EXAMPLES = 3;

/**
 * Looks through a dataset's rows, pictures and all.
 *
 * @throws {HubError} where the Hub fails, which says nothing about the rows
 */
export async function surveyDataset(dataset: Dataset, options: SurveyOptions): Promise<Survey> {
  const scan = new Scan(dataset, options);
  const rows = rowsToScan(dataset, options.limit ?? Infinity);
  for (const [i, row] of rows.entries()) {
    await scan.row(row);
    options.onRow?.(i + 1, rows.length);
  }
  return scan.result(rows);
}

/** The first rows of every source, in proportion to its rows. */
export function rowsToScan({ rows, parts }: Dataset, limit: number): number[] {
  const share = Math.min(1, limit / rows);
  return (parts ?? [{ start: 0, rows }]).flatMap((part) => {
    const count = Math.max(1, Math.round(share * part.rows));
    return Array.from({ length: count }, (_, i) => part.start + i);
  });
}

/** A survey under way. */
class Scan {
  readonly #dataset: Dataset;
  readonly #options: SurveyOptions;
  readonly #random: Random;
  readonly #turns = new Tally();
  readonly #lengths = new Tally();
  readonly #answerLengths = new Tally();
  readonly #pictures = {
    types: new Map<string, number>(),
    bytes: new Tally(),
    sizes: new PictureSizes(),
  };
  /** How often each answer is right, by kind. */
  readonly #answers = new Map<string, Map<string, number>>();
  readonly #dropped = new Map<string, { rows: number; examples: DroppedRows["examples"] }>();
  readonly #categories = new Map<string, Category>();
  readonly #samples: number[] = [];
  #goodRows = 0;
  #ratedOut = 0;
  /** What a file's last damage was. */
  #damage = "";
  /** Rows before this one have it too. */
  #damagedEnd = 0;

  constructor(dataset: Dataset, options: SurveyOptions) {
    this.#dataset = dataset;
    this.#options = options;
    this.#random = new Random(options.seed);
  }

  async row(index: number): Promise<void> {
    const row = await this.#read(index);
    if (!row) return;
    const all = (await this.#options.unfiltered?.row(index) ?? row).turns.length;
    this.#ratedOut += all - row.turns.length;
    if (row.turns.length === 0) {
      const reason = all > 0 ? "ratings too low" : "no questions";
      return this.#drop(reason, index, `Found ${all} questions, and none to take.`);
    }
    if (!await this.#picture(row, index)) return;
    this.#turns.add(row.turns.length);
    const isFirst = this.#options.questionsPerRow === "first";
    for (const turn of isFirst ? row.turns.slice(0, 1) : row.turns) this.#turn(turn);
    this.#consider(index);
  }

  async #read(index: number): Promise<Row | undefined> {
    if (index < this.#damagedEnd) return void this.#drop("bad record", index, this.#damage);
    try {
      return await this.#dataset.row(index);
    } catch (error) {
      if (error instanceof HubError) throw error;
      const message = error instanceof Error ? error.message : String(error);
      if (error instanceof SyntaxError) this.#noteDamage(index, message);
      this.#drop(error instanceof PictureError ? "no picture" : "bad record", index, message);
    }
  }

  /** Twice the same damage is that of a whole row group, which is not read again for every row. */
  #noteDamage(index: number, message: string): void {
    const group = this.#dataset.groups?.find(({ start, rows }) =>
      index >= start && index < start + rows
    );
    if (group && message === this.#damage) this.#damagedEnd = group.start + group.rows;
    this.#damage = message;
  }

  /** Whether the row's picture can be read. */
  async #picture({ image, imageName }: Row, index: number): Promise<boolean> {
    const { types, bytes, sizes } = this.#pictures;
    try {
      const isFile = image instanceof Uint8Array;
      const { width, height } = isFile ? await decodeImage(image, imageName) : image;
      const type = isFile ? readImageHeader(image, imageName).type : "drawn";
      types.set(type, (types.get(type) ?? 0) + 1);
      if (isFile) bytes.add(image.length);
      sizes.add({ width, height });
      return true;
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      this.#drop("unreadable picture", index, message);
      return false;
    }
  }

  #drop(reason: DroppedRows["reason"], index: number, message: string): void {
    const { rows, examples } = this.#dropped.get(reason) ?? { rows: 0, examples: [] };
    const place = rowName(this.#dataset, index);
    const example = { place, message: reasonAt(place, message) };
    const kept = rows < MOST_EXAMPLES ? [...examples, example] : examples;
    this.#dropped.set(reason, { rows: rows + 1, examples: kept });
  }

  #turn(turn: Turn): void {
    const { ids, unlabelled } = encodeTurn(this.#options.tokenizer, turn);
    this.#lengths.add(ids.length);
    this.#answerLengths.add(ids.length - 1 - unlabelled);
    const answers = this.#answers.get(turn.category) ?? new Map<string, number>();
    this.#answers.set(turn.category, answers);
    const answer = turn.answer.trim();
    answers.set(answer, (answers.get(answer) ?? 0) + 1);
    const { questions, tooLong } = this.#categories.get(turn.category) ??
      { questions: 0, tooLong: 0 };
    this.#categories.set(turn.category, {
      name: turn.category,
      questions: questions + 1,
      tooLong: tooLong + (ids.length > this.#options.maxLength ? 1 : 0),
    });
  }

  /** Keeps each row with the same chance. */
  #consider(index: number): void {
    const place = this.#random.below(++this.#goodRows);
    if (this.#samples.length < this.#options.samples) this.#samples.push(index);
    else if (place < this.#samples.length) this.#samples[place] = index;
  }

  result(rows: readonly number[]): Survey {
    const { name, format, columns, groups = [], parts = [], notes = [] } = this.#dataset;
    const kinds = [...this.#answers.values()];
    const { questionsPerRow, maxLength } = this.#options;
    return {
      ...{ name, format, columns, parts, questionsPerRow, maxLength, notes },
      rowGroups: { count: groups.length, bytes: groups.reduce((sum, { bytes }) => sum + bytes, 0) },
      rows: this.#dataset.rows,
      scanned: rows.length,
      questions: this.#lengths.count,
      tooLong: this.#lengths.above(maxLength),
      ratedOut: this.#options.unfiltered ? this.#ratedOut : undefined,
      turns: this.#turns,
      lengths: this.#lengths,
      answerLengths: this.#answerLengths,
      pictures: this.#pictures,
      answers: sumsOf(kinds),
      guessable: kinds.reduce(
        (sum, its) => sum + its.values().reduce((a, b) => Math.max(a, b), 0),
        0,
      ),
      dropped: REASONS.flatMap((reason) => {
        const its = this.#dropped.get(reason);
        return its ? [{ reason, ...its }] : [];
      }),
      categories: [...this.#categories.values()].sort((a, b) => b.questions - a.questions),
      samples: this.#samples.toSorted((a, b) => a - b),
    };
  }
}

/** The answers of all kinds, the most frequent first. */
function sumsOf(kinds: readonly ReadonlyMap<string, number>[]): Survey["answers"] {
  const sums = new Map<string, number>();
  for (const [text, count] of kinds.flatMap((answers) => [...answers])) {
    sums.set(text, (sums.get(text) ?? 0) + count);
  }
  return [...sums].map(([text, questions]) => ({ text, questions }))
    .sort((a, b) => b.questions - a.questions);
}
