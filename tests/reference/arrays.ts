// Shape checks and magnitudes shared by the float64 references.
// Sits under every file of tests/reference/; source: none, plain bookkeeping.

/**
 * Throws unless `array` holds exactly `length` numbers.
 *
 * @throws {TypeError} when the length differs.
 */
export function expectLength(
  name: string,
  array: ArrayLike<unknown>,
  length: number,
): void {
  if (array.length !== length) {
    throw new TypeError(
      `Cannot use ${name}: found ${array.length} elements, expected ${length}. ` +
        `Check the shape given in the options.`,
    );
  }
}

/**
 * Number of rows of width `width` that `array` holds.
 *
 * @throws {TypeError} when the rows do not fill the array.
 */
export function rowCount(
  name: string,
  array: ArrayLike<unknown>,
  width: number,
): number {
  const rows = array.length / width;
  if (!Number.isInteger(rows)) {
    throw new TypeError(
      `Cannot split ${name} into rows: found ${array.length} elements, expected a multiple of ${width}. ` +
        `Check the width given in the options.`,
    );
  }
  return rows;
}

/** Absolute values, element by element: the terms of an error bound. */
export function magnitudes(array: Float64Array): Float64Array {
  return array.map(Math.abs);
}
