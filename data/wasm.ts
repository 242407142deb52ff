/**
 * Starts the Emscripten-made decoders of jpeg.ts and webp.ts from their npm packages' files on
 * disk; their own loaders would fetch them.
 */

/** What an Emscripten module's factory is given here. */
interface FactoryOptions {
  noInitialRun: boolean;
  instantiateWasm(
    imports: WebAssembly.Imports,
    done: (instance: WebAssembly.Instance) => void,
  ): WebAssembly.Exports;
  printErr(line: string): void;
}

/** An Emscripten module with a `decode()` that returns (height, width, 4) bytes. */
interface DecoderModule {
  decode(bytes: BufferSource, ...settings: boolean[]): DecodedRgba | null;
}

/** Pixels as the decoders return them. */
export interface DecodedRgba {
  /** Pixels per line. */
  width: number;
  /** Lines. */
  height: number;
  /** (height, width, 4) */
  data: Uint8ClampedArray<ArrayBuffer>;
}

/** After a picture of more bytes than this the instance with its memory is given up. */
const MOST_KEPT_BYTES = 64 * 2 ** 20;

/** A decoder that keeps its WebAssembly instance from call to call. */
export class WasmDecoder {
  #factory: (options: FactoryOptions) => Promise<DecoderModule>;
  #specifier: string;
  #settings: boolean[];
  #compiled: WebAssembly.Module | undefined;
  #module: DecoderModule | undefined;
  #complaints: string[] = [];

  /**
   * Sets up the decoder; nothing is loaded yet.
   *
   * @param factory the package's Emscripten factory; it comes with types of another shape
   * @param specifier the WebAssembly file, as an import would name it
   * @param settings what its `decode()` takes beyond the bytes; it checks their number
   */
  constructor(factory: unknown, specifier: string, ...settings: boolean[]) {
    this.#factory = factory as (
      options: FactoryOptions,
    ) => Promise<DecoderModule>;
    this.#specifier = specifier;
    this.#settings = settings;
  }

  async #compile(): Promise<WebAssembly.Module> {
    const url = new URL(import.meta.resolve(this.#specifier));
    try {
      return await WebAssembly.compile(await Deno.readFile(url));
    } catch (cause) {
      throw new Error(
        `Cannot load decoder "${this.#specifier}": found no readable file at "${url.href}", ` +
          `expected an installed npm package. Run "deno install".`,
        { cause },
      );
    }
  }

  async #start(): Promise<DecoderModule> {
    const compiled = this.#compiled ??= await this.#compile();
    return await this.#factory({
      noInitialRun: true,
      instantiateWasm: (imports, done) => {
        const instance = new WebAssembly.Instance(compiled, imports);
        done(instance);
        return instance.exports;
      },
      printErr: (line) => this.#complaints.push(line),
    });
  }

  /**
   * Decodes a file.
   *
   * @returns the pixels, and what the decoder complained about on the way
   * @throws {SyntaxError} saying what was found, when the decoder gives up
   */
  async decode(
    bytes: Uint8Array,
  ): Promise<{ image: DecodedRgba; complaints: string[] }> {
    const module = this.#module ??= await this.#start();
    this.#complaints = []; // from here to the end nothing waits, so no other call mixes in
    let image: DecodedRgba | null = null;
    let cause: unknown;
    try {
      image = module.decode(bytes.slice().buffer, ...this.#settings);
    } catch (error) {
      cause = error;
      this.#module = undefined; // its stack is left as it was: start a fresh one next time
    }
    if (!image) {
      throw new SyntaxError(
        this.#complaints[0] ?? "data that the decoder gives up on",
        { cause },
      );
    }
    if (image.data.length > MOST_KEPT_BYTES) this.#module = undefined; // its memory never shrinks
    return { image, complaints: this.#complaints };
  }
}
