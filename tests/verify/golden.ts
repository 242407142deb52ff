/**
 * Golden files: what a folder holds, and its JSON and safetensors files as typed values.
 *
 * The lowest part of the verification. Whatever does not have the form that the golden files' README describes throws, with
 * the file's name.
 */
import { readJson } from "../../model/checkpoint.ts";
import type { HostBatch } from "../../model/inputs.ts";
import { openSafetensors, type SafetensorsFile } from "../../model/safetensors.ts";

/** Kinds of golden folders. */
export type Kind = "model" | "hash" | "backbone" | "images" | "tables";

/** The files by which each kind is known; others that it needs and lacks are failures of its case. */
const MARKS: ReadonlyArray<readonly [Kind, readonly string[]]> = [
  ["hash", ["reference.json"]],
  ["backbone", ["hf_siglip", "hf_llama"]],
  ["model", ["config.json", "outputs.safetensors"]],
  ["images", ["decoded_rgb.safetensors"]],
];
const TABLE = /^(get_lr|multiple_choice|collator)_.*\.json$/;

/** The names in a folder, sorted. @throws {Deno.errors.NotFound} */
export function namesIn(dir: string): string[] {
  return [...Deno.readDirSync(dir)].map(({ name }) => name).sort();
}

/** What the folder `dir` holds, or undefined if it is no golden folder. @throws {Deno.errors.NotFound} */
export function kindOf(dir: string): Kind | undefined {
  const names = namesIn(dir);
  const found = MARKS.find(([, files]) => files.every((file) => names.includes(file)));
  return found?.[0] ?? (names.some((name) => TABLE.test(name)) ? "tables" : undefined);
}

/** Whether there is such a file: some are optional. */
export function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/** A value in a JSON file; what is asked of it and not there throws a SyntaxError with the place. */
export class Json {
  constructor(readonly value: unknown, readonly place: string) {}

  /** The content of a file. @throws {SyntaxError} {Deno.errors.NotFound} */
  static read(path: string): Json {
    return new Json(readJson(path), path);
  }

  #wrong(expected: string): SyntaxError {
    const found = JSON.stringify(this.value)?.slice(0, 60);
    return new SyntaxError(
      `Cannot use ${this.place}: ${found}, expected ${expected}. Fetch the golden file again.`,
    );
  }

  /** Keys and values of an object. */
  get entries(): Map<string, Json> {
    const { value, place } = this;
    if (typeof value !== "object" || value === null || Array.isArray(value)) {
      throw this.#wrong("an object");
    }
    return new Map(
      Object.entries(value).map(([key, one]) => [key, new Json(one, `${place}, "${key}"`)]),
    );
  }

  /** The value under a key. */
  get(key: string): Json {
    return this.find(key) ?? new Json(undefined, `${this.place}, "${key}"`);
  }

  /** The value under a key, or undefined where it is missing or null. */
  find(key: string): Json | undefined {
    const found = this.entries.get(key);
    return found?.value === null ? undefined : found;
  }

  /** The items of a list. */
  get items(): Json[] {
    if (!Array.isArray(this.value)) throw this.#wrong("a list");
    return this.value.map((item, i) => new Json(item, `${this.place}, [${i}]`));
  }

  get number(): number {
    if (typeof this.value !== "number") throw this.#wrong("a number");
    return this.value;
  }

  get text(): string {
    if (typeof this.value !== "string") throw this.#wrong("a text");
    return this.value;
  }

  get flag(): boolean {
    if (typeof this.value !== "boolean") throw this.#wrong("true or false");
    return this.value;
  }

  get numbers(): number[] {
    return this.items.map((item) => item.number);
  }

  get texts(): string[] {
    return this.items.map((item) => item.text);
  }

  /** A list of rows of numbers, all of one length. */
  get matrix(): number[][] {
    const rows = this.items.map((item) => item.numbers);
    if (rows.some((row) => row.length !== rows[0]?.length)) throw this.#wrong("rows of one length");
    return rows;
  }
}

/** The integers of a tensor. @throws {CheckpointError} {SyntaxError} where it has others. */
export function readIntegers(file: SafetensorsFile, name: string): Int32Array {
  const data = file.read(name);
  if (data instanceof Int32Array) return data;
  if (data instanceof BigInt64Array) return Int32Array.from(data, Number);
  throw new SyntaxError(
    `Cannot use ${file.path}, "${name}": ${file.entry(name).dtype}, expected I32 or I64. ` +
      "Fetch the golden file again.",
  );
}

/** The batch in a file, whose tensors' names begin with `prefix`. @throws {CheckpointError} {SyntaxError} */
export function readBatch(file: SafetensorsFile, prefix = ""): HostBatch {
  const [size = 0, length = 0] = file.entry(`${prefix}input_ids`).shape;
  return {
    size,
    length,
    inputIds: readIntegers(file, `${prefix}input_ids`),
    attentionMask: readIntegers(file, `${prefix}attention_mask`),
    labels: readIntegers(file, `${prefix}labels`),
    images: file.readFloat32(`${prefix}images`),
  };
}

/** The batch of a model case. @throws {CheckpointError} {SyntaxError} {Deno.errors.NotFound} */
export function readInputs(dir: string): HostBatch {
  using file = openSafetensors(`${dir}/inputs.safetensors`);
  return readBatch(file);
}

/** Lets `use` work with a safetensors file, and closes it. @throws {CheckpointError} {Deno.errors.NotFound} */
export async function withFile(
  path: string,
  use: (file: SafetensorsFile) => void | Promise<void>,
): Promise<void> {
  using file = openSafetensors(path);
  await use(file);
}
