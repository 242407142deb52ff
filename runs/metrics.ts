/**
 * metrics.jsonl: what happened in a run, a JSON object a line, written as it happens.
 *
 * Under run_log.ts. Ours.
 */

/** One line. */
export type Metric = Readonly<Record<string, unknown>>;

/** The file's name in a run's folder. */
export const METRICS_FILE = "metrics.jsonl";

/** An open metrics.jsonl. Close it, or declare it with `using`. */
export class Metrics implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Makes the folder, if needed, and starts the file in it anew, or goes on behind its first bytes.
   *
   * @param keptBytes what of an earlier file stays; 0 by default
   * @throws {RangeError} where the file is shorter than that
   * @throws {Error} where it cannot be written
   */
  static open(folder: string, keptBytes = 0): Metrics {
    const path = `${folder}/${METRICS_FILE}`;
    const file = openFile(folder, path);
    const { size } = file.statSync();
    if (size < keptBytes) {
      file.close();
      throw new RangeError(
        `Cannot go on with "${path}": it has ${size} bytes, expected the ${keptBytes} of the run to go on with; ` +
          `start a run anew with another --out DIR`,
      );
    }
    file.truncateSync(keptBytes);
    file.seekSync(0, Deno.SeekMode.End);
    return new Metrics(file);
  }

  /** Length of the file so far: what `open()` can go on from. */
  get bytes(): number {
    return this.#file.seekSync(0, Deno.SeekMode.Current);
  }

  /** Appends a line. */
  write(metric: Metric): void {
    let bytes = new TextEncoder().encode(`${JSON.stringify(metric)}\n`);
    while (bytes.length > 0) bytes = bytes.subarray(this.#file.writeSync(bytes));
  }

  /** Ends the file. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function openFile(folder: string, path: string): Deno.FsFile {
  try {
    Deno.mkdirSync(folder, { recursive: true });
    return Deno.openSync(path, { write: true, create: true });
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new Error(
      `Cannot write to the output folder "${folder}": ${reason}, expected a folder to write in; ` +
        `choose another with --out DIR`,
      { cause },
    );
  }
}
