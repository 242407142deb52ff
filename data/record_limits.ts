/**
 * How much a file may unfold to, so that a small one cannot fill the memory: far above what data of
 * that size need. Below the readers of records. Ours.
 */

/** Bytes that a group of records may always have when it is unpacked. */
const UNPACKED_BYTES = 2 ** 26;
/** Rows that a group may always have, as most writers make them: one value takes few bytes for all. */
const ROWS = 2 ** 20;
const MOST_COLUMNS = 10_000;
const MOST_QUOTES = 2 ** 20;

/** Refuses what is no count, and more than a limit. */
function atMost(count: number, limit: number, unit: string): void {
  if (!Number.isSafeInteger(count) || count < 0) throw new Error(`${count} ${unit}`);
  if (count <= limit) return;
  throw new RangeError(`${count} ${unit}, expected at most ${limit}`);
}

/**
 * Refuses what is too much when it is unpacked, before memory is set aside for it. Questions made by
 * a template were packed to a fifteenth at best.
 *
 * @param packed bytes in the file
 * @throws {RangeError} when it is too much
 */
export function checkUnpacked(bytes: number, packed: number): void {
  atMost(bytes, UNPACKED_BYTES + 16 * packed, "bytes when unpacked");
}

/**
 * Refuses counts of rows or values that no group of that size should have.
 *
 * @param bytes that they are in, of 8 booleans each
 * @throws {RangeError} when it is too many
 */
export function checkCount(count: number, bytes: number, unit: string = "rows in a group"): void {
  atMost(count, ROWS + 8 * bytes, unit);
}

/**
 * Refuses more columns than any table of questions has.
 *
 * @throws {RangeError} when it is too many
 */
export function checkColumns(count: number): void {
  atMost(count, MOST_COLUMNS, "columns");
}

/**
 * Refuses more quotes in a record than the largest conversation has: each makes a text longer.
 *
 * @throws {RangeError} when it is too many
 */
export function checkQuotes(count: number): void {
  atMost(count, MOST_QUOTES, "quotes");
}

/**
 * Refuses values that refer to the same bytes so often that they would take too much.
 *
 * @param bytes of the values, unpacked
 * @throws {RangeError} when it is too much
 */
export function checkExpanded(expanded: number, bytes: number): void {
  atMost(expanded, UNPACKED_BYTES + 4 * bytes, "bytes and items when written out");
}
