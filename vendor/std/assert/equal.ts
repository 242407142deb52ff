// Deep equality as `jsr:@std/assert` defines it. Used by assertEquals and assertNotEquals in mod.ts. Our own stand-in.

type Pairs = Map<object, object>;

/** Whether `a` and `b` have the same type and, all the way down, the same content; NaN equals NaN. */
export function equal(a: unknown, b: unknown): boolean {
  return compare(a, b, new Map());
}

function compare(a: unknown, b: unknown, open: Pairs): boolean {
  if (a === b || (a !== a && b !== b)) return true;
  if (typeof a !== "object" || typeof b !== "object" || a === null || b === null) return false;
  if (prototypeOf(a) !== prototypeOf(b)) return false;
  if (open.get(a) === b) return true; // a cycle that has the same shape on both sides
  open.set(a, b);
  return compareContents(a, b, open);
}

function prototypeOf(value: object): unknown {
  const prototype: unknown = Object.getPrototypeOf(value);
  return prototype === null ? Object.prototype : prototype;
}

function compareContents(a: object, b: object, open: Pairs): boolean {
  if (a instanceof Date && b instanceof Date) return compare(a.getTime(), b.getTime(), open);
  if (a instanceof RegExp || a instanceof URL) return String(a) === String(b);
  if (a instanceof ArrayBuffer && b instanceof ArrayBuffer) {
    return compareArrays(new Uint8Array(a), new Uint8Array(b));
  }
  if (a instanceof DataView && b instanceof DataView) {
    return compareArrays(bytesOf(a), bytesOf(b));
  }
  if (ArrayBuffer.isView(a)) {
    return compareArrays(a as unknown as ArrayLike<unknown>, b as unknown as ArrayLike<unknown>);
  }
  if (a instanceof Set && b instanceof Set) return compareSets(a, b, open);
  if (a instanceof Map && b instanceof Map) return compareMaps(a, b, open);
  if (a instanceof Error && b instanceof Error && (a.message !== b.message || a.name !== b.name)) {
    return false;
  }
  return compareProperties(a, b, open);
}

function bytesOf(view: DataView): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}

function compareArrays(a: ArrayLike<unknown>, b: ArrayLike<unknown>): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) {
    const x = a[i], y = b[i];
    if (x !== y && !(x !== x && y !== y)) return false;
  }
  return true;
}

function compareSets(a: Set<unknown>, b: Set<unknown>, open: Pairs): boolean {
  if (a.size !== b.size) return false;
  const rest = new Set(b);
  for (const item of a) {
    const match = [...rest].find((other) => compare(item, other, new Map(open)));
    if (match === undefined && !rest.has(undefined)) return false;
    rest.delete(match);
  }
  return true;
}

function compareMaps(a: Map<unknown, unknown>, b: Map<unknown, unknown>, open: Pairs): boolean {
  if (a.size !== b.size) return false;
  const rest = new Set(b.entries());
  for (const entry of a) {
    const match = [...rest].find((other) => compare(entry, other, new Map(open)));
    if (match === undefined) return false;
    rest.delete(match);
  }
  return true;
}

function compareProperties(a: object, b: object, open: Pairs): boolean {
  const keys = Reflect.ownKeys(a), others = Reflect.ownKeys(b);
  if (keys.length !== others.length) return false;
  return keys.every((key) =>
    Object.hasOwn(b, key) && compare(Reflect.get(a, key), Reflect.get(b, key), open)
  );
}
