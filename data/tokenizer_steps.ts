/**
 * The steps of a tokenizer.json (normalizers, pre-tokenizers, decoders) as the JavaScript library is to do them: other
 * steps stand in the place of those that it does otherwise than the Rust original, such as splitting at numbers that
 * are no digits. Used by tokenizer_json.ts.
 *
 * Source: the crate tokenizers 0.23 (pre_tokenizers, normalizers, decoders); tests/golden/data/tokenizers.json has ids
 * from its Python package.
 */

/** A JSON object. */
export type Json = Record<string, unknown>;

/** Whether a value is a JSON object. */
export function isJson(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether a value is a whole number from 1 to a greatest one. */
export function isWhole(value: unknown, greatest: number): boolean {
  return Number.isInteger(value) && Number(value) >= 1 && Number(value) <= greatest;
}

/** Characters that are encoded: longer texts fit into no model, and would take minutes and gigabytes. */
export const MOST_CHARACTERS = 50_000;

/** What is wrong with a tokenizer.json, for the message that names the file. */
export class Fault extends Error {}

/** A value for a message, or its beginning. */
export function shown(value: unknown): string {
  return (JSON.stringify(value) ?? "nothing").slice(0, 80);
}

const SPACE = "\\s";
const PUNCTUATION = "\\p{P}\\x21-\\x2f\\x3a-\\x40\\x5b-\\x60\\x7b-\\x7e";
const WORD = "\\p{Alphabetic}\\p{M}\\p{Nd}\\p{Pc}\\p{Join_Control}";
const GPT2 = "'s|'t|'re|'ve|'m|'ll|'d| ?\\p{L}+| ?\\p{N}+| ?[^\\s\\p{L}\\p{N}]+|\\s+(?!\\S)|\\s+";

const matches = (Regex: string) => ({
  type: "Split",
  pattern: { Regex },
  behavior: "Removed",
  invert: true,
});
const replace = (Regex: string, content: string) => ({
  type: "Replace",
  pattern: { Regex },
  content,
});
const prepare = (...pretokenizers: unknown[]) => ({ type: "Sequence", pretokenizers });
const normalize = (...normalizers: unknown[]) => ({ type: "Sequence", normalizers });

function regexOf(pattern: unknown): string {
  if (isJson(pattern) && typeof pattern["Regex"] === "string" && pattern["Regex"] !== "") {
    return pattern["Regex"];
  }
  if (isJson(pattern) && typeof pattern["String"] === "string" && pattern["String"] !== "") {
    return pattern["String"].replace(/[.*+?^${}()|[\]\\]/g, "\\$&");
  }
  throw new Fault(`the pattern ${shown(pattern)}, expected a "String" or a "Regex"`);
}

/** Split in each of its ways, as a pattern whose matches are the pieces; the library knows two. */
function split({ pattern, behavior = "Removed", invert = false }: Json): Json {
  const P = `(?:${regexOf(pattern)})`;
  const gap = `(?:(?!${P})[\\s\\S])+`;
  switch (String(behavior).toLowerCase().replaceAll("_", "")) {
    case "removed":
      return matches(invert ? P : gap);
    case "isolated":
      return { type: "Split", pattern: { Regex: P }, behavior: "Isolated", invert: false };
    case "contiguous":
      return matches(`${P}+|${gap}`);
    case "mergedwithprevious":
      return matches(invert ? `${P}(?:${gap})?|${gap}` : `${gap}${P}?|${P}`);
    case "mergedwithnext":
      return matches(invert ? `(?:${gap})?${P}|${gap}` : `${P}(?:${gap})?|${gap}`);
  }
  throw new Fault(`the split behavior ${shown(behavior)}, expected one that Python knows`);
}

/** Of pieces of one length. */
const MOST_LENGTH = 1000;

// A Metaspace's mark for a space, one character as in Python: more would make every text longer.
function markOf({ replacement = "▁" }: Json): string {
  if (typeof replacement === "string" && [...replacement].length === 1) return replacement;
  throw new Fault(`the replacement ${shown(replacement)}, expected one character`);
}

// The library's own step that puts a space before a text without one.
const PREFIX_SPACE = { type: "Metaspace", replacement: " ", prepend_scheme: "always" };

type Steps = Readonly<Record<string, (step: Json) => unknown>>;
const same = (step: Json) => step;

/** Splitting into what becomes tokens by itself. */
export const PRE_TOKENIZERS: Steps = {
  BertPreTokenizer: () => matches(`[${PUNCTUATION}]|[^${SPACE}${PUNCTUATION}]+`),
  ByteLevel: (step) =>
    prepare(
      ...(step["add_prefix_space"] === false ? [] : [PREFIX_SPACE]),
      ...(step["use_regex"] === false ? [] : [matches(GPT2)]),
      { type: "ByteLevel", add_prefix_space: false, use_regex: false },
    ),
  CharDelimiterSplit: ({ delimiter }) => split({ pattern: { String: delimiter } }),
  Digits: ({ individual_digits }) =>
    split({ pattern: { Regex: individual_digits ? "\\p{N}" : "\\p{N}+" }, behavior: "Isolated" }),
  FixedLength: ({ length = 5 }) => {
    if (isWhole(length, MOST_LENGTH)) return matches(`[\\s\\S]{1,${length}}`);
    throw new Fault(`pieces of the length ${shown(length)}, expected 1 to ${MOST_LENGTH}`);
  },
  Metaspace: (step) => {
    const { split: splits = true, add_prefix_space, prepend_scheme } = step;
    const replacement = markOf(step);
    const scheme = prepend_scheme ?? (add_prefix_space === false ? "never" : "always");
    const words = split({ pattern: { String: replacement }, behavior: "MergedWithNext" });
    const spaces = { type: "Metaspace", replacement, prepend_scheme: scheme };
    return splits === false ? spaces : prepare(spaces, words);
  },
  Punctuation: ({ behavior = "Isolated" }) =>
    split({ pattern: { Regex: `[${PUNCTUATION}]` }, behavior }),
  Sequence: ({ pretokenizers }) =>
    prepare(...list(pretokenizers).map((step) => rewrite(step, PRE_TOKENIZERS))),
  Split: split,
  Whitespace: () => matches(`[${WORD}]+|[^${WORD}${SPACE}]+`),
  WhitespaceSplit: () => matches("\\S+"),
};

const NMT_CONTROLS = "[\\x01-\\x08\\x0b\\x0e-\\x1f\\x7f\\u008f\\u009f]";
const NMT_SPACES =
  "[\\x09\\x0a\\x0c\\x0d\\u1680\\u200b-\\u200f\\u2028\\u2029\\u2581\\ufeff\\ufffd]";
const CHINESE =
  "[\\u4e00-\\u9fff\\u3400-\\u4dbf\\u{20000}-\\u{2a6df}\\u{2a700}-\\u{2b73f}\\u{2b740}-\\u{2b81f}" +
  "\\u{2b920}-\\u{2ceaf}\\uf900-\\ufaff\\u{2f800}-\\u{2fa1f}]";
// The original goes letter by letter, where JavaScript's last sigma of a word is another one.
const LOWERCASE = normalize(replace("Σ", "σ"), { type: "Lowercase" });

// Steps may make a text longer, which the next ones are not to see.
const CUT = replace(`\\A([\\s\\S]{${MOST_CHARACTERS}})[\\s\\S]+`, "$1");

/** Changes of the text before. */
export const NORMALIZERS: Steps = {
  BertNormalizer: (step) => {
    const { clean_text, handle_chinese_chars, lowercase, strip_accents } = step;
    return normalize(
      ...(clean_text === false ? [] : [
        replace("[\\x00\\ufffd]|(?![\\t\\n\\r])[\\p{Cc}\\p{Cf}\\p{Co}]", ""),
        replace(SPACE, " "),
      ]),
      ...(handle_chinese_chars === false ? [] : [replace(CHINESE, " $& ")]),
      ...(strip_accents ?? lowercase ? [{ type: "NFD" }, replace("\\p{Mn}", "")] : []),
      ...(lowercase === false ? [] : [LOWERCASE]),
    );
  },
  Lowercase: () => LOWERCASE,
  NFC: same,
  NFD: same,
  NFKC: same,
  NFKD: same,
  Nmt: () => normalize(replace(NMT_CONTROLS, ""), replace(NMT_SPACES, " ")),
  Prepend: same,
  Replace: (step) =>
    replace(regexOf(step["pattern"]), String(step["content"]).replaceAll("$", "$$$$")),
  Sequence: ({ normalizers }) =>
    normalize(...list(normalizers).flatMap((step) => [rewrite(step, NORMALIZERS), CUT])),
  Strip: ({ strip_left, strip_right }) =>
    normalize(
      ...(strip_left ? [replace("\\A\\s+", "")] : []),
      ...(strip_right ? [replace("(?<!\\s)\\s+\\z", "")] : []),
    ),
  StripAccents: () => replace("\\p{M}", ""),
};

/** From tokens to text. */
export const DECODERS: Steps = {
  BPEDecoder: same,
  ByteFallback: same,
  ByteLevel: same,
  CTC: same,
  Fuse: same,
  Metaspace: (step) => {
    const { add_prefix_space, prepend_scheme } = step;
    const replacement = markOf(step);
    const never = (prepend_scheme ?? (add_prefix_space === false ? "never" : "")) === "never";
    return never ? replace(regexOf({ String: replacement }), " ") : step;
  },
  Replace: NORMALIZERS["Replace"] ?? same,
  Sequence: ({ decoders }) => ({
    type: "Sequence",
    decoders: list(decoders).map((step) => rewrite(step, DECODERS)),
  }),
  Strip: same,
  WordPiece: same,
};

/** The list in a field. @throws {Error} where there is none */
export function list(value: unknown): unknown[] {
  if (Array.isArray(value)) return value;
  throw new Fault(`${shown(value)}, expected a list`);
}

/** A step as the library is to do it. @throws {Error} where it is unknown or not whole */
export function rewrite(step: unknown, steps: Steps): unknown {
  if (step === null || step === undefined) return null;
  const type = isJson(step) ? step["type"] : undefined;
  const change = typeof type === "string" && Object.hasOwn(steps, type) ? steps[type] : undefined;
  if (change && isJson(step)) return change(step);
  throw new Fault(`the step ${shown(type ?? step)}, expected ${Object.keys(steps).join(", ")}`);
}
