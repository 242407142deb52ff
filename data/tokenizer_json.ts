/**
 * Checks a tokenizer.json, so that none with double ids, unknown merges or patterns that search without end is used, and
 * makes of it what the JavaScript library computes as the Rust original does. Used by tokenizer.ts.
 */
import {
  DECODERS,
  Fault,
  isJson,
  type Json,
  list,
  NORMALIZERS,
  PRE_TOKENIZERS,
  rewrite,
  shown,
} from "./tokenizer_steps.ts";

/** An id of this size or more would make a table that fills the memory; real ones end at 300,000. */
const ID_LIMIT = 1 << 22;
/** Repetitions, and parts that may be absent, in one alternative of a pattern. */
const MOST_REPETITIONS = 2;
const MOST_OPTIONS = 6;
/** How many times as long steps that replace may make a text. */
const MOST_GROWTH = 64;
const MOST_PATTERN_LETTERS = 10_000;
const REPETITION = /[*+]|\{[\d,]+\}/g;

// A pattern can take time without end where what repeats is itself of several lengths, or stands beside
// others that are. Groups are looked at from the inside out; a class or an escape counts as one letter.
function checkPattern(source: string): void {
  if (source.length > MOST_PATTERN_LETTERS) {
    throw new Fault(
      `a pattern of ${source.length} letters, expected at most ${MOST_PATTERN_LETTERS}`,
    );
  }
  let plain = source.replace(/\\[pP]\{[^}]*\}|\\[\s\S]/g, "x")
    .replace(/\[\^?\]?(?:[^[\]]|\[[^[\]]*\])*\]/g, "x").replace(/([*+?}])[+?]/g, "$1");
  const most = (text: string, quantifier: RegExp) =>
    Math.max(...text.split("|").map((part) => part.match(quantifier)?.length ?? 0));
  const GROUP = /\((?:\?(?:[:=!>]|<[=!]|<\w+>|i:))?([^()]*)\)([*+]|\{[\d,]+\})?/;
  for (let group = GROUP.exec(plain); group; group = GROUP.exec(plain)) {
    const [whole, inner = "", quantifier = ""] = group;
    if (quantifier && /[|*+?{]/.test(inner)) throw endless(source);
    const repetitions = quantifier ? 1 : most(inner, REPETITION);
    const option = /[|?]/.test(inner) ? "x?" : "x";
    plain = plain.replace(whole, () => option + "x+".repeat(repetitions));
  }
  if (most(plain, REPETITION) > MOST_REPETITIONS || most(plain, /\?/g) > MOST_OPTIONS) {
    throw endless(source);
  }
}

function endless(source: string): Fault {
  return new Fault(
    `the pattern ${shown(source)}, expected one that cannot search without end: at most ` +
      `${MOST_REPETITIONS} repetitions in a row and none of a group that repeats or has alternatives`,
  );
}

// The texts that steps put in, one after the other: each may make the text that many times as long.
function growthOf(value: unknown): number {
  if (typeof value !== "object" || value === null) return 1;
  let growth = 1;
  for (const [key, inner] of Object.entries(value)) {
    if (key === "Regex" && typeof inner === "string") checkPattern(inner);
    else if (typeof inner !== "string") growth *= growthOf(inner);
    else if (key === "content" || key === "prepend") growth *= Math.max(1, inner.length);
  }
  return growth;
}

function checkSteps(steps: readonly unknown[]): void {
  for (const step of steps) {
    if (growthOf(step) <= MOST_GROWTH) continue;
    throw new Fault(`steps that make a text over ${MOST_GROWTH} times as long, expected none`);
  }
}

// Ids and merges.

function checkedId(token: string, id: unknown): number {
  if (typeof id === "number" && Number.isInteger(id) && id >= 0 && id < ID_LIMIT) return id;
  throw new Fault(
    `the id ${shown(id)} of ${shown(token)}, expected a whole number from 0 to ${ID_LIMIT - 1}`,
  );
}

function vocabularyOf({ vocab }: Json): Map<string, number> {
  if (!Array.isArray(vocab) && !isJson(vocab)) throw new Fault("no vocabulary, expected one");
  const entries: [unknown, unknown][] = Array.isArray(vocab)
    ? vocab.map((entry, i) => [Array.isArray(entry) ? entry[0] : entry, i])
    : Object.entries(vocab);
  const ids = new Map<string, number>();
  const tokens = new Map<number, string>();
  for (const [token, id] of entries) {
    if (typeof token !== "string") throw new Fault(`${shown(token)}, expected a token's text`);
    const other = tokens.get(checkedId(token, id));
    if (other !== undefined) {
      throw new Fault(
        `the id ${id} for ${shown(other)} and ${shown(token)}, expected each id once`,
      );
    }
    ids.set(token, Number(id));
    tokens.set(Number(id), token);
  }
  return ids;
}

function checkMerges(merges: unknown, vocabulary: ReadonlyMap<string, number>): void {
  for (const merge of list(merges)) {
    const pair: unknown[] = typeof merge === "string" ? merge.split(" ") : list(merge);
    const missing = [...pair, pair.join("")].find((token) =>
      typeof token !== "string" || !vocabulary.has(token)
    );
    if (pair.length === 2 && missing === undefined) continue;
    throw new Fault(`the merge ${shown(merge)}, expected two tokens that make a third`);
  }
}

function checkModel(model: Json, vocabulary: ReadonlyMap<string, number>): void {
  const { type, merges, dropout, continuing_subword_prefix: prefix, byte_fallback } = model;
  if (type !== undefined && !["BPE", "WordPiece", "WordLevel", "Unigram"].includes(String(type))) {
    throw new Fault(
      `a model of type ${shown(type)}, expected BPE, WordPiece, WordLevel or Unigram`,
    );
  }
  if (merges !== undefined || type === "BPE") {
    checkMerges(merges, vocabulary);
    if (prefix) throw new Fault(`"continuing_subword_prefix" in BPE, expected none`);
    if (dropout) throw new Fault(`a dropout of ${shown(dropout)}, expected none`);
  } else if (byte_fallback) {
    throw new Fault(`"byte_fallback" in ${shown(type)}, expected it in BPE only`);
  }
}

/** Python gives an added token the id of the vocabulary or the next free one, whatever is written. */
function checkAddedTokens(added: unknown, vocabulary: ReadonlyMap<string, number>): void {
  const ids = new Map<string, number>();
  let next = vocabulary.size;
  for (const token of list(added)) {
    const { content, id, single_word } = isJson(token) ? token : {};
    if (typeof content !== "string") throw new Fault(`the added token ${shown(token)}`);
    const expected = vocabulary.get(content) ?? ids.get(content) ?? next;
    if (checkedId(content, id) !== expected) {
      throw new Fault(`the id ${id} of the added token ${shown(content)}, expected ${expected}`);
    }
    if (single_word) throw new Fault(`the added token ${shown(content)} as "single_word"`);
    ids.set(content, expected);
    next = Math.max(next, expected + 1);
  }
}

/**
 * A tokenizer.json for the library.
 *
 * @throws {Error} that says what was found in it and what was expected
 */
export function forLibrary(json: Json): Json & { readonly model: Json } {
  const { model, added_tokens = [], normalizer, pre_tokenizer, decoder, post_processor = null } =
    json;
  if (!isJson(model)) throw new Fault("no model, expected one");
  checkSteps([normalizer, pre_tokenizer, decoder]);
  const vocabulary = vocabularyOf(model);
  checkModel(model, vocabulary);
  checkAddedTokens(added_tokens, vocabulary);
  return {
    model,
    added_tokens,
    normalizer: rewrite(normalizer, NORMALIZERS),
    pre_tokenizer: rewrite(pre_tokenizer, PRE_TOKENIZERS),
    decoder: rewrite(decoder, DECODERS),
    post_processor,
  };
}
