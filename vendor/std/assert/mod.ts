// Assertions for the tests, under the names and signatures of `jsr:@std/assert`. Our own stand-in, see ../README.md.
import { equal } from "./equal.ts";

export { equal };

// deno-lint-ignore no-explicit-any
type ErrorClass<E extends Error> = abstract new (...args: any[]) => E;

/** Thrown by every assertion of this module. */
export class AssertionError extends Error {
  override name = "AssertionError";
}

function show(value: unknown): string {
  const text = Deno.inspect(value, { depth: 6, sorted: true, iterableLimit: 40, strAbbreviateSize: 2000 });
  return text.length > 4000 ? `${text.slice(0, 4000)} …` : text;
}

function failWith(message: string, suffix?: string): never {
  throw new AssertionError(suffix === undefined ? message : `${message}: ${suffix}`);
}

/** Throws unless `expr` is truthy. */
export function assert(expr: unknown, msg = ""): asserts expr {
  if (!expr) throw new AssertionError(msg);
}

/** Always throws. */
export function fail(msg?: string): never {
  failWith("Failed assertion", msg);
}

/** Throws where a place thought unreachable is reached. */
export function unreachable(msg?: string): never {
  failWith("Unreachable", msg);
}

/** Throws unless `actual` and `expected` are deeply equal. */
export function assertEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) return;
  failWith(`Values are not equal\n    actual: ${show(actual)}\n  expected: ${show(expected)}`, msg);
}

/** Throws if `actual` and `expected` are deeply equal. */
export function assertNotEquals<T>(actual: T, expected: T, msg?: string): void {
  if (equal(actual, expected)) failWith(`Expected values that differ, both are ${show(actual)}`, msg);
}

/** Throws unless `actual` and `expected` are the same value by `Object.is`. */
export function assertStrictEquals<T>(actual: unknown, expected: T, msg?: string): asserts actual is T {
  if (Object.is(actual, expected)) return;
  failWith(`Values are not the same\n    actual: ${show(actual)}\n  expected: ${show(expected)}`, msg);
}

/** Throws if `actual` and `expected` are the same value by `Object.is`. */
export function assertNotStrictEquals<T>(actual: T, expected: T, msg?: string): void {
  if (Object.is(actual, expected)) failWith(`Expected another value than ${show(actual)}`, msg);
}

/** Throws unless `|actual - expected| <= tolerance`, by default 1e-7 of `expected`. */
export function assertAlmostEquals(actual: number, expected: number, tolerance?: number, msg?: string): void {
  if (Object.is(actual, expected)) return;
  const delta = Math.abs(expected - actual);
  const allowed = tolerance ?? (Number.isFinite(expected) ? Math.abs(expected * 1e-7) : 1e-7);
  if (delta <= allowed) return;
  failWith(`Expected ${actual} to be within ${allowed} of ${expected}, it is ${delta} away`, msg);
}

/** Throws unless `actual > expected`. */
export function assertGreater<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual > expected)) failWith(`Expected ${show(actual)} > ${show(expected)}`, msg);
}

/** Throws unless `actual >= expected`. */
export function assertGreaterOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual >= expected)) failWith(`Expected ${show(actual)} >= ${show(expected)}`, msg);
}

/** Throws unless `actual < expected`. */
export function assertLess<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual < expected)) failWith(`Expected ${show(actual)} < ${show(expected)}`, msg);
}

/** Throws unless `actual <= expected`. */
export function assertLessOrEqual<T>(actual: T, expected: T, msg?: string): void {
  if (!(actual <= expected)) failWith(`Expected ${show(actual)} <= ${show(expected)}`, msg);
}

/** Throws if `actual` is null or undefined. */
export function assertExists<T>(actual: T, msg?: string): asserts actual is NonNullable<T> {
  if (actual === undefined || actual === null) failWith(`Expected a value, found ${actual}`, msg);
}

/** Throws unless `actual` contains `expected`. */
export function assertStringIncludes(actual: string, expected: string, msg?: string): void {
  if (!actual.includes(expected)) failWith(`Expected ${show(actual)} to contain ${show(expected)}`, msg);
}

/** Throws unless `expected` matches `actual`. */
export function assertMatch(actual: string, expected: RegExp, msg?: string): void {
  if (actual.search(expected) < 0) failWith(`Expected ${show(actual)} to match ${expected}`, msg);
}

/** Throws if `expected` matches `actual`. */
export function assertNotMatch(actual: string, expected: RegExp, msg?: string): void {
  if (actual.search(expected) >= 0) failWith(`Expected ${show(actual)} not to match ${expected}`, msg);
}

/** Throws unless `actual` is an instance of `expectedType`. */
// deno-lint-ignore no-explicit-any
export function assertInstanceOf<T extends abstract new (...args: any[]) => any>(
  actual: unknown,
  expectedType: T,
  msg = "",
): asserts actual is InstanceType<T> {
  if (actual instanceof expectedType) return;
  failWith(`Expected an instance of ${expectedType.name}, found ${show(actual)}`, msg || undefined);
}

/** Throws unless `error` is an `Error`, of `ErrorClass` and with `msgMatches` in its message where those are given. */
export function assertIsError<E extends Error = Error>(
  error: unknown,
  errorClass?: ErrorClass<E>,
  msgMatches?: string | RegExp,
  msg?: string,
): asserts error is E {
  if (!(error instanceof Error)) failWith(`Expected an Error, found ${show(error)}`, msg);
  if (errorClass !== undefined && !(error instanceof errorClass)) {
    failWith(`Expected a ${errorClass.name}, found ${show(error)}`, msg);
  }
  if (msgMatches === undefined) return;
  const found = typeof msgMatches === "string" ? error.message.includes(msgMatches) : msgMatches.test(error.message);
  if (!found) failWith(`Expected an error message with ${show(msgMatches)}, found ${show(error.message)}`, msg);
}

/** Throws unless `fn` throws; the second form also checks the error's class and message. Returns what was thrown. */
export function assertThrows(fn: () => unknown, msg?: string): unknown;
export function assertThrows<E extends Error = Error>(
  fn: () => unknown,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): E;
export function assertThrows<E extends Error>(
  fn: () => unknown,
  classOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): unknown {
  try {
    fn();
  } catch (error) {
    if (typeof classOrMsg === "function") assertIsError(error, classOrMsg, msgIncludes, msg);
    return error;
  }
  failWith("Expected function to throw", typeof classOrMsg === "string" ? classOrMsg : msg);
}

/** Throws unless the promise of `fn` rejects; the second form also checks class and message. Resolves to the error. */
export function assertRejects(fn: () => PromiseLike<unknown>, msg?: string): Promise<unknown>;
export function assertRejects<E extends Error = Error>(
  fn: () => PromiseLike<unknown>,
  ErrorClass: ErrorClass<E>,
  msgIncludes?: string,
  msg?: string,
): Promise<E>;
export async function assertRejects<E extends Error>(
  fn: () => PromiseLike<unknown>,
  classOrMsg?: ErrorClass<E> | string,
  msgIncludes?: string,
  msg?: string,
): Promise<unknown> {
  let promise: PromiseLike<unknown>;
  try {
    promise = fn();
  } catch (error) {
    failWith(`Function throws when expected to reject, it threw ${show(error)}`, msg);
  }
  try {
    await promise;
  } catch (error) {
    if (typeof classOrMsg === "function") assertIsError(error, classOrMsg, msgIncludes, msg);
    return error;
  }
  failWith("Expected function to reject", typeof classOrMsg === "string" ? classOrMsg : msg);
}
