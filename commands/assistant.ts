/**
 * A model with all that it takes to ask it: device, tokenizer and the way from a picture and a question to an answer.
 *
 * What generate.ts does for one question, and what mod.ts gives programs: three lines from a folder to an answer. Source:
 * generate.py of nanoVLM v0.1.
 */
import { decodeImage, type RgbImage } from "../data/image.ts";
import { ImageProcessor, vqaPrompt } from "../data/processor.ts";
import type { PretrainedOptions } from "../data/pretrained.ts";
import { printable } from "../data/terminal.ts";
import { StreamingDecoder, type Tokenizer } from "../data/tokenizer.ts";
import { confidenceOf, Generator, type SampleMode } from "../model/generator.ts";
import { chooseDtype, type DtypeChoice } from "../model/precision.ts";
import { VisionLanguageModel } from "../model/vision_language_model.ts";
import { checkpointFolder, openTokenizer, tokenizerOf } from "./checkpoints.ts";
import { openDevice } from "./device.ts";

/** How to load a model. */
export interface LoadOptions extends PretrainedOptions {
  /** "auto" by default: mixed precision where it is faster. */
  readonly dtype?: DtypeChoice;
  /** A folder or name, where the model has none of its own. */
  readonly tokenizer?: string | undefined;
  /** Whether to take the kernels that are fastest here, which are measured the first time; true by default. */
  readonly tuned?: boolean;
}

/** The GPU draws from 32 bits. */
export const MOST_SEED = 0xffffffff;

/** How to answer. */
export interface AskOptions {
  /** Tokens at most; 20 by default. */
  readonly maxNewTokens?: number;
  /** "greedy" by default. */
  readonly mode?: SampleMode;
  /** Where the drawing starts: a whole number from 0 to 2^32 - 1, 0 by default. */
  readonly seed?: number;
  /** Called with the answer's text piece by piece. */
  readonly onText?: (piece: string) => void;
}

/** An answer, and how sure the model is of it. */
export interface Reply {
  readonly text: string;
  /** The geometric mean of the probabilities that the model gave to the answer's tokens and to its end, from 0 to 1. */
  readonly confidence: number;
}

/** A loaded model that answers questions about pictures. Declare it with `using`, and its memory is freed at the end. */
export class Assistant implements Disposable {
  readonly #generator: Generator;
  readonly #processor: ImageProcessor;
  #isDisposed = false;

  /** Use `load()`. */
  constructor(readonly model: VisionLanguageModel, readonly tokenizer: Tokenizer) {
    this.#processor = new ImageProcessor({ ...model.config, image_alpha: "white" });
    this.#generator = new Generator(model);
  }

  /**
   * The answer to a question about a picture.
   *
   * @param picture a file's path or bytes, or pixels
   * @throws {Error} {SyntaxError} {TypeError} where the picture cannot be read
   * @throws {Error} where the model was disposed, before or meanwhile
   * @throws {RangeError} where the question is empty or longer than the model's context, the seed is none, or the model gives
   *   no numbers
   * @throws {DeviceError} {ShaderError}
   */
  async ask(
    picture: string | Uint8Array | RgbImage,
    question: string,
    options: AskOptions = {},
  ): Promise<string> {
    return (await this.answer(picture, question, options)).text;
  }

  /** What `ask()` gives, and how sure the model is of it; throws as it does. */
  async answer(
    picture: string | Uint8Array | RgbImage,
    question: string,
    options: AskOptions = {},
  ): Promise<Reply> {
    try {
      if (!this.#isDisposed) return await this.#answer(picture, question, options);
    } catch (error) {
      if (!this.#isDisposed) throw error;
    }
    throw new Error(
      "Cannot answer: the model was disposed, expected one in use; ask before its `using` block ends, and await the answer",
    );
  }

  async #answer(
    picture: string | Uint8Array | RgbImage,
    question: string,
    { maxNewTokens = 20, mode = "greedy", seed = 0, onText = () => {} }: AskOptions,
  ): Promise<Reply> {
    if (!Number.isInteger(seed) || seed < 0 || seed > MOST_SEED) {
      throw new RangeError(
        `Cannot answer with the seed ${seed}: expected a whole number from 0 to ${MOST_SEED}`,
      );
    }
    if (question.trim() === "") {
      throw new RangeError("Cannot answer: the question is empty, expected some text");
    }
    const pixels = typeof picture === "string" ? await readPicture(picture) : picture;
    const images = await this.#processor.process(pixels, "the picture");
    const ids = this.tokenizer.encode(vqaPrompt(question));
    const decoder = new StreamingDecoder(this.tokenizer);
    const probabilities: number[] = [];
    let text = "";
    const take = (piece: string) => {
      text += piece;
      if (piece !== "") onText(piece);
    };
    await this.#generator.generate({
      size: 1,
      length: ids.length,
      inputIds: Int32Array.from(ids),
      attentionMask: new Int32Array(ids.length).fill(1),
      images,
    }, {
      maxNewTokens,
      mode,
      seed,
      eosTokenId: this.tokenizer.eosTokenId,
      onTokens: ([ids = []], [some = []]) => {
        requireNumbers(some);
        probabilities.push(...some);
        // A model may know more ids than its tokenizer, which stand for nothing.
        for (const id of ids) if (id < this.tokenizer.vocabSize) take(decoder.push(id));
      },
    });
    take(decoder.flush());
    return { text, confidence: confidenceOf(probabilities) };
  }

  /** Frees the model's memory and its device. */
  [Symbol.dispose](): void {
    if (this.#isDisposed) return;
    this.#isDisposed = true;
    this.#generator.destroy();
    this.model.destroy();
    this.model.device.destroy();
  }
}

/** @throws {RangeError} where a probability is none */
function requireNumbers(probabilities: readonly number[]): void {
  if (probabilities.every((probability) => probability >= 0)) return;
  throw new RangeError(
    "Cannot answer: the model gives NaN or infinity instead of numbers, expected finite ones; they are too large for its " +
      "type (try --dtype f32), or it is broken (take an earlier checkpoint)",
  );
}

/**
 * Loads a model to ask, with its tokenizer, on a device of its own.
 *
 * @example
 * ```ts
 * import { load } from "@nanovlm/webgpu";
 *
 * using model = await load("checkpoints/quickstart"); // or "lusxvr/nanoVLM-222M" of the Hub
 * console.log(await model.ask("photo.jpg", "what colour is it?"));
 * ```
 *
 * @param name a folder that training wrote, or "owner/name" on the Hugging Face Hub
 * @throws {Error} where there is no such model, or the tokenizer does not fit it
 * @throws {HubError} where the Hub cannot give it
 * @throws {CheckpointError} {TypeError} {RangeError} {SyntaxError} where a file is wrong
 * @throws {DeviceError} where there is no device, or it cannot hold the model
 */
export async function load(name: string, options: LoadOptions = {}): Promise<Assistant> {
  const dir = await checkpointFolder(name, options);
  const device = await openDevice(options.tuned ?? true);
  try {
    const dtype = await chooseDtype(device, options.dtype ?? "auto");
    const model = await VisionLanguageModel.fromPretrained(device, dir, { dtype });
    const tokenizer = options.tokenizer ?? tokenizerOf(dir, model.config);
    return new Assistant(model, await openTokenizer(tokenizer, model.config));
  } catch (error) {
    device.destroy();
    throw error;
  }
}

/**
 * The pixels of a picture file.
 *
 * @throws {Error} where there is none
 * @throws {SyntaxError} {RangeError} where it cannot be decoded
 */
export async function readPicture(path: string): Promise<RgbImage> {
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    const shown = printable(path, 200);
    const reason = (cause instanceof Error ? cause.message : String(cause)).replaceAll(path, shown);
    const found = /^(data:|blob:|[a-z][a-z0-9+.-]+:\/\/)/i.test(path)
      ? "a URL, and URLs are not fetched"
      : cause instanceof Deno.errors.NotFound
      ? "no such file"
      : cause instanceof Deno.errors.IsADirectory
      ? "a folder"
      : reason;
    throw new Error(
      `Cannot read the image "${shown}": ${found}, expected a PNG, JPEG, WebP, GIF, TIFF, BMP, HEIC or AVIF file; check the path`,
      { cause },
    );
  }
  return await decodeImage(bytes, path);
}
