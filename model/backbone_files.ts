// A Hugging Face model folder: config.json with defaults for what it leaves out, and the tensors of one safetensors
// file or of several with an index. Below backbones.ts.
// Source: the layout that transformers' save_pretrained writes.
import { readJson } from "./checkpoint.ts";
import { LONGEST_SHOWN } from "./fields.ts";
import { CheckpointError, openSafetensors, type SafetensorsFile } from "./safetensors.ts";

type Json = Record<string, unknown>;

function isRecord(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** A config.json, or an object in it, whose missing keys have transformers' default values. */
export class BackboneConfig {
  constructor(readonly path: string, readonly json: Json) {}

  /**
   * The config.json of folder `dir`.
   *
   * @throws {SyntaxError} if it is no JSON
   * @throws {TypeError} if it is no object
   */
  static read(dir: string): BackboneConfig {
    const path = `${dir}/config.json`;
    const json = readJson(path);
    if (isRecord(json)) return new BackboneConfig(path, json);
    throw new TypeError(
      `Cannot read "${path}": ${
        JSON.stringify(json).slice(0, LONGEST_SHOWN)
      }, expected an object. Give a Hugging Face model folder.`,
    );
  }

  /** The object under `key`, or undefined if there is none. */
  part(key: string): BackboneConfig | undefined {
    const json = this.json[key];
    return isRecord(json) ? new BackboneConfig(this.path, json) : undefined;
  }

  /**
   * The number under `key`, or `initial` where the key is missing or null.
   *
   * @throws {TypeError} if there is something else
   */
  number(key: string, initial: number): number {
    const value = this.json[key] ?? initial;
    if (typeof value === "number") return value;
    throw new TypeError(
      `Cannot use "${key}" of "${this.path}": ${
        JSON.stringify(value).slice(0, LONGEST_SHOWN)
      }, expected a number. Correct the value.`,
    );
  }

  /**
   * Does nothing if `key` is missing, null, or `supported`.
   *
   * @throws {RangeError} if it has another value, with which the model would compute something else
   */
  require(key: string, supported: unknown): void {
    const value = this.json[key] ?? supported;
    if (value === supported) return;
    throw new RangeError(
      `Cannot use the backbone "${this.path}": ${key} is ${
        JSON.stringify(value).slice(0, LONGEST_SHOWN)
      }, expected ${
        JSON.stringify(supported)
      }. nanoVLM computes nothing else; take another backbone.`,
    );
  }
}

/** The open safetensors files of a folder. */
export class BackboneFiles implements Disposable {
  readonly #files = new Map<string, SafetensorsFile>();
  readonly #fileOf = new Map<string, SafetensorsFile>();

  /**
   * Opens model.safetensors of folder `dir`, or the files that model.safetensors.index.json names.
   *
   * @throws {CheckpointError} if a file is damaged
   * @throws {Deno.errors.NotFound} if a file is missing
   */
  constructor(readonly dir: string) {
    try {
      const index = `${dir}/model.safetensors.index.json`;
      if (exists(index)) this.#openIndex(index);
      else this.#openSingle();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #openSingle(): void {
    const file = this.#open("model.safetensors");
    for (const name of file.tensors.keys()) this.#fileOf.set(name, file);
  }

  #openIndex(path: string): void {
    const index = readJson(path);
    const weights = isRecord(index) ? index["weight_map"] : undefined;
    if (!isRecord(weights)) {
      throw new CheckpointError(
        path,
        `"weight_map" is ${JSON.stringify(weights)}`,
        "an object of file names",
      );
    }
    for (const [name, fileName] of Object.entries(weights)) {
      // A name with a folder in it could lead anywhere on the disk.
      if (typeof fileName !== "string" || !/^[\w.-]+$/.test(fileName)) {
        throw new CheckpointError(
          path,
          `"${name}" is in ${JSON.stringify(fileName)}`,
          "the name of a file beside it",
        );
      }
      this.#fileOf.set(name, this.#open(fileName));
    }
  }

  #open(fileName: string): SafetensorsFile {
    const file = this.#files.get(fileName) ??
      openSafetensors(`${this.dir}/${fileName}`);
    this.#files.set(fileName, file);
    return file;
  }

  /** Whether there is a tensor `name`. */
  has(name: string): boolean {
    return this.#fileOf.has(name);
  }

  /** What is wrong with tensor `name` where one of `shape` is needed, or undefined. */
  problem(name: string, shape: readonly number[]): string | undefined {
    const entry = this.#fileOf.get(name)?.tensors.get(name);
    if (entry === undefined) return `"${name}" is missing`;
    if (entry.shape.join() !== shape.join()) {
      return `"${name}" is [${entry.shape.join(", ")}] instead of [${shape.join(", ")}]`;
    }
    if (["F32", "F16", "BF16"].includes(entry.dtype)) return undefined;
    return `"${name}" is ${entry.dtype} instead of F32, F16 or BF16`;
  }

  /**
   * The elements of tensor `name`.
   *
   * @throws {CheckpointError} if there is none
   */
  read(name: string): Float32Array<ArrayBuffer> {
    const file = this.#fileOf.get(name);
    if (file !== undefined) return file.readFloat32(name);
    throw new CheckpointError(this.dir, `no tensor "${name}"`, "one");
  }

  /** Closes all files. */
  close(): void {
    for (const file of this.#files.values()) file.close();
  }

  [Symbol.dispose](): void {
    this.close();
  }
}

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
