/**
 * HTML in which text stays text: whatever is put into the template is escaped, unless it is HTML from this file already.
 *
 * Under everything else in this folder. Ours; escaping after the HTML standard, 13.1.2.
 */

/** HTML that may be put into a page as it is. Made by `html` and `trusted()` only. */
export class Html {
  /** Use `html`. */
  constructor(readonly text: string) {}
}

/** What can be put into a template. */
export type Content = string | number | Html | readonly Content[];

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "'": "&#39;",
};

function textOf(content: Content): string {
  if (content instanceof Html) return content.text;
  if (typeof content === "object") return content.map(textOf).join("");
  return String(content).replaceAll(/[&<>"']/g, (character) => ENTITIES[character] ?? "");
}

/** HTML with escaped text in it, for elements' contents and attributes in quotes. */
export function html(parts: TemplateStringsArray, ...contents: Content[]): Html {
  return new Html(parts.map((part, i) => part + textOf(contents[i] ?? "")).join(""));
}

/** Text that is HTML, a script or a style of our own. */
export function trusted(text: string): Html {
  return new Html(text);
}

/** JSON in a script element: "<" is written so that nothing in it ends the element. */
export function jsonScript(id: string, value: unknown): Html {
  const json = JSON.stringify(value).replaceAll("<", "\\u003c");
  return html`<script type="application/json" id="${id}">${trusted(json)}</script>`;
}
