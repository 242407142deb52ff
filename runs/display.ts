/**
 * Where a run's progress is shown: at a terminal one line that is written over, elsewhere a plain line each time.
 *
 * Under step_log.ts and train.ts. Ours.
 */

/** What can be written to: Deno.stdout or Deno.stderr. */
export interface Output {
  /** Writes some of the bytes and says how many. */
  writeSync(bytes: Uint8Array): number;
  /** Whether a person watches. */
  isTerminal(): boolean;
}

/** From the cursor to the end of the line. */
const ERASE_REST = "\x1b[K";
/** Where a terminal does not say how wide it is. */
const USUAL_COLUMNS = 80;

/** Shows lines. */
export class Display {
  readonly #output: Output;
  readonly #isTerminal: boolean;
  #isLineShown = false;

  /** Shows on `output`. */
  constructor(output: Output) {
    this.#output = output;
    this.#isTerminal = output.isTerminal();
  }

  /** Shows the state of things, in place of what it was before where that is possible. */
  update(line: string): void {
    if (!this.#isTerminal) return this.#write(`${line}\n`);
    // One write, and nothing erased before it is written over, so that nothing flickers.
    this.#write(`\r${line.slice(0, columns() - 1)}${ERASE_REST}`);
    this.#isLineShown = true;
  }

  /** Shows lines that stay. */
  print(text: string): void {
    this.clear();
    this.#write(`${text}\n`);
  }

  /** Takes the state of things away. */
  clear(): void {
    if (this.#isLineShown) this.#write(`\r${ERASE_REST}`);
    this.#isLineShown = false;
  }

  #write(text: string): void {
    let bytes = new TextEncoder().encode(text);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(this.#output.writeSync(bytes));
    } catch (error) {
      // Whoever read along has gone, as `tee` does at Ctrl-C: no reason to lose a run.
      if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
    }
  }
}

function columns(): number {
  try {
    return Deno.consoleSize().columns || USUAL_COLUMNS;
  } catch {
    return USUAL_COLUMNS; // the terminal on stderr alone, for example
  }
}
