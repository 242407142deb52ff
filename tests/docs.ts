/**
 * Writes the pages of docs/ that are made from the code: settings.md, every key of `--set` with its meaning and what the
 * presets give it, and json.md, the fields of what `--json` prints and metrics.jsonl holds. Both are doc comments of the
 * interfaces in question. `deno task docs` runs it; docs_test.ts checks that the pages are up to date.
 */
import { type Config, presets, TRAIN_FIELDS, VLM_FIELDS } from "../model/config.ts";
import type { Field } from "../model/fields.ts";

const ROOT = new URL("../", import.meta.url);
const NAMES = ["quickstart", "tiny", "222m"] as const;

/** The pages' texts by their places under the repository's root. */
export function pages(): Record<string, string> {
  return { "docs/settings.md": settingsPage(), "docs/json.md": jsonPage() };
}

/**
 * The doc comments of an interface's keys, on one line each.
 *
 * @throws {TypeError} where there is no such interface or a key has no comment
 */
export function meaningsIn(source: string, name: string): Map<string, string> {
  const body = new RegExp(`interface ${name}\\b[^{]*\\{\n([^]*?)\n\\}`).exec(source)?.[1];
  if (body === undefined) {
    throw new TypeError(`Cannot describe "${name}": there is no such interface`);
  }
  const keys = body.matchAll(/(?:\/\*\*((?:(?!\*\/)[^])*)\*\/\s*)?^ {2}(?:readonly )?(\w+)\??:/gm);
  return new Map([...keys].map(([, comment, key = ""]) => {
    if (comment === undefined) throw new TypeError(`Cannot describe "${name}.${key}": no comment`);
    return [key, comment.replaceAll(/\s*\n\s*\*?\s*/g, " ").trim()] as const;
  }));
}

function meaningsOf(path: string, name: string): Map<string, string> {
  return meaningsIn(Deno.readTextFileSync(new URL(path, ROOT)), name);
}

function settingsPage(): string {
  return `# Settings

Every key that \`--set key=value\` and \`--config FILE\` take, with its meaning, what it may be, and its
value in each preset. \`deno task train --print-config\` prints those of a run. Keys are nanoVLM's;
"Ours" marks what nanoVLM does not have. Lists are written with commas, "none" is \`null\`.

This page is made from the code by \`deno task docs\`.

## Training

${settingsTable("train", TRAIN_FIELDS, meaningsOf("model/config.ts", "TrainConfig"))}

## Model

${settingsTable("vlm", VLM_FIELDS, meaningsOf("model/vlm_config.ts", "VLMConfig"))}
`;
}

function settingsTable(
  part: keyof Config,
  fields: Readonly<Record<string, Field<unknown>>>,
  meanings: ReadonlyMap<string, string>,
): string {
  const rows = Object.entries(fields).map(([key, { expected }]) => {
    const values = NAMES.map((name) =>
      shown(new Map(Object.entries(presets[name][part])).get(key))
    );
    const range = `${expected[0]?.toUpperCase()}${expected.slice(1)}.`;
    return [`\`${key}\``, ...values, `${meanings.get(key)} ${range}`];
  });
  return aligned([["key", ...NAMES.map((name) => `\`${name}\``), "meaning"], ...rows]);
}

function shown(value: unknown): string {
  if (value === null || value === "") return "none";
  if (!Array.isArray(value)) return String(value);
  return value.length === 0 ? "none" : `${value.length} names`;
}

function jsonPage(): string {
  const SCORE = [["runs/score.ts", "Score"], ["runs/score.ts", "KnownScore"]] as const;
  return `# Fields of JSON documents

What \`--json\` prints, one document at the end, while progress goes to stderr, and the lines of a
run's \`metrics.jsonl\`. A number that is none (a loss without labels) is \`null\`.

This page is made from the code by \`deno task docs\`.

## A score

Wherever an accuracy stands, for all questions and for each kind of them:

${fieldsTable(...SCORE)}

## deno task train --json

A score, and:

${fieldsTable(["runs/training_report.ts", "TrainingReport"])}

With \`--plan\` it is the plan instead: bytes by what they are for, arithmetic and launches of a step,
how the batch is divided, the memory that there is, whether it \`fits\`, and the \`problem\` where it
does not. With \`--print-config\` it is all settings: [settings.md](settings.md).

## deno task eval --json

A score, and:

${fieldsTable(["runs/answers.ts", "Evaluation"]).replace(/\n\| `answers`.*/, "")}

## deno task generate --json

${fieldsTable(["generate.ts", "Answered"])}

## deno task data --json

What the terminal shows: \`rows\`, of which \`scanned\` were looked at, the \`questions\` in them, their
lengths in \`tokens\` and those of the answers (\`answer_tokens\`) as \`least\`, \`median\`, \`mean\` and
\`most\`, \`pictures\` by type and size, \`categories\` (kinds of questions), the most frequent \`answers\`,
the \`baseline\` that they reach, rows that would be left out by reason (\`dropped\`), and the page,
\`html\`. With \`--export\` it is what was written instead: the \`folder\`, its \`pictures\` and
\`questions\`, how many rows were \`left_out\`, and the \`reason\` of the first of them or null.

## deno task push --json

${fieldsTable(["push.ts", "PushReport"])}

## metrics.jsonl

The first line of a run, and the first behind a place where it was resumed, has \`run\`: its steps,
device, precision, plan and all settings. Every line has \`time\`, in seconds since 1970. The lines of
steps:

${fieldsTable(["runs/run_log.ts", "StepMetric"])}

The lines of evaluations, which are scores too:

${fieldsTable(["runs/metrics.ts", "EvaluationMetric"])}

Rows that could not be read have lines with \`skipped\`, the row, and \`reason\`.
`;
}

/** The keys of interfaces in a table. */
function fieldsTable(...interfaces: readonly (readonly [path: string, name: string])[]): string {
  const rows = interfaces.flatMap(([path, name]) => [...meaningsOf(path, name)])
    .map(([key, meaning]) => [`\`${key}\``, meaning.replaceAll("|", "\\|")]);
  return aligned([["field", "meaning"], ...rows]);
}

/** A table as `deno fmt` writes it. */
function aligned([head = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]?.length ?? 0)));
  const lines = [head, widths.map((width) => "-".repeat(width)), ...rows];
  return lines.map((row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`)
    .join("\n");
}

if (import.meta.main) {
  for (const [path, text] of Object.entries(pages())) {
    Deno.writeTextFileSync(new URL(path, ROOT), text);
  }
}
