/**
 * A survey of a dataset for the terminal, in 80 columns, and as plain data for JSON.
 *
 * Between dataset_survey.ts and inspect.ts. Ours.
 */
import { printable } from "../data/terminal.ts";
import type { Survey } from "./dataset_survey.ts";
import { percent } from "./report.ts";
import type { Tally } from "./tally.ts";

/** Bars of the histogram. */
const MOST_BINS = 14;
const BAR_COLUMNS = 40;
/** Of a kind of question. */
const NAME_COLUMNS = 28;
/** Answers that are listed. */
const MOST_ANSWERS = 10;
/** Kinds of questions that are listed. */
const MOST_CATEGORIES = 20;
/** Columns that are named. */
const MOST_COLUMNS = 20;
/** Characters of an error message that are shown. */
const MOST_CHARACTERS = 300;

/** "1,234". */
export function grouped(value: number): string {
  return value.toLocaleString("en", { maximumFractionDigits: 0 });
}

/** "812 B", "81 kB", "1.5 MB". */
export function sizeText(bytes: number): string {
  const unit = ["B", "kB", "MB", "GB", "TB"];
  const step = bytes < 1000 ? 0 : Math.min(4, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step === 0 || value >= 99.5 ? value.toFixed(0) : value.toPrecision(2)} ${unit[step]}`;
}

/** "5 to 12, median 10", or the one value that there is. */
export function spreadText(tally: Tally, format: (value: number) => string = grouped): string {
  const { least, median, most } = tally.spread;
  if (tally.count === 0) return "none";
  return least === most
    ? format(least)
    : `${format(least)} to ${format(most)}, median ${format(median)}`;
}

/** A share of all, or a dash where there are none. */
export function shareText(part: number, of: number): string {
  return of === 0 ? "–" : percent(part / of);
}

/** "4,000 rows", or how many of them were looked at. */
export function rowsText({ rows, scanned }: Survey): string {
  return rows === scanned
    ? `${grouped(rows)} rows`
    : `${grouped(rows)} rows, of which ${grouped(scanned)} were looked at`;
}

/** "PNG 3,990, JPEG 10". */
export function typesText({ pictures: { types } }: Survey): string {
  return [...types].sort(([, a], [, b]) => b - a)
    .map(([type, count]) => types.size === 1 ? type : `${type} ${grouped(count)}`).join(", ");
}

/** What the user can do about questions that are too long; "" where there are none. */
export function lengthAdvice({ lengths, tooLong }: Survey): string {
  if (tooLong === 0) return "";
  const [most, all] = [lengths.quantile(0.99), lengths.quantile(1)];
  return `--set lm_max_length=${all} takes all of them` +
    (most < all ? `, ${most} takes 99 %.` : ".");
}

/** Names of columns, or the first of many. */
export function columnsText(columns: readonly string[]): string {
  const shown = columns.slice(0, MOST_COLUMNS).map((name) => printable(name, MOST_CHARACTERS));
  const more = columns.length - shown.length;
  return shown.join(", ") + (more > 0 ? ` and ${grouped(more)} more` : "");
}

function facts(survey: Survey): string[][] {
  const { columns, parts, rowGroups, turns, pictures, ratedOut, questions } = survey;
  return [
    ...(columns ? [["Columns", columnsText(columns)]] : []),
    ...parts.map(({ name, rows, weight }, i) => [
      i === 0 ? "Sources" : "",
      `${printable(name)}: ${grouped(rows)} rows${
        weight === undefined ? "" : `, weight ${weight}`
      }`,
    ]),
    ...(rowGroups.count > 0
      ? [["Row groups", `${grouped(rowGroups.count)}, ${sizeText(rowGroups.bytes)} in memory`]]
      : []),
    ["Answers", survey.format === "vqa" ? "free text" : "the letter of a choice"],
    ["Questions", `${spreadText(turns)} a row; ${grouped(questions)} to learn from`],
    ...(ratedOut === undefined ? [] : [["", `${grouped(ratedOut)} left out for their ratings`]]),
    ["Pictures", typesText(survey) || "none"],
    ["  width", spreadText(pictures.sizes.widths)],
    ["  height", spreadText(pictures.sizes.heights)],
    ...(pictures.bytes.count > 0 ? [["  file", spreadText(pictures.bytes, sizeText)]] : []),
    ["Tokens", `${spreadText(survey.lengths)} with prompt and answer`],
    ["  answer", spreadText(survey.answerLengths)],
  ];
}

function histogram({ lengths, maxLength }: Survey): string[] {
  const bins = lengths.bins(MOST_BINS, maxLength);
  const highest = Math.max(...bins.map(({ count }) => count));
  const labels = bins.map(({ from, to }) =>
    to === Infinity
      ? `from ${grouped(from)}`
      : from === to
      ? grouped(from)
      : `${grouped(from)} to ${grouped(to)}`
  );
  const width = Math.max(...labels.map((label) => label.length));
  return bins.map(({ count, over }, i) => {
    const bar = Math.ceil(BAR_COLUMNS * count / highest);
    const light = count === 0 ? 0 : Math.round(bar * over / count);
    const drawn = `${"█".repeat(bar - light)}${"░".repeat(light)}`;
    const share = shareText(count, lengths.count).padStart(7);
    return `  ${(labels[i] ?? "").padStart(width)} ${share} ${drawn}`.trimEnd();
  });
}

function categoryLines({ categories, questions }: Survey): string[] {
  const shown = categories.slice(0, MOST_CATEGORIES);
  const rest = categories.slice(MOST_CATEGORIES);
  const more = rest.length === 0 ? [] : [{
    name: `${rest.length} more`,
    questions: rest.reduce((sum, { questions }) => sum + questions, 0),
    tooLong: rest.reduce((sum, { tooLong }) => sum + tooLong, 0),
  }];
  return [...shown, ...more].map(({ name, questions: its, tooLong }) => {
    const note = tooLong > 0 ? `  ${shareText(tooLong, its)} too long` : "";
    const head = printable(name, NAME_COLUMNS).padEnd(NAME_COLUMNS);
    return `  ${head} ${grouped(its).padStart(10)} ${shareText(its, questions).padStart(8)}${note}`;
  });
}

/** Always the most frequent answer of each kind: what looking at no picture reaches. */
export function baselineText({ guessable, questions, answers }: Survey): string {
  return `${grouped(answers.length)} different; the most frequent one of each kind is right for ` +
    shareText(guessable, questions);
}

function answerLines({ answers, questions }: Survey): string[] {
  return answers.slice(0, MOST_ANSWERS).map(({ text, questions: its }) => {
    const head = printable(text, NAME_COLUMNS).padEnd(NAME_COLUMNS);
    return `  ${head} ${grouped(its).padStart(10)} ${shareText(its, questions).padStart(8)}`;
  });
}

function droppedLines({ dropped, scanned }: Survey): string[] {
  const all = dropped.reduce((sum, { rows }) => sum + rows, 0);
  const total = `Left out: ${grouped(all)} of ${grouped(scanned)} rows (${
    shareText(all, scanned)
  })`;
  return [
    total,
    ...dropped.flatMap(({ reason, rows, examples }) => [
      `  ${reason}: ${grouped(rows)}`,
      ...examples.map(({ place, message }) =>
        `    ${printable(place)}: ${printable(message, MOST_CHARACTERS)}`
      ),
    ]),
  ];
}

/** The survey for people. */
export function surveyText(survey: Survey, advice: readonly string[] = []): string {
  const { questions, tooLong, maxLength, lengths } = survey;
  const lines = facts(survey).map(([name = "", value]) => `${name.padEnd(12)}${value}`);
  return [
    `${printable(survey.name)}: ${rowsText(survey)}\n`,
    ...lines,
    ...(lengths.count === 0 ? [] : [
      `\nQuestions by length in tokens; ░ is longer than lm_max_length, ${maxLength}:\n`,
      ...histogram(survey),
      `\nKinds of questions:\n`,
      ...categoryLines(survey),
      `\nAnswers, ${baselineText(survey)}:\n`,
      ...answerLines(survey),
    ]),
    "",
    ...droppedLines(survey),
    `Too long to teach anything: ${grouped(tooLong)} of ${grouped(questions)} questions (${
      shareText(tooLong, questions)
    })`,
    ...(tooLong > 0 ? [`  ${lengthAdvice(survey)}`] : []),
    ...[...survey.notes, ...advice].map((note) => `Note: ${printable(note)}`),
  ].join("\n");
}

/** The survey as plain data. */
export function surveyJson(survey: Survey): Record<string, unknown> {
  const { name, format, columns, parts, rows, scanned, questions, dropped, pictures } = survey;
  return {
    ...{ name, format, columns, rows, scanned, questions },
    parts: parts.map(({ name, rows, weight }) => ({ name, rows, weight })),
    row_groups: survey.rowGroups,
    questions_per_row: survey.turns.spread,
    rated_out: survey.ratedOut,
    lm_max_length: survey.maxLength,
    too_long: survey.tooLong,
    tokens: survey.lengths.spread,
    tokens_histogram: survey.lengths.bins(MOST_BINS, survey.maxLength),
    answer_tokens: survey.answerLengths.spread,
    pictures: {
      types: Object.fromEntries(pictures.types),
      bytes: pictures.bytes.spread,
      width: pictures.sizes.widths.spread,
      height: pictures.sizes.heights.spread,
    },
    categories: survey.categories.map(({ name, questions, tooLong }) => ({
      ...{ name, questions },
      too_long: tooLong,
    })),
    answers: survey.answers.slice(0, MOST_ANSWERS),
    different_answers: survey.answers.length,
    baseline: questions === 0 ? null : survey.guessable / questions,
    notes: survey.notes,
    dropped,
  };
}
