/**
 * Writes docs/settings.md: every key of `--set` with its meaning and what the presets give it, from the doc comments of
 * the two configurations. `deno task settings` runs it; settings_test.ts checks that the page is up to date.
 */
import { type Config, presets, TRAIN_FIELDS, VLM_FIELDS } from "../model/config.ts";
import type { Field } from "../model/fields.ts";

/** The page, under the repository's root. */
export const PAGE = "docs/settings.md";

const NAMES = ["quickstart", "tiny", "222m"] as const;

/** A key's doc comment by its name, from the interface's source. */
export function meaningsIn(source: string): Map<string, string> {
  const documented = source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s*readonly (\w+):/g);
  return new Map(
    [...documented].map(([, comment = "", key = ""]) =>
      [key, comment.replaceAll(/\s*\n\s*\*?\s*/g, " ").trim()] as const
    ),
  );
}

/** The page's text. @throws {TypeError} where a key has no doc comment */
export function settingsPage(): string {
  return `# Settings

Every key that \`--set key=value\` and \`--config FILE\` take, with its meaning, what it may be, and its
value in each preset. \`deno task train --print-config\` prints those of a run. Keys are nanoVLM's;
"Ours" marks what nanoVLM does not have. Lists are written with commas, "none" is \`null\`.

This page is made from the code by \`deno task settings\`.

## Training

${tableOf("train", TRAIN_FIELDS, meaningsOf("model/config.ts"))}

## Model

${tableOf("vlm", VLM_FIELDS, meaningsOf("model/vlm_config.ts"))}
`;
}

function meaningsOf(path: string): Map<string, string> {
  return meaningsIn(Deno.readTextFileSync(new URL(`../${path}`, import.meta.url)));
}

function tableOf(
  part: keyof Config,
  fields: Readonly<Record<string, Field<unknown>>>,
  meanings: ReadonlyMap<string, string>,
): string {
  const rows = Object.entries(fields).map(([key, { expected }]) => {
    const meaning = meanings.get(key);
    if (meaning === undefined) throw new TypeError(`Cannot describe "${key}": it has no comment`);
    const values = NAMES.map((name) =>
      shown(new Map(Object.entries(presets[name][part])).get(key))
    );
    return [
      `\`${key}\``,
      ...values,
      `${meaning} ${expected[0]?.toUpperCase()}${expected.slice(1)}.`,
    ];
  });
  return aligned([["key", ...NAMES.map((name) => `\`${name}\``), "meaning"], ...rows]);
}

function shown(value: unknown): string {
  if (value === null || value === "") return "none";
  if (!Array.isArray(value)) return String(value);
  return value.length === 0 ? "none" : `${value.length} names`;
}

/** A table as `deno fmt` writes it. */
function aligned([head = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) => Math.max(...[head, ...rows].map((row) => row[i]?.length ?? 0)));
  const lines = [head, widths.map((width) => "-".repeat(width)), ...rows];
  return lines.map((row) => `| ${row.map((cell, i) => cell.padEnd(widths[i] ?? 0)).join(" | ")} |`)
    .join("\n");
}

if (import.meta.main) Deno.writeTextFileSync(PAGE, settingsPage());
