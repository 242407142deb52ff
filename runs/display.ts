/**
 * Where a run's progress is shown: at a terminal one line that is written over, elsewhere a plain line now and then.
 *
 * Under step_log.ts, train.ts and eval.ts. Ours.
 */
import { printable, printableLines, terminalColumns } from "../data/terminal.ts";
import { clock, short } from "./report.ts";

/** What can be written to: Deno.stdout or Deno.stderr. */
export interface Output {
  /** Writes some of the bytes and says how many. */
  writeSync(bytes: Uint8Array): number;
  /** Whether a person watches. */
  isTerminal(): boolean;
}

/** From the cursor to the end of the line. */
const ERASE_REST = "\x1b[K";
/** Between two states at a terminal: nobody reads faster. */
const LEAST_MILLISECONDS = 100;
/** Between two states in a log file. */
const LEAST_MILLISECONDS_OF_LOG = 10_000;

/** Shows lines. */
export class Display {
  readonly #output: Output;
  readonly #isTerminal: boolean;
  readonly #now: () => number;
  #isLineShown = false;
  /** A state that came too soon after another; where lines stay, it is shown if none follows. */
  #waiting: string | undefined;
  #lastUpdate = -Infinity;

  /**
   * Shows on `output`.
   *
   * @param now a clock, in milliseconds
   */
  constructor(output: Output, now: () => number = () => performance.now()) {
    this.#output = output;
    this.#isTerminal = output.isTerminal();
    this.#now = now;
  }

  /** Characters that a state may have. */
  get columns(): number {
    return this.#isTerminal ? terminalColumns() - 1 : Infinity;
  }

  /**
   * Shows the state of things, in place of what it was before where that is possible, unless it just changed.
   *
   * @param isDue whether to show it even so
   */
  update(line: string, isDue: boolean = false): void {
    const passed = this.#now() - this.#lastUpdate;
    this.#waiting = line;
    if (isDue || passed >= (this.#isTerminal ? LEAST_MILLISECONDS : LEAST_MILLISECONDS_OF_LOG)) {
      this.#show(line);
    }
  }

  /** Shows a state that is of no interest when it is over: in a log file only where it lasts. */
  glimpse(line: string): void {
    const waiting = this.#waiting;
    this.update(line);
    if (this.#waiting !== undefined) this.#waiting = waiting;
  }

  #show(text: string): void {
    const line = printable(text);
    this.#waiting = undefined;
    this.#lastUpdate = this.#now();
    if (!this.#isTerminal) return this.#write(`${line}\n`);
    // One write, and nothing erased before it is written over, so that nothing flickers.
    this.#write(`\r${line.slice(0, this.columns)}${ERASE_REST}`);
    this.#isLineShown = true;
  }

  /** Shows lines that stay, under the last state where that stays too. */
  print(text: string): void {
    this.#write(`${this.#endLine()}${printableLines(text)}\n`);
  }

  /** Takes the state of things away; where it stays, the last one is shown. */
  clear(): void {
    this.#write(this.#endLine());
  }

  /** What takes the state away at a terminal; elsewhere the last one is shown. */
  #endLine(): string {
    if (!this.#isTerminal && this.#waiting !== undefined) this.#show(this.#waiting);
    this.#waiting = undefined;
    const isShown = this.#isLineShown;
    this.#isLineShown = false;
    return isShown ? `\r${ERASE_REST}` : "";
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

/**
 * Shows how many questions have been asked since it was called, when that is told. The first ones compiled shaders, so the time
 * left is reckoned from those behind them.
 */
export function showAsked(
  display: Pick<Display, "glimpse">,
  now: () => number = () => performance.now(),
): (asked: number, of: number) => void {
  let first: { readonly asked: number; readonly time: number } | undefined;
  return (asked, of) => {
    const line = `Evaluating: ${asked.toLocaleString("en")} of ${
      of.toLocaleString("en")
    } questions`;
    if (first) {
      const rate = (asked - first.asked) / (now() - first.time) * 1000;
      display.glimpse(`${line}, ${short(rate)}/s, ${clock((of - asked) / rate)} left`);
    } else display.glimpse(line);
    first ??= { asked, time: now() };
  };
}
