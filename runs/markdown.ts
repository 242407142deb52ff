/**
 * Markdown in which foreign text stays text: names, kinds of questions and settings cannot make links, HTML or columns.
 *
 * Under model_card.ts. Source: GitHub Flavored Markdown, 2.4, 6.1, 6.9 and 4.10.
 */
import { printable } from "../data/terminal.ts";

/** Characters of a foreign text. */
const MOST_CHARACTERS = 200;

/** What Markdown would take for its own: at the start of a text also what begins lists and headings. */
const MARKS =
  /^[-+=](?=\s|$|=|-)|^\d+(?=[.)](?:\s|$))|[\\`*[\]<>|~#$]|(?<![\p{L}\p{N}])_|_(?![\p{L}\p{N}])/gu;

/** A foreign text within a line. */
export function inline(text: string): string {
  return printable(text, MOST_CHARACTERS).replaceAll(/&(?=#?\w+;)/g, "&amp;").replaceAll(
    MARKS,
    (mark) => mark === "<" ? "&lt;" : /\d/.test(mark) ? `${mark}\\` : `\\${mark}`,
  ).replaceAll(
    /(?<=\w):(?=\/\/)|(?<=www)\.|(?<=[\w.+-])@|(?<=mailto|xmpp):/gi,
    (mark) => `&#${mark.charCodeAt(0)};`,
  );
}

/** A foreign text as code within a line: its fence has more backticks than any in it. */
export function code(text: string): string {
  const shown = printable(text, MOST_CHARACTERS);
  const longest = Math.max(0, ...[...shown.matchAll(/`+/g)].map(([ticks]) => ticks.length));
  const fence = "`".repeat(longest + 1);
  const space = /^[` ]|[` ]$|^$/.test(shown) ? " " : "";
  return fence + space + shown + space + fence;
}

/** A table of foreign texts, whose columns from number `numbers` on are numbers. */
export function table(rows: readonly (readonly string[])[], numbers: number): string {
  const [head = [], ...body] = rows.map((cells) => cells.map(inline));
  const rule = head.map((_, i) => i < numbers ? "---" : "---:");
  return [head, rule, ...body].map((cells) => `| ${cells.join(" | ")} |`).join("\n");
}
