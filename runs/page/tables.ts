/**
 * The page's tables: results, configuration, machine and memory of one run or of several side by side.
 *
 * Between run_history.ts and page.ts. Ours.
 */
import { arithmetic, megabytes } from "../plan_report.ts";
import { clock, intervalText, percent, short } from "../report.ts";
import { type Metric, numberOf, recordOf } from "../metrics.ts";
import { type RunHistory, stepsTaken } from "../run_history.ts";
import type { Score } from "../score.ts";
import { type Content, type Html, html } from "./html.ts";

/** What stands where nothing is known. */
const NOTHING = "–";

/** A number as text, or a dash. */
export function known(value: number, format: (value: number) => string): string {
  return Number.isFinite(value) ? format(value) : NOTHING;
}

/** Bytes on the GPU: what was planned for training, and the most there was before the first evaluation and at all. */
export function memoryOf({ description, steps, evaluations }: RunHistory) {
  const first = evaluations[0]?.step ?? Infinity;
  const peak = (records: readonly Metric[]) =>
    records.reduce((most, step) => Math.max(most, numberOf(step, "gpu_peak_bytes") || 0), 0) || NaN;
  return {
    planned: numberOf(recordOf(description, "plan"), "total_bytes"),
    training: peak(steps.filter((step) => numberOf(step, "step") <= first)),
    all: peak(steps),
  };
}

/** The middle one of a run's speeds. */
export function medianOf({ steps }: RunHistory, key: string): number {
  const values = steps.map((step) => numberOf(step, key)).filter(Number.isFinite);
  return values.sort((a, b) => a - b)[values.length >> 1] ?? NaN;
}

/** "15 of 2,000". */
export function rightOf({ correct, total }: Score): string {
  return `${correct.toLocaleString("en")} of ${total.toLocaleString("en")}`;
}

/** "; baseline 40.0 %", where it is known. */
export function baselineText({ baseline_accuracy: baseline }: Score): string {
  return baseline === undefined ? "" : `; baseline ${percent(baseline)}`;
}

/** "20.7 MB" or "60.50 GB". */
export function bytesText(bytes: number): string {
  return bytes < 1e9 ? megabytes(bytes) : `${(bytes / 1e9).toFixed(2)} GB`;
}

/** A table in a box that scrolls sideways by itself. The first column names the rows. */
export function table(
  head: readonly Content[],
  rows: readonly (readonly Content[])[],
  kind: "text" | "numbers" = "text",
): Html {
  const cells = (row: readonly Content[]) => {
    const [name = "", ...rest] = row;
    return html`<tr><th scope="row">${name}</th>${
      rest.map((cell) => html`<td>${cell}</td>`)
    }</tr>\n`;
  };
  const heading = head.length === 0 ? "" : html`
    <thead>
      <tr>${head.map((cell) => html`<th scope="col">${cell}</th>`)}</tr>
    </thead>
  `;
  return html`
    <div class="scroll ${kind}">
      <table>${heading}<tbody>${rows.map(cells)}</tbody></table>
    </div>
  `;
}

/** A run's name with its colour in the curves. */
export function runName({ name }: { readonly name: string }, place: number): Html {
  return html`<span class="dot" style="background: var(--series-${place % 6})"></span>${name}`;
}

/** Results of several runs, one a row. */
export function comparison(runs: readonly RunHistory[]): Html {
  const head = [
    "Run",
    "Accuracy",
    "95 % interval",
    "Baseline",
    "Right",
    "Loss",
    "Best step",
    "Steps",
    "Time",
    "Questions/s",
    "GPU memory",
  ];
  return table(
    head,
    runs.map((run, i) => {
      const { result } = run;
      return [
        runName(run, i),
        known(result?.accuracy ?? NaN, percent),
        result ? intervalText(result) : NOTHING,
        known(result?.baseline_accuracy ?? NaN, percent),
        result ? rightOf(result) : NOTHING,
        known(result?.loss ?? NaN, (loss) => loss.toFixed(4)),
        known(result?.step ?? NaN, String),
        known(stepsTaken(run), String),
        run.seconds > 0 ? clock(run.seconds) : NOTHING,
        known(medianOf(run, "samples_per_second"), short),
        known(memoryOf(run).all, bytesText),
      ];
    }),
    "numbers",
  );
}

/** Accuracies by kind of question, one run a column; "" where there are no kinds. */
export function kindTable(runs: readonly RunHistory[]): Content {
  const results = runs.map(({ result }) => result?.by_category ?? {});
  const kinds = [...new Set(results.flatMap((scores) => Object.keys(scores)))].sort();
  if (kinds.length < 2) return "";
  const head = ["Kind", ...(runs.length > 1 ? runs.map(runName) : ["Accuracy"])];
  const rows = kinds.map((kind) => [kind, ...results.map((scores) => scoreCell(scores[kind]))]);
  return html`<section><h2>By kind of question</h2>
    <p class="hint">Beside each accuracy its 95 % interval and the baseline: always the kind's most frequent answer.</p>
    ${table(head, rows, "numbers")}</section>`;
}

function scoreCell(score: Score | undefined): Content {
  if (!score) return NOTHING;
  return html`<span class="bar"><i style="width: ${(100 * score.accuracy).toFixed(1)}%"></i></span>
    ${percent(score.accuracy)} <small>${intervalText(score)}; ${rightOf(score)}${
    baselineText(score)
  }</small>`;
}

/** A configuration's values by key, of model and training. */
function settingsOf({ description }: RunHistory): Map<string, string> {
  const config = recordOf(description, "config");
  const pairs = Object.entries({ ...recordOf(config, "vlm"), ...recordOf(config, "train") });
  return new Map(pairs.map(([key, value]) => [key, settingText(value)]));
}

function settingText(value: unknown): string {
  if (Array.isArray(value)) return value.map(String).join(", ");
  return typeof value === "string" ? value : JSON.stringify(value);
}

/** What several runs were told differently, one run a column. */
export function differences(runs: readonly RunHistory[]): Html {
  const settings = runs.map(settingsOf);
  const keys = [...new Set(settings.flatMap((its) => [...its.keys()]))];
  const isOwn = (key: string) => new Set(settings.map((its) => its.get(key))).size > 1;
  const rows = keys.filter((key) => isOwn(key) && key !== "vlm_checkpoint_path")
    .map((
      key,
    ) => [
      html`<code>${key}</code>`,
      ...settings.map((its) => html`<code>${its.get(key) ?? NOTHING}</code>`),
    ]);
  return rows.length === 0
    ? html`<p>All settings are the same.</p>`
    : table(["Setting", ...runs.map(runName)], rows);
}

/** All settings of a run, folded away. */
export function configuration({ description }: RunHistory): Html {
  const config = recordOf(description, "config");
  const part = (title: string, settings: Metric) =>
    html`<details><summary>${title}</summary>${
      table(
        [],
        Object.entries(settings).map(([key, value]) => [
          html`<code>${key}</code>`,
          html`<code>${settingText(value)}</code>`,
        ]),
      )
    }</details>`;
  return html`${part("Training", recordOf(config, "train"))}${
    part("Model", recordOf(config, "vlm"))
  }`;
}

/** What a run was trained on. */
export function machine({ description }: RunHistory): Html {
  const plan = recordOf(description, "plan");
  const precision = plan["dtype"] === "f16" ? "mixed (f16)" : "float32";
  const text = (key: string) => String(description[key] ?? NOTHING);
  return table([], [
    ["Device", text("device")],
    ["System", text("system")],
    ["Runtime", text("runtime")],
    ["Precision", precision],
    ["Launches a step", known(numberOf(plan, "dispatches_per_step"), String)],
    ["Arithmetic a step", known(numberOf(plan, "flops_per_step"), arithmetic)],
  ]);
}

/** Memory on the GPU: the plan by part, and what it came to. */
export function memory(run: RunHistory): Html {
  const plan = recordOf(run.description, "plan");
  const { planned, training, all } = memoryOf(run);
  const parts = ["parameters", "gradients", "moments", "activations", "workspace"];
  const row = (name: string, bytes: number) => [name, known(bytes, bytesText)];
  return table([], [
    ...parts.map((part) => row(`planned for ${part}`, numberOf(plan, `${part}_bytes`))),
    row("planned in all", planned),
    row("most while training", training),
    row("most with evaluations", all),
  ]);
}
