/**
 * A page about a dataset that needs nothing else: how large and long everything is, what training
 * leaves out, and rows as the model sees them.
 *
 * Between dataset_survey.ts, dataset_samples.ts and a browser. Ours.
 */
import type { DatasetSample, SampleToken, SampleTurn } from "../dataset_samples.ts";
import type { Survey } from "../dataset_survey.ts";
import {
  baselineText,
  columnsText,
  grouped,
  lengthAdvice,
  rowsText,
  shareText,
  sizeText,
  spreadText,
  typesText,
} from "../survey_text.ts";
import DATASET_CSS from "./dataset_page.css" with { type: "text" };
import { type Content, type Html, html, trusted } from "./html.ts";
import { table } from "./tables.ts";
import PAGE_CSS from "./page.css" with { type: "text" };

/** The browser itself refuses to load or run anything. */
const POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
/** Bars of the histogram. */
const MOST_BINS = 24;
const MOST_CATEGORIES = 20;
const MOST_ANSWERS = 10;
/** Characters of an answer in the table. */
const LONGEST_ANSWER = 60;
/** Characters of a question or an answer of a row. */
const LONGEST_TEXT = 2000;

/** What a page shows. */
export interface DatasetPage {
  readonly survey: Survey;
  readonly samples: readonly DatasetSample[];
  /** What it was made with, by name. */
  readonly settings: Readonly<Record<string, string>>;
  /** How to make it again. */
  readonly command: string;
}

/** The page as HTML. */
export function datasetPage({ survey, samples, settings, command }: DatasetPage): string {
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta http-equiv="Content-Security-Policy" content="${POLICY}">
        <title>${survey.name} · nanoVLM for WebGPU</title>
        <style>${trusted(PAGE_CSS)}
    ${trusted(DATASET_CSS)}</style>
      </head>
      <body>
        <main>
    <header><h1>${survey.name}</h1><p class="status">${rowsText(survey)}</p>${tiles(
      survey,
    )}</header>
    ${lengths(survey)}
    <section class="columns">
      <div><h2>Kinds of questions</h2>${categories(survey)}<h2 class="second">Answers</h2>${answers(
        survey,
      )}</div>
      <div><h2>Data</h2>${facts(survey)}<h2 class="second">Settings</h2>${settingsTable(
        settings,
      )}</div>
    </section>
    ${dropped(survey)}
    ${samplesSection(samples)}
    <footer>Made by nanoVLM for WebGPU. Once more: <code>${command}</code></footer>
        </main>
      </body>
    </html>
  `.text;
}

function tiles(survey: Survey): Html {
  const { scanned, rows, questions, tooLong, turns, lengths, pictures, maxLength } = survey;
  const lost = survey.dropped.reduce((sum, { rows }) => sum + rows, 0);
  const median = (tally: { quantile(share: number): number }) => grouped(tally.quantile(0.5));
  const tile = (name: string, value: string, note: string) =>
    html`<div class="tile"><dt>${name}</dt><dd>${value}</dd><small>${note}</small></div>`;
  return html`<dl class="tiles">${[
    tile("Questions", grouped(questions), `${spreadText(turns)} a row`),
    tile(
      "Picture",
      pictures.sizes.widths.count === 0
        ? "–"
        : `${median(pictures.sizes.widths)} × ${median(pictures.sizes.heights)}`,
      `median${pictures.bytes.count > 0 ? `, ${sizeText(pictures.bytes.quantile(0.5))}` : ""}`,
    ),
    tile("Tokens", lengths.count === 0 ? "–" : median(lengths), `median; room for ${maxLength}`),
    tile("Too long", shareText(tooLong, questions), `of questions teach nothing`),
    tile(
      "Left out",
      shareText(lost, scanned),
      `${grouped(lost)} of ${grouped(scanned)} rows${rows > scanned ? " looked at" : ""}`,
    ),
  ]}</dl>`;
}

function samplesSection(samples: readonly DatasetSample[]): Content {
  if (samples.length === 0) return "";
  return html`
    <section>
      <h2>As the model sees it</h2>
      <p
        class="hint">Left the picture at the model's size, right the original. Tokens in <span class="token learned">colour</span>
      are learned, <span class="token">others</span> are read only.</p>
      <div class="samples">${samples.map(card)}</div>
    </section>
  `;
}

function card(sample: DatasetSample): Html {
  const { imageName, imageSize, width, height, bytes } = sample;
  const size = bytes > 0 ? `, ${sizeText(bytes)}` : "";
  return html`<article class="sample">
    <div class="pictures">
      <figure><img src="${sample.seen}" alt="" class="${isSmall(imageSize, imageSize)}">
      <figcaption>${imageSize} × ${imageSize}</figcaption></figure>
      <figure><img src="${sample.original}" alt="" class="${isSmall(width, height)}">
      <figcaption>${width} × ${height} ${sample.imageKind}${size}</figcaption></figure>
    </div>
    ${sample.turns.map(turnBlock)}
    <p class="place">${imageName}${
    sample.moreTurns > 0
      ? ` · ${grouped(sample.moreTurns)} more question${sample.moreTurns === 1 ? "" : "s"}`
      : ""
  }</p></article>\n`;
}

/** The class of pictures whose pixels should stay sharp when they are enlarged. */
function isSmall(width: number, height: number): string {
  return Math.max(width, height) <= 128 ? "small" : "";
}

function cut(text: string, most: number = LONGEST_TEXT): string {
  return text.length > most ? `${text.slice(0, most)}…` : text;
}

function turnBlock(turn: SampleTurn): Html {
  const { question, answer, category, tokens, padding, isCut, evaluationPrompt } = turn;
  const filler = padding.count === 0
    ? ""
    : html`<span class="padding">${padding.count} × padding</span>`;
  return html`<div class="turn">
    <p class="question">${cut(question)}</p>
    <p class="answer-text">${cut(answer)}</p>
    <p class="tokens">${padding.isBefore ? filler : ""}${tokens.map(tokenBox)}${
    padding.isBefore ? "" : filler
  }</p>
    <p class="note">${category} · ${tokens.length} tokens${
    isCut ? html`<b class="wrong">, cut: too long to teach anything</b>` : ""
  }</p>${
    evaluationPrompt === undefined
      ? ""
      : html`<p class="note">An evaluation asks: <q>${cut(evaluationPrompt)}</q></p>`
  }</div>\n`;
}

function tokenBox({ id, text, isLearned }: SampleToken): Html {
  const shown = text.replaceAll("\n", "↵").replaceAll("\t", "⇥");
  return html`<span class="token${isLearned ? " learned" : ""}" title="${id}">${shown}</span>`;
}

function lengths(survey: Survey): Content {
  const { lengths, maxLength, tooLong } = survey;
  const bins = lengths.bins(MOST_BINS, maxLength);
  const highest = Math.max(...bins.map(({ count }) => count));
  const bars = bins.map(({ from, to, count, over }) => {
    const label = to === Infinity ? `${grouped(from)} +` : from === to ? from : `${from}–${to}`;
    const height = 100 * count / highest;
    const over100 = count === 0 ? 0 : 100 * over / count;
    return html`<div class="bin" title="${label} tokens: ${grouped(count)} questions">
      <div class="stack"><div class="column" style="height: ${height.toFixed(1)}%">
      <i style="height: ${over100.toFixed(1)}%"></i></div></div><small>${label}</small></div>\n`;
  });
  if (bins.length === 0) return "";
  return html`
    <section>
      <h2>Questions by length</h2>
      <p class="hint">In tokens, pieces of text, with prompt, answer and end token. ${tooLong === 0
        ? `All fit into lm_max_length, ${maxLength}.`
        : html`<b class="wrong">Red</b> is longer than lm_max_length, ${maxLength}, and teaches
      nothing: ${grouped(tooLong)} questions. ${lengthAdvice(survey)}`}</p>
      <div class="histogram">${bars}</div>
    </section>
  `;
}

function categories({ categories, questions }: Survey): Content {
  const shown = categories.slice(0, MOST_CATEGORIES);
  const rest = categories.length - shown.length;
  const rows = shown.map(({ name, questions: its, tooLong }) => [
    name,
    shareBar(its, questions),
    tooLong === 0 ? "" : html`<span class="number wrong">${shareText(tooLong, its)}</span>`,
  ]);
  const more = rest > 0 ? [[`${grouped(rest)} more`, "", ""]] : [];
  return table(["Kind", "Questions", "Too long"], [...rows, ...more]);
}

/** A share of questions as a bar and in numbers. */
function shareBar(its: number, of: number): Html {
  return html`<span class="number"><span class="bar"><i style="width: ${
    (100 * its / of).toFixed(1)
  }%"></i></span>
    ${shareText(its, of)} <small>${grouped(its)}</small></span>`;
}

function answers(survey: Survey): Content {
  const rows = survey.answers.slice(0, MOST_ANSWERS).map(({ text, questions }) => [
    cut(text, LONGEST_ANSWER),
    shareBar(questions, survey.questions),
  ]);
  return html`<p class="hint">${baselineText(survey)}</p>${table(["Answer", "Questions"], rows)}`;
}

function facts(survey: Survey): Html {
  const { columns, parts, rowGroups, ratedOut, pictures } = survey;
  return table([], [
    ["Rows", rowsText(survey)],
    ...(columns ? [["Columns", columnsText(columns)]] : []),
    ...parts.map(({ name, rows }) => [name, `${grouped(rows)} rows`]),
    ...(rowGroups.count > 0
      ? [["Row groups", `${grouped(rowGroups.count)}, ${sizeText(rowGroups.bytes)} in memory`]]
      : []),
    ["Answers", survey.format === "vqa" ? "free text" : "the letter of a choice"],
    ...(ratedOut === undefined ? [] : [["Left out for ratings", `${grouped(ratedOut)} questions`]]),
    ["Pictures", typesText(survey)],
    ["Width", spreadText(pictures.sizes.widths)],
    ["Height", spreadText(pictures.sizes.heights)],
    ...(pictures.bytes.count > 0 ? [["File", spreadText(pictures.bytes, sizeText)]] : []),
    ["Tokens of an answer", spreadText(survey.answerLengths)],
  ]);
}

function settingsTable(settings: Readonly<Record<string, string>>): Html {
  return table([], Object.entries(settings));
}

function dropped({ dropped, scanned }: Survey): Content {
  if (dropped.length === 0) return "";
  const rows = dropped.map(({ reason, rows, examples }) => [
    html`${reason}<br><small class="number">${grouped(rows)} row${rows === 1 ? "" : "s"}, ${
      shareText(rows, scanned)
    }</small>`,
    examples.map(({ place, message }) => html`<p class="example"><b>${place}</b> ${message}</p>`),
  ]);
  return html`<section><h2>Rows left out</h2>${table(["Reason", "For example"], rows)}</section>`;
}
