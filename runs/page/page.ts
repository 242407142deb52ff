/**
 * report.html: a run, or several laid over each other, as one page that needs nothing else: curves, answers to held-out
 * questions, settings, machine and memory.
 *
 * Between run_history.ts and a browser. Curves are drawn by uPlot (https://github.com/leeoniya/uPlot), told by page.js.
 */
import UPLOT_CSS from "uplot/dist/uPlot.min.css" with { type: "text" };
import UPLOT_JS from "uplot/dist/uPlot.iife.min.js" with { type: "text" };
import { dirname } from "node:path";
import { statOf } from "../../data/pretrained.ts";
import { clock, intervalText, percent, short } from "../report.ts";
import { numberOf } from "../metrics.ts";
import { type RunHistory, stepsTaken } from "../run_history.ts";
import { heldOut } from "./answers.ts";
import { type Content, type Html, html, jsonScript, trusted } from "./html.ts";
import PAGE_CSS from "./page.css" with { type: "text" };
import PAGE_JS from "./page.js" with { type: "text" };
import { seriesOf } from "./series.ts";
import * as tables from "./tables.ts";

/** The browser itself refuses to load anything from elsewhere. */
const POLICY =
  "default-src 'none'; img-src data:; style-src 'unsafe-inline'; script-src 'unsafe-inline'";

/** The page of one run, or of several in comparison. @param runs at least one */
export function reportPage(runs: readonly RunHistory[]): string {
  const [only] = runs;
  const isSingle = runs.length === 1 && only !== undefined;
  const title = isSingle ? only.name : runs.map(({ name }) => name).join(", ");
  return html`
    <!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <meta http-equiv="Content-Security-Policy" content="${POLICY}">
        <title>${title} · nanoVLM for WebGPU</title>
        <style>${trusted(UPLOT_CSS)}
    ${trusted(PAGE_CSS)}</style>
      </head>
      <body>
    <main>
    ${isSingle ? singleRun(only) : severalRuns(runs)}
    <footer>Made by nanoVLM for WebGPU from <code>metrics.jsonl</code>. Once more:
    <code>deno task report ${runs.map(({ folder }) => folder).join(" ")}</code></footer>
    </main>
    ${jsonScript("series", runs.map(seriesOf))}
    <script>${trusted(UPLOT_JS)}</script>
    <script>${trusted(PAGE_JS)}</script>
      </body>
    </html>
  `.text;
}

/** Checks, before the work, that a page can get that name. @throws {Error} where it cannot */
export function requirePagePath(path: string): void {
  const folder = dirname(path);
  const found = statOf(path)?.isDirectory
    ? "a folder of that name"
    : statOf(folder)?.isDirectory
    ? undefined
    : `no folder "${folder}"`;
  if (found === undefined) return;
  throw new Error(
    `Cannot write the page "${path}": found ${found}, expected a file's name in a folder that is there`,
  );
}

/** Writes the page. A reader never finds half of it. @throws {Error} where it cannot be written */
export function savePage(path: string, runs: readonly RunHistory[]): void {
  const beside = `${path}.partial`;
  Deno.writeTextFileSync(beside, reportPage(runs));
  Deno.renameSync(beside, path);
}

function singleRun(run: RunHistory): Content {
  return [
    html`<header><h1>${run.name}</h1><p class="status">${status(run)}</p>${tiles(run)}</header>`,
    curves(),
    heldOut(run, "Held-out pictures"),
    tables.kindTable([run]),
    html`
      <section class="columns">
        <div><h2>Machine</h2>${tables.machine(run)}</div>
        <div><h2>GPU memory</h2>${tables.memory(run)}</div>
      </section>
      <section><h2>Settings</h2>${tables.configuration(run)}</section>
    `,
  ];
}

function severalRuns(runs: readonly RunHistory[]): Content {
  return [
    html`<header><h1>${runs.length} runs</h1>${tables.comparison(runs)}</header>`,
    curves(),
    html`<section><h2>Settings that differ</h2>${tables.differences(runs)}</section>`,
    tables.kindTable(runs),
    runs.map((run, i) => heldOut(run, html`Held-out pictures of ${tables.runName(run, i)}`)),
  ];
}

function status(run: RunHistory): string {
  const planned = numberOf(run.description, "steps");
  const taken = tables.known(stepsTaken(run), (step) => step.toLocaleString("en"));
  const of = Number.isFinite(planned) ? ` of ${planned.toLocaleString("en")}` : "";
  const device = run.description["device"];
  return [
    run.final ? "Finished" : "Not finished",
    `${taken}${of} steps`,
    ...(run.seconds > 0 ? [clock(run.seconds)] : []),
    ...(typeof device === "string" ? [device] : []),
  ].join(" · ");
}

function tiles(run: RunHistory): Html {
  const { result } = run;
  const { planned, all } = tables.memoryOf(run);
  const speed = tables.medianOf(run, "samples_per_second");
  const tokens = tables.medianOf(run, "tokens_per_second");
  const tile = (name: string, value: string, note: string) =>
    html`<div class="tile"><dt>${name}</dt><dd>${value}</dd><small>${note}</small></div>`;
  return html`<dl class="tiles">${[
    tile(
      "Accuracy",
      tables.known(result?.accuracy ?? NaN, percent),
      result
        ? `${tables.rightOf(result)} held-out questions, 95 % interval ${intervalText(result)}${
          tables.baselineText(result)
        }`
        : "no evaluation yet",
    ),
    tile(
      "Held-out loss",
      tables.known(result?.loss ?? NaN, (loss) => loss.toFixed(4)),
      result
        ? `after step ${result.step}, ${run.final ? "the saved model" : "the best so far"}`
        : "",
    ),
    tile(
      "Speed",
      tables.known(speed, (value) => `${short(value)}/s`),
      `questions; ${tables.known(tokens, short)} tokens/s`,
    ),
    tile(
      "GPU memory",
      tables.known(all, tables.bytesText),
      `at most; ${tables.known(planned, tables.bytesText)} planned for training`,
    ),
  ]}</dl>`;
}

/** What page.js fills. */
function curves(): Html {
  return html`
    <section>
      <div class="heading"><h2>Curves</h2>
        <label>Smoothing <input id="smoothing" type="range" min="0" max="0.99" step="0.01" value="0.6">
        <output id="smoothed">0.60</output></label></div>
      <div id="runs" class="chips"></div>
      <div id="charts"><noscript><p>The curves need JavaScript.</p></noscript></div>
      <p id="note" class="hint">Drag over a curve to look closer; a double click shows all again.</p>
    </section>
  `;
}
