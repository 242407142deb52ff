/**
 * Checks a tokenizer.json, so that none with double ids, unknown merges or patterns that search without end is used, and
 * makes of it what the JavaScript library computes as the Rust original does. Used by tokenizer.ts.
 */
import {
  DECODERS,
  Fault,
  isJson,
  isWhole,
  type Json,
  list,
  NORMALIZERS,
  PRE_TOKENIZERS,
  rewrite,
  shown,
} from "./tokenizer_steps.ts";

/** An id of this size or more would make a table that fills the memory; real ones end at 300,000. */
const ID_LIMIT = 1 << 22;
/** Of one token, of one that Unigram weighs against all others, and of one word that WordPiece cuts. */
const MOST_TOKEN_LETTERS = 1000;
const MOST_UNIGRAM_LETTERS = 64;
const MOST_WORD_LETTERS = 200;
/** Parts that may be absent in one alternative of a pattern, and ways to search in all patterns. */
const MOST_OPTIONS = 6;
const MOST_WAYS = 6;
/** How many times as long steps that replace may make a text. */
const MOST_GROWTH = 64;
/** Values in all steps, of which real ones have about a hundred. */
const MOST_VALUES = 500;
const MOST_STEP_LETTERS = 10_000;

// A pattern can take time without end where what repeats is itself of several lengths, or where something can
// fail behind two that are. Groups are looked at from the inside out; a class or an escape counts as one letter.
// The result is the ways in which the pattern is tried at all places of a text behind each other.
function waysOf(source: string): number {
  if (source.match(/\\[\s\S]/g)?.some((escape) => /[1-9k]/.test(escape))) throw endless(source);
  let plain = source.replace(/\\[pP]\{[^}]*\}|\\[\s\S]/g, "x")
    .replace(/\[\^?\]?(?:[^[\]]|\[[^[\]]*\])*\]/g, "x").replace(/([*+?}])[+?]/g, "$1");
  const counts = (text: string, counted: RegExp) =>
    text.split("|").map((part) => part.match(counted)?.length ?? 0);
  const most = (text: string, counted: RegExp) => Math.max(...counts(text, counted));
  // What stands at the end of an alternative and repeats, or may be absent, is taken once.
  const withoutEnd = (text: string) =>
    text.split("|").map((part) =>
      part.replace(/(?:[\s\S][?*])*$/, "").replace(/(?:\+|\{[\d,]+\})$/, "")
    ).join("|");
  const REPETITION = /[*+]|\{[\d,]+\}/g;
  const GROUP = /\((\?(?:[:=!>]|<[=!]|<\w+>|i:))?([^()]*)\)([*+]|\{[\d,]+\})?(\??)/;
  for (let group = GROUP.exec(plain); group; group = GROUP.exec(plain)) {
    const [whole, kind = "", inner = "", quantifier = "", optional = ""] = group;
    if (quantifier && /[|*+?{]/.test(inner)) throw endless(source);
    const repetitions = most(inner, REPETITION);
    const tried = kind.startsWith("?<") ? repetitions : most(withoutEnd(inner), REPETITION);
    const options = most(inner, /\?/g) + Math.ceil(Math.log2(inner.split("|").length));
    const letter = quantifier ? `x${quantifier}` : optional && !repetitions ? "" : "x";
    const flat = "x?".repeat(options + optional.length) + "x+".repeat(tried) + letter +
      "x+".repeat(repetitions - tried);
    const isAll = whole === plain && !quantifier && !kind.startsWith("?<");
    plain = isAll ? inner : plain.replace(whole, () => flat);
  }
  const tried = counts(withoutEnd(plain), REPETITION), options = counts(plain, /\?/g);
  if (tried.some((count) => count > 1) || options.some((count) => count > MOST_OPTIONS)) {
    throw endless(source);
  }
  const before = counts(withoutEnd(plain), /\?/g);
  return tried.reduce((sum, count, i) => sum + count * 2 ** (before[i] ?? 0), 0);
}

function endless(source: string): Fault {
  return new Fault(
    `the pattern ${
      shown(source)
    }, expected one that cannot search without end: at most one repetition ` +
      `with something behind it, none of a group that repeats or has alternatives, no back reference`,
  );
}

function checkSteps(steps: readonly unknown[]): void {
  let values = 0, ways = 0;
  // The texts that steps put in, one after the other: each may make the text that many times as long.
  const growthOf = (value: unknown, key = ""): number => {
    if (++values > MOST_VALUES) {
      throw new Fault(`steps of over ${MOST_VALUES} values, expected fewer`);
    }
    if (typeof value === "object" && value !== null) {
      return Object.entries(value).reduce((product, [k, inner]) => product * growthOf(inner, k), 1);
    }
    if (typeof value !== "string") return 1;
    if (value.length > MOST_STEP_LETTERS) {
      throw new Fault(
        `a step with ${value.length} letters, expected at most ${MOST_STEP_LETTERS}`,
      );
    }
    if (key === "Regex" && (ways += waysOf(value)) > MOST_WAYS) throw endless(value);
    return key === "content" || key === "prepend" ? Math.max(1, value.length) : 1;
  };
  for (const step of steps) {
    if (growthOf(step) <= MOST_GROWTH) continue;
    throw new Fault(`steps that make a text over ${MOST_GROWTH} times as long, expected none`);
  }
}

// Ids and merges.

function checkedId(token: string, id: unknown, most = MOST_TOKEN_LETTERS): number {
  if (token.length > most) {
    throw new Fault(
      `a token of ${token.length} letters, expected at most ${most}: ${shown(token)}`,
    );
  }
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
  const most = Array.isArray(vocab) ? MOST_UNIGRAM_LETTERS : MOST_TOKEN_LETTERS;
  const ids = new Map<string, number>();
  const tokens = new Map<number, string>();
  for (const [token, id] of entries) {
    if (typeof token !== "string") throw new Fault(`${shown(token)}, expected a token's text`);
    const other = tokens.get(checkedId(token, id, most));
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
  const { max_input_chars_per_word: word = 100 } = model;
  if (!isWhole(word, MOST_WORD_LETTERS)) {
    throw new Fault(
      `"max_input_chars_per_word" ${shown(word)}, expected 1 to ${MOST_WORD_LETTERS}`,
    );
  }
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
  const {
    model,
    added_tokens = [],
    normalizer = null,
    pre_tokenizer,
    decoder,
    post_processor = null,
  } = json;
  if (!isJson(model)) throw new Fault("no model, expected one");
  checkSteps([normalizer, pre_tokenizer, decoder, post_processor]);
  const vocabulary = vocabularyOf(model);
  checkModel(model, vocabulary);
  checkAddedTokens(added_tokens, vocabulary);
  return {
    model,
    added_tokens,
    normalizer: normalizer && rewrite({ type: "Sequence", normalizers: [normalizer] }, NORMALIZERS),
    pre_tokenizer: rewrite(pre_tokenizer, PRE_TOKENIZERS),
    decoder: rewrite(decoder, DECODERS),
    post_processor,
  };
}
