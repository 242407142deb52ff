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

  private constructor(readonly folder: string, file: Deno.FsFile) {
    this.#file = file;
  }

  /**
   * Makes the folder, if needed, and starts the file in it anew, or behind its first `keptBytes`: a resumed run writes again
   * what came after its checkpoint.
   *
   * @throws {Error} where that cannot be written
   */
  static open(folder: string, keptBytes = 0): Metrics {
    try {
      Deno.mkdirSync(folder, { recursive: true });
      const file = Deno.openSync(`${folder}/${METRICS_FILE}`, { write: true, create: true });
      file.truncateSync(Math.min(keptBytes, file.statSync().size));
      file.seekSync(0, Deno.SeekMode.End);
      return new Metrics(folder, file);
    } catch (cause) {
      throw unwritable(folder, cause);
    }
  }

  /** Appends a line. @throws {Error} where that cannot be written, as on a full disk */
  write(metric: Metric): void {
    let bytes = new TextEncoder().encode(`${JSON.stringify(metric)}\n`);
    try {
      while (bytes.length > 0) bytes = bytes.subarray(this.#file.writeSync(bytes));
    } catch (cause) {
      throw unwritable(this.folder, cause);
    }
  }

  /** Puts what was written on the disk, and says how many bytes that is. */
  async sync(): Promise<number> {
    await this.#file.sync();
    return (await this.#file.stat()).size;
  }

  /** Ends the file. */
  close(): void {
    this.#file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

/** The error for an output folder that refuses. */
export function unwritable(folder: string, cause: unknown): Error {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new Error(
    `Cannot write to the output folder "${folder}": ${reason}, expected a folder to write in and room there; choose another ` +
      `with --out DIR, or make room`,
    { cause },
  );
}
