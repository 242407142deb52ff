// The header of a safetensors file: bytes in, checked tensor entries out. Used by safetensors.ts.
// Source: the format's description, https://github.com/huggingface/safetensors#format, whose own checks are made here too.

/** Characters that an error shows of what was found: a file may hold anything. */
const LONGEST_FOUND = 800;
const LONGEST_VALUE = 200;

/** A file of a model is damaged, or is not what it should be. */
export class CheckpointError extends Error {
  override name = "CheckpointError";

  constructor(
    path: string,
    found: string,
    expected: string,
    remedy = "Save or fetch the file again.",
  ) {
    super(
      `Cannot read "${path}": ${found.slice(0, LONGEST_FOUND)}, expected ${expected}. ${remedy}`,
    );
  }
}

/** Kinds of elements and the bytes of one. */
export const BYTES_PER_ELEMENT = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
} as const;

/** The name of a kind of elements. */
export type Dtype = keyof typeof BYTES_PER_ELEMENT;

/** Where a tensor lies and what it is. */
export interface TensorEntry {
  readonly dtype: Dtype;
  readonly shape: readonly number[];
  /** First byte, and the byte after the last, counted from the end of the header. */
  readonly offsets: readonly [number, number];
}

/** What a header says. */
export interface Header {
  /** The texts under `__metadata__`. */
  readonly metadata: ReadonlyMap<string, string>;
  readonly tensors: ReadonlyMap<string, TensorEntry>;
}

/**
 * The header in `bytes`, of the file `path`, which has `dataBytes` bytes behind its header.
 *
 * @throws {CheckpointError} if it is no header, or its tensors do not fill the data exactly
 */
export function parseHeader(
  path: string,
  bytes: Uint8Array,
  dataBytes: number,
): Header {
  const json = parseJson(path, bytes);
  if (!isRecord(json)) {
    throw new CheckpointError(path, "its header is no object", "a JSON object");
  }
  let metadata = new Map<string, string>();
  const tensors = new Map<string, TensorEntry>();
  for (const [name, value] of Object.entries(json)) {
    if (name === "__metadata__") metadata = parseMetadata(path, value);
    else tensors.set(name, parseEntry(path, name, value));
  }
  checkLayout(path, tensors, dataBytes);
  return { metadata, tensors };
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

function parseJson(path: string, bytes: Uint8Array): unknown {
  let text: string;
  try {
    text = new TextDecoder("utf-8", { fatal: true }).decode(bytes);
  } catch {
    throw new CheckpointError(path, "its header is no UTF-8", "a JSON object");
  }
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CheckpointError(
      path,
      `its header is no JSON (${reason})`,
      "a JSON object",
    );
  }
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) {
    throw new CheckpointError(
      path,
      `its header has ${duplicate} twice`,
      "every name once",
    );
  }
  return json;
}

// JSON.parse keeps the last of equal keys and says nothing. `text` is known to be valid JSON.
function findDuplicateKey(text: string): string | undefined {
  const open: Array<Set<string>> = [];
  let string = "";
  for (const [token] of text.matchAll(/"[^"\\]*(?:\\.[^"\\]*)*"|[{}:]/g)) {
    if (token === "{") open.push(new Set());
    else if (token === "}") open.pop();
    else if (token !== ":") string = token;
    else {
      const key = String(JSON.parse(string));
      const keys = open.at(-1);
      if (keys?.has(key)) return string;
      keys?.add(key);
    }
  }
  return undefined;
}

function parseMetadata(path: string, value: unknown): Map<string, string> {
  const metadata = new Map<string, string>();
  if (value === null) return metadata; // which Python's package writes for none
  for (const [key, text] of Object.entries(isRecord(value) ? value : {})) {
    if (typeof text === "string") metadata.set(key, text);
  }
  if (isRecord(value) && metadata.size === Object.keys(value).length) {
    return metadata;
  }
  throw new CheckpointError(
    path,
    `its "__metadata__" is ${shown(value)}`,
    "an object of texts",
  );
}

function parseEntry(path: string, name: string, value: unknown): TensorEntry {
  const wrong = (found: string, expected: string) =>
    new CheckpointError(path, `tensor "${name}" has ${found}`, expected);
  if (!isRecord(value)) {
    throw wrong(`the entry ${shown(value)}`, "an object");
  }
  const { dtype, shape, data_offsets: offsets } = value;
  if (!isDtype(dtype)) {
    throw wrong(
      `the dtype ${shown(dtype)}`,
      Object.keys(BYTES_PER_ELEMENT).join(", "),
    );
  }
  if (!isCountList(shape)) {
    throw wrong(`the shape ${shown(shape)}`, "whole numbers");
  }
  const [start, end] = isCountList(offsets) ? offsets : [];
  if (start === undefined || end === undefined || start > end) {
    throw wrong(
      `the data_offsets ${shown(offsets)}`,
      "two whole numbers, the smaller one first",
    );
  }
  const bytes = shape.reduce((product, side) => product * side, 1) *
    BYTES_PER_ELEMENT[dtype];
  if (bytes !== end - start) {
    throw wrong(
      `${end - start} bytes`,
      `${bytes} for ${dtype} [${shape.join(", ")}]`,
    );
  }
  return { dtype, shape, offsets: [start, end] };
}

function shown(value: unknown): string {
  return String(JSON.stringify(value)).slice(0, LONGEST_VALUE);
}

function isDtype(value: unknown): value is Dtype {
  return typeof value === "string" && Object.hasOwn(BYTES_PER_ELEMENT, value);
}

function isCountList(value: unknown): value is number[] {
  return Array.isArray(value) &&
    value.every((item) => Number.isSafeInteger(item) && item >= 0);
}

// Tensors follow each other without a gap, from the first byte of the data to the last.
function checkLayout(
  path: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  dataBytes: number,
): void {
  const sorted = [...tensors].sort(([, a], [, b]) =>
    a.offsets[0] - b.offsets[0] || a.offsets[1] - b.offsets[1]
  );
  let position = 0;
  for (const [name, { offsets: [start, end] }] of sorted) {
    if (start !== position) {
      throw new CheckpointError(
        path,
        `tensor "${name}" begins at byte ${start} of the data, which ${
          start < position ? "overlaps another" : "leaves a hole"
        }`,
        `byte ${position}`,
      );
    }
    position = end;
  }
  if (position !== dataBytes) {
    throw new CheckpointError(
      path,
      `it has ${dataBytes} bytes of data`,
      `${position}, as its header says`,
    );
  }
}
