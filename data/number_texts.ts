/**
 * Decimal numbers and times of day as texts, as Python prints them: numbers of JavaScript would lose
 * digits, and a time is stored as a count. Below the readers of Parquet and Arrow.
 */

/** More digits than a decimal can have: its power of ten would take hours. */
const MOST_DIGITS = 76;

/** @throws {Error} when that many digits behind the point are more than a decimal number can have */
export function checkScale(scale: number): void {
  if (Math.abs(scale) > MOST_DIGITS) throw new Error(`a decimal number of ${scale} digits`);
}

/**
 * @param value without its point
 * @param scale how many digits are behind the point; with a minus, how many zeros follow
 * @throws {Error} when they are more than it can have
 */
export function decimalText(value: bigint, scale: number): string {
  checkScale(scale);
  if (scale <= 0) return String(value * 10n ** BigInt(-scale));
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, "0");
  return `${value < 0n ? "-" : ""}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

/** @param value since midnight, in parts of a second of which there are `perSecond` */
export function timeText(value: bigint, perSecond: bigint): string {
  const micros = value * 1_000_000n / perSecond;
  const text = new Date(Number(BigInt.asUintN(37, micros) / 1000n)).toISOString().slice(11, 19);
  const rest = micros % 1_000_000n;
  return rest === 0n ? text : `${text}.${String(rest).padStart(6, "0")}`;
}
