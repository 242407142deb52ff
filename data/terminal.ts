/**
 * Text on its way to a terminal: what datasets, models and servers say cannot steer it, lines fit its width, and commands are
 * called as this program was.
 *
 * The one place that prints: commands/, runs/ and the scripts call it. It lies in data/, where the foreign texts come from, so
 * that all of them may. Ours.
 */

/** Controls of a terminal, of the direction of writing, and ends of lines that are none to us. */
const CONTROLS = /[\p{Cc}\p{Bidi_Control}\u2028\u2029\ufeff]/gu;
const WRITTEN: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** Written as JSON writes it, so that a JSON document stays what it is. */
function escaped(control: string): string {
  return `\\u${control.charCodeAt(0).toString(16).padStart(4, "0")}`;
}

/**
 * A foreign text as a part of one line: controls and ends of lines are shown, not obeyed.
 *
 * @param most characters that it may have; what is longer ends with "…"
 */
export function printable(text: string, most: number = Infinity): string {
  const cut = text.length > most ? `${text.slice(0, most - 1)}…` : text;
  return cut.replaceAll(CONTROLS, (control) => WRITTEN[control] ?? escaped(control));
}

/** Lines with foreign texts in them: the same, but for line feeds and tabs, which stay. */
export function printableLines(text: string): string {
  return text.replaceAll(
    CONTROLS,
    (control) => /[\n\t]/.test(control) ? control : escaped(control),
  );
}

/** Prints lines on stdout. */
export function printLine(text: string): void {
  console.log(printableLines(text));
}

/** Where a terminal does not say how wide it is. */
const USUAL_COLUMNS = 80;

/** The terminal's width in characters. */
export function terminalColumns(): number {
  try {
    return Deno.consoleSize().columns || USUAL_COLUMNS;
  } catch {
    return USUAL_COLUMNS; // the terminal on stderr alone, for example
  }
}

/**
 * Lines broken at spaces where they are longer than `columns`.
 *
 * @param indent spaces before what goes on below
 */
export function folded(text: string, columns: number, indent: number): string {
  return text.split("\n").flatMap((line) => {
    const lines: string[] = [];
    while (line.length > columns) {
      let end = line.lastIndexOf(" ", columns);
      if (line[end + 1] === "%") end = line.lastIndexOf(" ", end - 1); // "31.2 %" is one word
      if (end <= indent) break; // no place to break it at
      lines.push(line.slice(0, end));
      line = " ".repeat(indent) + line.slice(end + 1);
    }
    return [...lines, line];
  }).join("\n");
}

/**
 * A command of Deno's as a user of this program can call it: `npx` brings a Deno that no shell finds.
 *
 * @param words what follows "deno", such as "task train"
 */
export function denoCommand(words: string, executable: string = Deno.execPath()): string {
  return `${/[/\\]_npx[/\\]/.test(executable) ? "npx -y deno@2" : "deno"} ${words}`;
}
