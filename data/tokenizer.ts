/**
 * Text to token ids and back. Two kinds: Hugging Face's `tokenizer.json`, and a built-in one
 * whose tokens are bytes, for small models without any file. The collator encodes with it, the
 * generator decodes.
 *
 * Source: @huggingface/tokenizers, which gives the ids of the Rust original.
 */
import { Tokenizer as HuggingFaceTokenizer } from "@huggingface/tokenizers";
import { pretrainedFolder } from "./pretrained.ts";

/** Text to token ids and back. The padding token is the end token, as in nanoVLM. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The id that ends an answer. */
  readonly eosTokenId: number;
  /** Its text: appended to a string, it is encoded as that one id. */
  readonly eosToken: string;
  /** The ids of a text. */
  encode(text: string): number[];
  /** The text of some ids; bytes that are no UTF-8 become U+FFFD. */
  decode(ids: ArrayLike<number>, options?: { skipSpecialTokens?: boolean }): string;
}

const BYTES_EOS = "<|endoftext|>";

function invalidId(id: number, vocabSize: number): RangeError {
  return new RangeError(
    `Cannot decode token: found id "${id}", expected a whole number from 0 to ${vocabSize - 1}`,
  );
}

/**
 * The built-in tokenizer: id 0 is `<|endoftext|>`, id b + 1 is the byte b of the UTF-8 text.
 */
export function byteTokenizer(): Tokenizer {
  const vocabSize = 257;
  return {
    vocabSize,
    eosTokenId: 0,
    eosToken: BYTES_EOS,
    encode(text) {
      const pieces = text.split(BYTES_EOS).map((piece) => new TextEncoder().encode(piece));
      return pieces.flatMap((
        piece,
        i,
      ) => [...(i > 0 ? [0] : []), ...Array.from(piece, (b) => b + 1)]);
    },
    decode(ids, options = {}) {
      const bytes: number[] = [];
      for (const id of Array.from(ids)) {
        if (!Number.isInteger(id) || id < 0 || id >= vocabSize) throw invalidId(id, vocabSize);
        if (id > 0) bytes.push(id - 1);
        else if (!options.skipSpecialTokens) bytes.push(...new TextEncoder().encode(BYTES_EOS));
      }
      return new TextDecoder("utf-8", { ignoreBOM: true }).decode(Uint8Array.from(bytes));
    },
  };
}

async function readJson(path: string): Promise<Record<string, unknown>> {
  let text: string;
  try {
    text = await Deno.readTextFile(path);
  } catch (cause) {
    throw new Error(
      `Cannot load tokenizer: found no readable file at "${path}", expected a folder with ` +
        `tokenizer.json and tokenizer_config.json. Check the path, or use "bytes".`,
      { cause },
    );
  }
  try {
    const parsed: unknown = JSON.parse(text);
    if (typeof parsed === "object" && parsed !== null) return parsed as Record<string, unknown>;
  } catch (cause) {
    throw new SyntaxError(
      `Cannot load tokenizer "${path}": found text that is not JSON, expected a JSON object. ` +
        `Fetch the file again.`,
      { cause },
    );
  }
  throw new SyntaxError(`Cannot load tokenizer "${path}": found no JSON object, expected one`);
}

/** The text of the end token, which is written as a string or as an object with `content`. */
function eosTokenOf(config: Record<string, unknown>, dir: string): string {
  const token = config["eos_token"];
  if (typeof token === "string") return token;
  if (typeof token === "object" && token !== null && "content" in token) {
    if (typeof token.content === "string") return token.content;
  }
  throw new SyntaxError(
    `Cannot load tokenizer "${dir}": found no "eos_token" in tokenizer_config.json, expected one`,
  );
}

/**
 * Loads a Hugging Face tokenizer.
 *
 * @param dir a folder with tokenizer.json and tokenizer_config.json
 * @throws {Error} when a file is missing
 * @throws {SyntaxError} when a file is damaged
 */
export async function loadTokenizer(dir: string): Promise<Tokenizer> {
  const vocabulary = await readJson(`${dir}/tokenizer.json`);
  const config = await readJson(`${dir}/tokenizer_config.json`);
  const eosToken = eosTokenOf(config, dir);
  let inner: HuggingFaceTokenizer;
  try {
    inner = new HuggingFaceTokenizer(vocabulary, config);
  } catch (cause) {
    throw new SyntaxError(
      `Cannot load tokenizer "${dir}": found a tokenizer.json that is not one ` +
        `(${cause instanceof Error ? cause.message : cause}), expected Hugging Face's format`,
      { cause },
    );
  }
  const eosTokenId = inner.token_to_id(eosToken);
  if (eosTokenId === undefined) {
    throw new SyntaxError(
      `Cannot load tokenizer "${dir}": found end token "${eosToken}" that is not in the ` +
        `vocabulary, expected one of its tokens`,
    );
  }
  let vocabSize = 0;
  for (const id of inner.get_vocab(true).values()) vocabSize = Math.max(vocabSize, id + 1);
  return wrap(inner, { vocabSize, eosTokenId, eosToken });
}

function wrap(
  inner: HuggingFaceTokenizer,
  facts: { vocabSize: number; eosTokenId: number; eosToken: string },
): Tokenizer {
  return {
    ...facts,
    encode: (text) => (text === "" ? [] : inner.encode(text).ids),
    decode(ids, options = {}) {
      const list = Array.from(ids);
      for (const id of list) {
        if (inner.id_to_token(id) === undefined) throw invalidId(id, facts.vocabSize);
      }
      if (list.length === 0) return "";
      return inner.decode(list, {
        skip_special_tokens: options.skipSpecialTokens ?? false,
        clean_up_tokenization_spaces: false,
      });
    },
  };
}

/**
 * The tokenizer of a name.
 *
 * @param name "bytes" for the built-in one, otherwise a folder, or "owner/name" on the Hugging Face Hub
 * @throws {Error} when the folder or a file is missing
 * @throws {HubError} when the Hub cannot give it
 * @throws {SyntaxError} when a file is damaged
 */
export async function tokenizerFor(name: string): Promise<Tokenizer> {
  if (name === "bytes") return byteTokenizer();
  return await loadTokenizer(await pretrainedFolder(name, "tokenizer"));
}

/**
 * Turns ids that come one by one into text, holding back a character until all its bytes are in.
 * The pieces put together are the text of all ids without special tokens.
 */
export class StreamingDecoder {
  readonly #tokenizer: Tokenizer;
  /** The last ids whose text is out: some decoders treat the first token of a text differently. */
  #context: number[] = [];
  #pending: number[] = [];
  /** Characters of the pending ids' text that are out already. */
  #emitted = 0;

  /** Starts an empty text. */
  constructor(tokenizer: Tokenizer) {
    this.#tokenizer = tokenizer;
  }

  #pendingText(): string {
    const options = { skipSpecialTokens: true };
    const before = this.#tokenizer.decode(this.#context, options).length;
    return this.#tokenizer.decode([...this.#context, ...this.#pending], options).slice(before);
  }

  /**
   * Takes the next id.
   *
   * @returns the text that is certain now, perhaps none
   * @throws {RangeError} when the id is not in the vocabulary
   */
  push(id: number): string {
    this.#pending.push(id);
    const text = this.#pendingText();
    const incomplete = text.endsWith("\ufffd");
    const piece = text.slice(this.#emitted, incomplete ? text.length - 1 : text.length);
    this.#emitted += piece.length;
    if (!incomplete) this.#settle();
    return piece;
  }

  /** Ends the text: what was held back comes out, as U+FFFD if it never became a character. */
  flush(): string {
    const piece = this.#pendingText().slice(this.#emitted);
    this.#settle();
    return piece;
  }

  #settle(): void {
    if (this.#pending.length > 0) this.#context = this.#pending;
    this.#pending = [];
    this.#emitted = 0;
  }
}
