/**
 * Text to token ids and back. Two kinds: Hugging Face's `tokenizer.json`, and a built-in one
 * whose tokens are bytes, for small models without any file. The collator encodes with it, the
 * generator decodes.
 *
 * Source: @huggingface/tokenizers, which gives the ids of the Rust original.
 */
import {
  ByteFallbackDecoder,
  SequenceDecoder,
  Tokenizer as HuggingFaceTokenizer,
} from "@huggingface/tokenizers";
import { whatIs } from "./file_kind.ts";
import { pretrainedFolder } from "./pretrained.ts";
import { forLibrary } from "./tokenizer_json.ts";
import { isJson, MOST_CHARACTERS } from "./tokenizer_steps.ts";

/** Text to token ids and back. The padding token is the end token, as in nanoVLM. */
export interface Tokenizer {
  /** One more than the largest id. */
  readonly vocabSize: number;
  /** The id that ends an answer. */
  readonly eosTokenId: number;
  /** Its text: appended to a string, it is encoded as that one id. */
  readonly eosToken: string;
  /** The ids of a text, of its first 50,000 characters where it is longer: no row holds more. */
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
      const pieces = text.slice(0, MOST_CHARACTERS).split(BYTES_EOS);
      return pieces.flatMap((piece, i) => {
        const ids = Array.from(new TextEncoder().encode(piece), (byte) => byte + 1);
        return i > 0 ? [0].concat(ids) : ids;
      });
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
  let bytes: Uint8Array;
  try {
    bytes = await Deno.readFile(path);
  } catch (cause) {
    throw new Error(
      `Cannot load tokenizer: found no readable file at "${path}", expected a folder with ` +
        `tokenizer.json and tokenizer_config.json. Check the path, or use "bytes".`,
      { cause },
    );
  }
  let found = whatIs(bytes);
  try {
    const parsed: unknown = JSON.parse(new TextDecoder().decode(bytes));
    if (isJson(parsed)) return parsed;
    found = "JSON that is no object";
  } catch (cause) {
    if (found === "a text file") found = `text that is not JSON (${messageOf(cause)})`;
  }
  throw new SyntaxError(
    `Cannot load tokenizer "${path}": found ${found}, expected a JSON object. Fetch the file again.`,
  );
}

function messageOf(cause: unknown): string {
  return cause instanceof Error ? cause.message.slice(0, 200) : String(cause);
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
    const checked = forLibrary(vocabulary);
    const { additional_special_tokens } = config;
    const { unk_token } = checked.model;
    inner = new HuggingFaceTokenizer(checked, { additional_special_tokens, unk_token });
    useExactBytes(inner);
    inner.decode([inner.token_to_id(eosToken) ?? 0]); // what is wrong in the last steps shows here
    inner.encode("a");
  } catch (cause) {
    throw new SyntaxError(
      `Cannot load tokenizer "${dir}": found in tokenizer.json ${messageOf(cause)}. ` +
        `Take a tokenizer as Hugging Face's Python library writes it.`,
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

/** Bytes as the Rust original decodes a run of byte tokens: where it is no UTF-8 as a whole, each is U+FFFD. */
class ByteRunDecoder extends TextDecoder {
  override decode(bytes: Uint8Array): string {
    try {
      return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
    } catch {
      return "\ufffd".repeat(bytes.length);
    }
  }
}

function useExactBytes({ decoder }: HuggingFaceTokenizer): void {
  const steps = decoder instanceof SequenceDecoder ? decoder.decoders : [decoder];
  for (const step of steps) {
    if (step instanceof ByteFallbackDecoder) step.text_decoder = new ByteRunDecoder();
  }
}

function wrap(
  inner: HuggingFaceTokenizer,
  facts: { vocabSize: number; eosTokenId: number; eosToken: string },
): Tokenizer {
  return {
    ...facts,
    encode(text) {
      const start = text.slice(0, MOST_CHARACTERS);
      const ids = text === "" ? [] : inner.encode(start).ids;
      if (ids.every(Number.isInteger)) return ids;
      throw new RangeError(
        `Cannot encode "${start.slice(0, 80)}": the tokenizer has no token for a part of it and ` +
          `none for unknown text, expected one of them. Take another tokenizer.`,
      );
    },
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
    const before = this.#tokenizer.decode(this.#context, options);
    const text = this.#tokenizer.decode([...this.#context, ...this.#pending], options);
    if (text.startsWith(before)) return text.slice(before.length);
    return this.#tokenizer.decode(this.#pending, options); // bytes that broke a whole character
  }

  /**
   * Takes the next id.
   *
   * @returns the text that is certain now, perhaps none
   * @throws {RangeError} when the id is not in the vocabulary
   */
  push(id: number): string {
    const isSpecial = this.#tokenizer.decode([id], { skipSpecialTokens: true }) === "" &&
      this.#tokenizer.decode([id]) !== "";
    if (isSpecial) return "";
    this.#pending.push(id);
    const text = this.#pendingText();
    const certain = text.replace(/\ufffd+$/, "");
    const piece = certain.slice(this.#emitted);
    this.#emitted += piece.length;
    if (certain === text) this.#settle();
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
