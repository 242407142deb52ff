/**
 * The metadata in front of a model card, as YAML between two lines of dashes.
 *
 * Under model_card.ts. Source: YAML 1.2, of which this writes maps, lists, text and numbers.
 */

import { printableLines } from "../data/terminal.ts";

/** What can be written. */
export type Yaml = string | number | readonly Yaml[] | { readonly [key: string]: Yaml };

/** The metadata between its dashes, without an end of line. */
export function frontMatter(metadata: { readonly [key: string]: Yaml }): string {
  return ["---", ...lines(metadata), "---"].join("\n");
}

function lines(value: Yaml): string[] {
  if (typeof value === "number") return [String(value)];
  if (typeof value === "string") return [text(value)];
  if (isList(value)) {
    return value.flatMap((item) => lines(item).map((line, i) => (i === 0 ? "- " : "  ") + line));
  }
  return Object.entries(value).flatMap(([key, inner]) => {
    if (typeof inner !== "object") return [`${key}: ${lines(inner).join()}`];
    return [`${key}:`, ...lines(inner).map((line) => isList(inner) ? line : `  ${line}`)];
  });
}

function isList(value: Yaml): value is readonly Yaml[] {
  return Array.isArray(value);
}

/**
 * Plain where nothing else than text could be meant; else in quotes, as in JSON, which is YAML too but for controls that YAML
 * wants written.
 */
function text(value: string): string {
  const isPlain = /^[A-Za-z][\w./ -]*[\w]$/.test(value) &&
    !/^(true|false|null|yes|no|on|off)$/i.test(value);
  return isPlain ? value : printableLines(JSON.stringify(value));
}
