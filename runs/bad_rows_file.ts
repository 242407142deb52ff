/**
 * bad_rows.jsonl: all rows of a run's data that cannot be read or asked, a JSON object a line, each once, for who repairs them.
 *
 * Under run_log.ts. Ours.
 */
import type { SkippedRow } from "../data/bad_rows.ts";

/** The file's name in a run's folder. */
export const BAD_ROWS_FILE = "bad_rows.jsonl";

/** The file of a run; it is there only where a row is bad. */
export class BadRowsFile {
  /** Lines that are in it. */
  readonly #lines: Set<string>;

  /**
   * In the folder `folder`.
   *
   * @param isNew whether a new run begins, so that what an earlier one left is removed
   */
  constructor(readonly folder: string, isNew: boolean) {
    const text = readIfThere(this.path);
    const kept = isNew || text === undefined ? "" : text.slice(0, text.lastIndexOf("\n") + 1);
    this.#lines = new Set(kept.split("\n"));
    if (text === undefined || text === kept) return;
    if (isNew) Deno.removeSync(this.path);
    else Deno.writeTextFileSync(this.path, kept); // without a line that was cut short
  }

  /** Where it is. */
  get path(): string {
    return `${this.folder}/${BAD_ROWS_FILE}`;
  }

  /**
   * Adds those that are not in it yet.
   *
   * @param part what they are rows of, such as "training"
   */
  add(part: string, rows: readonly SkippedRow[]): void {
    const lines = rows.map(({ imageName: place, reason }) =>
      JSON.stringify({ part, place, reason })
    )
      .filter((line) => !this.#lines.has(line));
    if (lines.length === 0) return;
    for (const line of lines) this.#lines.add(line);
    Deno.writeTextFileSync(this.path, lines.map((line) => `${line}\n`).join(""), { append: true });
  }
}

function readIfThere(path: string): string | undefined {
  try {
    return Deno.readTextFileSync(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
