/**
 * An error as it is printed: a few lines at most, without secrets, and without what would steer a terminal.
 *
 * Under command.ts; the last line of defence behind data/hub/errors.ts, whose messages are masked where they are made. Ours.
 */
import { masked } from "../data/hub/secrets.ts";
import { folded, printable, printableLines } from "../data/terminal.ts";

/** Of a message: what is longer loses its middle, for its end says what to do. */
const MOST_CHARACTERS = 1200;
/** Of a stack with its causes. */
const MOST_DEBUG_CHARACTERS = 10_000;
/** Nobody needs more to find secrets in. */
const MOST_SEARCHED = 20_000;
/** Before what goes on below. */
const INDENT = 2;

/** A hint's command, with which a message ends. */
const COMMAND = /^(.*: )((?:deno|npx -y deno@2) (?:task|run) [^;]*)$/;

/** Without the middle of what is longer than `most`. */
function shortened(text: string, most: number): string {
  const searched = text.length > MOST_SEARCHED
    ? `${text.slice(0, MOST_SEARCHED / 2)}…${text.slice(-MOST_SEARCHED / 2)}`
    : text;
  const safe = masked(searched);
  if (safe.length <= most) return safe;
  return `${safe.slice(0, most * 3 / 4)} … ${safe.slice(-most / 4)}`;
}

/**
 * What to print of an error: its message as one line or, where a person reads it at a terminal, lines that fit `columns`; a
 * command at its end is never broken, so that it can be copied.
 *
 * @param hint what follows the message
 */
export function errorText(error: unknown, hint: string, columns: number | undefined): string {
  const message = error instanceof Error ? error.message || error.name : String(error);
  const line = printable(shortened(message, MOST_CHARACTERS).replaceAll(/\s*\n\s*/g, " "));
  // No full stop behind a question, nor behind a command, which would be copied with it.
  const text = (/[.?!]$/.test(line) || COMMAND.test(line) ? line : `${line}.`) + hint;
  if (columns === undefined) return text;
  const [, words, command] = COMMAND.exec(text) ?? [];
  if (words === undefined || text.length <= columns) return folded(text, columns, INDENT);
  return `${folded(words.trimEnd(), columns, INDENT)}\n${" ".repeat(INDENT)}${command}`;
}

/** Where in the code an error came from, and what caused it. */
export function debugText(error: unknown): string {
  return printableLines(shortened(Deno.inspect(error, { colors: false }), MOST_DEBUG_CHARACTERS));
}
