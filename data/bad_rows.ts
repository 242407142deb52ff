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

/** This many rows may be bad whatever their share, so that a small dataset survives them. */
const TOLERATED_BAD_ROWS = 3;
const TOLERATED_BAD_SHARE = 0.01;

/** @throws {RangeError} when more than 1 % of the rows tried are bad, and more than 3; the message lists them */
export function requireFewBad(skipped: readonly SkippedRow[], rowsTried: number): void {
  const tolerated = Math.max(TOLERATED_BAD_ROWS, rowsTried * TOLERATED_BAD_SHARE);
  if (skipped.length > tolerated || skipped.length === rowsTried && rowsTried > 0) {
    throw tooManyBad(skipped, rowsTried);
  }
}

/** The error that stops a run, listing up to ten of the rows that could not be read. */
export function tooManyBad(skipped: readonly SkippedRow[], rowsTried?: number): RangeError {
  const list = skipped.slice(0, 10).map(({ imageName, reason }) => `  ${imageName}: ${reason}`);
  const more = skipped.length > 10 ? [`  and ${skipped.length - 10} more`] : [];
  return new RangeError([
    `Cannot go on loading: found ${skipped.length} rows that cannot be read` +
    (rowsTried === undefined ? ` in one batch` : ` among ${rowsTried}`) +
    `, expected at most one in a hundred. Repair or leave out:`,
    ...list,
    ...more,
  ].join("\n"));
}
