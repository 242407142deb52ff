/**
 * bad_rows.jsonl: all rows of a run's data that cannot be read or asked, a JSON object a line, each once, for who repairs them.
 *
 * Under run_log.ts. Ours.
 */
import type { SkippedRow } from "../data/bad_rows.ts";

/** The file's name in a run's folder. */
export const BAD_ROWS_FILE = "bad_rows.jsonl";

/** The file of a run, begun anew; it is there only where a row is bad. */
export class BadRowsFile {
  readonly #lines = new Set<string>();
  readonly #path: string;

  /** In the folder `folder`. */
  constructor(folder: string) {
    this.#path = `${folder}/${BAD_ROWS_FILE}`;
    const isThere = [...Deno.readDirSync(folder)].some(({ name }) => name === BAD_ROWS_FILE);
    if (isThere) Deno.removeSync(this.#path);
  }

  /**
   * Adds those that are not in it yet.
   *
   * @param part what they are rows of, such as "training"
   */
  add(part: string, rows: readonly Pick<SkippedRow, "imageName" | "reason">[]): void {
    const lines = rows.map(({ imageName: place, reason }) =>
      JSON.stringify({ part, place, reason })
    )
      .filter((line) => !this.#lines.has(line));
    if (lines.length === 0) return;
    for (const line of lines) this.#lines.add(line);
    Deno.writeTextFileSync(this.#path, lines.map((line) => `${line}\n`).join(""), { append: true });
  }
}
