/**
 * Rows that cannot be read: left out and counted while they are few, an error when they are many. Under loader.ts and
 * question_groups.ts. Ours.
 */

/** A row that could not be read. */
export interface SkippedRow {
  /** Its number in the dataset. */
  row: number;
  /** What it is called. */
  imageName: string;
  /** The error that it met. */
  reason: string;
}

/** The share of rows that may be bad unless it is said otherwise. */
export const ALLOWED_BAD_ROWS = 0.01;
/** This many may be bad whatever their share, so that a small dataset survives them. */
const TOLERATED_BAD_ROWS = 3;
/** Of the reason that an error names. */
const MOST_CHARACTERS = 200;

/** The words of an error, without what `place`, which stands before them, says already. */
export function reasonAt(place: string, error: unknown): string {
  const message = error instanceof Error ? error.message : String(error);
  const [, thing, found] = /^Cannot \w+ (?:image )?"?(.+?)"?: (found .*)$/s.exec(message) ?? [];
  if (thing !== undefined && place.includes(thing)) return found ?? message;
  const [row] = /^.*?, row \d+/s.exec(place) ?? [];
  return row === undefined ? message : message.replace(`"${row}, `, '"');
}

/** The percentage to allow where so many rows are bad: twice as many, for those still to come may be worse. */
export function percentToAllow(bad: number, rows: number): number {
  return Math.min(100, Math.ceil(200 * bad / rows));
}

/**
 * Stops where too many rows are bad.
 *
 * @param rowsTried how many rows were looked at
 * @param options `rows`: how many there are, by default those; `allowed`: the share that may be bad; `before`: bad rows that
 * were looked at, too, and are not among `skipped`
 * @throws {TooManyBadRows} when more than that share of all rows is bad, and more than 3; or, among those that were looked at,
 * so many more than that share that it is no chance; or all are
 */
export function requireFewBad(
  skipped: readonly SkippedRow[],
  rowsTried: number,
  { rows = rowsTried, allowed = ALLOWED_BAD_ROWS, before = 0 }: {
    rows?: number;
    allowed?: number;
    before?: number;
  } = {},
): void {
  const expected = rowsTried * allowed;
  const byChance = expected + 3 * Math.sqrt(expected * (1 - allowed)); // three standard deviations
  const tolerated = Math.max(TOLERATED_BAD_ROWS, Math.min(rows * allowed, byChance));
  const bad = skipped.length + before;
  if (bad > tolerated || bad === rowsTried && rowsTried > 0) {
    throw new TooManyBadRows(skipped, rowsTried, { allowed, before });
  }
}

/** More rows cannot be read than may be. */
export class TooManyBadRows extends RangeError {
  override name = "RangeError";

  /** The message names the first of them. */
  constructor(
    skipped: readonly SkippedRow[],
    rowsTried: number,
    { allowed, before }: { allowed: number; before: number },
  ) {
    const bad = skipped.length + before;
    const named = skipped.slice(0, 1)
      .map(({ imageName, reason }) =>
        ` The first${before > 0 ? " since it was resumed" : ""}: ${imageName}: ${
          reason.slice(0, MOST_CHARACTERS)
        }`
      ).join();
    const remedy = bad < rowsTried
      ? `, or go on without them: --allow-bad-rows ${percentToAllow(bad, rowsTried)}%`
      : "";
    super(
      `Cannot go on: ${bad} of ${rowsTried} rows cannot be read, expected at most ${
        100 * allowed
      } %. Repair them or leave them out${remedy}.${named}`,
    );
  }
}
