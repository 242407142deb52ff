/** Tests of what is made of a tokenizer.json: Python's ids for every kind of step, and what is refused. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { loadTokenizer, StreamingDecoder, type Tokenizer } from "../../data/tokenizer.ts";
import { GOLDEN, inTemporaryFolder, sharedPath } from "./helpers.ts";

type Json = Record<string, unknown>;

/** The ids and texts of Python's tokenizers 0.23.3. */
const golden: {
  texts: string[];
  tokenizers: { name: string; tokenizer: Json; texts: [number[], string][] }[];
} = JSON.parse(Deno.readTextFileSync(new URL("tokenizers.json", GOLDEN)));

async function load(tokenizer: Json): Promise<Tokenizer> {
  const dir = await Deno.makeTempDir();
  try {
    await Deno.writeTextFile(`${dir}/tokenizer.json`, JSON.stringify(tokenizer));
    await Deno.writeTextFile(`${dir}/tokenizer_config.json`, JSON.stringify({ eos_token: "<e>" }));
    return await loadTokenizer(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

for (const { name, tokenizer, texts } of golden.tokenizers) {
  Deno.test(`loadTokenizer() gives Python's ids: ${name}`, async () => {
    const loaded = await load(tokenizer);
    texts.forEach(([ids, decoded], i) => {
      assertEquals(loaded.encode(golden.texts[i]!), ids, JSON.stringify(golden.texts[i]));
      assertEquals(loaded.decode(ids, { skipSpecialTokens: true }), decoded);
      const stream = new StreamingDecoder(loaded);
      assertEquals(ids.map((id) => stream.push(id)).join("") + stream.flush(), decoded);
    });
  });
}

const smollm2 = sharedPath("data/smollm2-tokenizer");

Deno.test("loadTokenizer() gives SmolLM2's ids of numbers that are no digits", {
  ignore: !smollm2,
}, async () => {
  const tokenizer = await loadTokenizer(smollm2!);
  const cases: [string, number[], string, string][] = JSON.parse(
    Deno.readTextFileSync(new URL("smollm2_ids.json", GOLDEN)),
  );
  for (const [text, ids, decoded, plain] of cases) {
    assertEquals(tokenizer.encode(text), ids, text);
    assertEquals(tokenizer.decode(ids), decoded);
    assertEquals(tokenizer.decode(ids, { skipSpecialTokens: true }), plain);
  }
});

const MODEL = { type: "BPE", vocab: { a: 0, b: 1, ab: 2, "<e>": 3 }, merges: ["a b"] };
const SPLIT = { type: "Split", behavior: "Isolated", invert: false };

Deno.test("loadTokenizer() takes a file that leaves out what may be left out", async () => {
  assertEquals((await load({ model: MODEL })).encode("abb"), [2, 1]);
});

Deno.test("decode() gives Python's text of byte tokens, whole characters or not", async () => {
  const vocab = {
    "<e>": 0,
    "<0xE3>": 1,
    "<0x81>": 2,
    "<0x82>": 3,
    "<0xEF>": 4,
    "<0xBB>": 5,
    "<0xBF>": 6,
    a: 7,
  };
  const tokenizer = await load({
    model: { type: "BPE", vocab, merges: [], byte_fallback: true },
    decoder: { type: "Sequence", decoders: [{ type: "ByteFallback" }, { type: "Fuse" }] },
  });
  const known: [number[], string][] = [
    [[1, 2], "\ufffd\ufffd"],
    [[1, 2, 3], "あ"],
    [[4, 5, 6, 7], "\ufeffa"],
    [[7, 1, 7], "a\ufffda"],
    [[1, 2, 3, 1], "\ufffd\ufffd\ufffd\ufffd"],
  ];
  for (const [ids, text] of known) assertEquals(tokenizer.decode(ids), text);
  const stream = new StreamingDecoder(tokenizer);
  assertEquals([1, 2, 3, 1, 7].map((id) => stream.push(id)), ["", "", "あ", "", "\ufffda"]);
});

const REFUSED: [string, Json, string][] = [
  ["double ids", { model: { ...MODEL, vocab: { ...MODEL.vocab, c: 2 } } }, "id 2"],
  ["a negative id", { model: { ...MODEL, vocab: { ...MODEL.vocab, c: -1 } } }, "-1"],
  ["half an id", { model: { ...MODEL, vocab: { ...MODEL.vocab, c: 4.5 } } }, "4.5"],
  ["a text as an id", { model: { ...MODEL, vocab: { ...MODEL.vocab, c: "4" } } }, '"4"'],
  ["a huge id", { model: { ...MODEL, vocab: { ...MODEL.vocab, c: 1e9 } } }, "1000000000"],
  ["no vocabulary", { model: { type: "BPE", merges: [] } }, "no vocabulary"],
  ["a merge of unknown tokens", { model: { ...MODEL, merges: ["a z"] } }, '"a z"'],
  ["a merge into an unknown token", { model: { ...MODEL, merges: [["b", "a"]] } }, '["b","a"]'],
  ["a merge of three", { model: { ...MODEL, merges: ["a b a"] } }, '"a b a"'],
  ["no merges", { model: { ...MODEL, merges: undefined } }, "a list"],
  ["a prefix of subwords", { model: { ...MODEL, continuing_subword_prefix: "##" } }, "prefix"],
  ["an unknown model", { model: { ...MODEL, type: "Magic" } }, '"Magic"'],
  ["no model", {}, "no model"],
  ["an unknown step", { model: MODEL, normalizer: { type: "Precompiled" } }, '"Precompiled"'],
  ["a step that is text", { model: MODEL, pre_tokenizer: "Digits" }, '"Digits"'],
  ["a split without pattern", { model: MODEL, pre_tokenizer: SPLIT }, "pattern"],
  [
    "a split at nothing",
    { model: MODEL, pre_tokenizer: { ...SPLIT, pattern: { String: "" } } },
    "pattern",
  ],
  [
    "pieces of no length",
    { model: MODEL, pre_tokenizer: { type: "FixedLength", length: 0 } },
    "length 0",
  ],
  ["a pattern as a length", {
    model: MODEL,
    pre_tokenizer: { type: "FixedLength", length: "5}|(a+)+b|a{1,1" },
  }, "(a+)+b"],
  ["a replacement of two letters", {
    model: MODEL,
    pre_tokenizer: { type: "Metaspace", replacement: "__" },
  }, '"__"'],
  ["thousands of steps", {
    model: MODEL,
    normalizer: { type: "Sequence", normalizers: Array(2000).fill({ type: "NFC" }) },
  }, "over 500 values"],
  ["a template of thousands", {
    model: MODEL,
    post_processor: { type: "TemplateProcessing", single: Array(2000).fill({}) },
  }, "over 500 values"],
  ["a token as long as a book", {
    model: { ...MODEL, vocab: { ...MODEL.vocab, ["a".repeat(2000)]: 4 } },
  }, "2000 letters"],
  ["an added token as long as a book", {
    model: MODEL,
    added_tokens: [{ content: "a".repeat(2000), id: 4 }],
  }, "2000 letters"],
  ["a token of Unigram as long as a line", {
    model: { type: "Unigram", unk_id: 0, vocab: [["<e>", 0], ["a".repeat(65), -1]] },
  }, "65 letters"],
  ["words without end", {
    model: {
      type: "WordPiece",
      unk_token: "<e>",
      vocab: MODEL.vocab,
      max_input_chars_per_word: 1e9,
    },
  }, "1000000000"],
  ["steps that double a text again and again", {
    model: MODEL,
    normalizer: {
      type: "Sequence",
      normalizers: Array(40).fill({ type: "Replace", pattern: { String: "a" }, content: "aa" }),
    },
  }, "64 times"],
  ["a template that is none", {
    model: MODEL,
    post_processor: { type: "TemplateProcessing", single: "$A" },
  }, "SpecialToken"],
  ["an added token's text id", {
    model: MODEL,
    added_tokens: [{ content: "<x>", id: "4" }],
  }, '"4"'],
  ["an added token's double id", {
    model: MODEL,
    added_tokens: [{ content: "<x>", id: 2 }],
  }, "expected 4"],
  ["an added token's huge id", {
    model: MODEL,
    added_tokens: [{ content: "<x>", id: 3e9 }],
  }, "3000000000"],
];

for (const [what, tokenizer, found] of REFUSED) {
  Deno.test(`loadTokenizer() refuses ${what}`, async () => {
    const error = await assertRejects(() => load(tokenizer), SyntaxError, found);
    assert(error.message.length < 500 && error.message.includes("tokenizer.json"), error.message);
  });
}

Deno.test("loadTokenizer() refuses patterns that can search without end, and takes real ones", async () => {
  const of = (Regex: string) =>
    load({ model: MODEL, pre_tokenizer: { ...SPLIT, pattern: { Regex } } });
  const endless = [
    "(a+)+$",
    "(a|a)*b",
    "(?:a*)*b",
    "(a?){40}a{40}",
    "((a|b)c)+",
    "a*a*a*b",
    "([ab]+x?)*",
    "(a{1,9}){1,9}",
    "(?=(a+)+b)x",
    "a?a?a?a?a?a?a?a?",
    "a+a+b",
    "(a+)\\1b",
    "(?=a+a+c)",
    "(?:(?:a+a+b)?)",
    "(?:\\s*[\\r\\n]+)b",
    "(?:a|b|c|d|e)(?:a|b|c|d|e)(?:a|b|c|d|e)f",
    "a+b|".repeat(7),
  ];
  for (const pattern of endless) await assertRejects(() => of(pattern), SyntaxError, "without end");
  const real = [
    "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[^\\r\\n\\p{L}\\p{N}]?[\\p{Lu}\\p{Lt}\\p{Lm}\\p{Lo}\\p{M}]*[\\p{Ll}\\p{Lm}\\p{Lo}\\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n/]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\\r\\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+| ?[\\p{P}\\p{S}]+[\\r\\n]*",
    "'(?i:[sdmt]|ll|ve|re)|[^\\r\\n\\p{L}\\p{N}]?+\\p{L}++|\\p{N}{1,3}+| ?[^\\s\\p{L}\\p{N}]++[\\r\\n]*+|\\s++$",
    " ?[^(\\s|[.,!?…。，、।۔،])]+",
    "(?:[a-z]?\\p{L}+|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+)",
  ];
  for (const pattern of real) assertEquals((await of(pattern)).encode("ab"), [2]);
});

Deno.test("loadTokenizer() says what lies in place of tokenizer.json", async () => {
  await inTemporaryFolder(async (dir) => {
    await Deno.writeTextFile(
      `${dir}/tokenizer.json`,
      "version https://git-lfs.github.com/spec/v1\n",
    );
    await assertRejects(() => loadTokenizer(dir), SyntaxError, "pointer to a file in Git LFS");
    await Deno.writeTextFile(`${dir}/tokenizer.json`, "<!DOCTYPE html><p>Not found");
    await assertRejects(() => loadTokenizer(dir), SyntaxError, "an HTML page");
  });
});

Deno.test("encode() takes a long text's beginning, which is too long for any model", async () => {
  const tokenizer = await load({ model: MODEL });
  const start = performance.now();
  assertEquals(tokenizer.encode("b".repeat(20_000_000)).length, 50_000);
  assert(performance.now() - start < 10_000);
  const [pattern, content] = [{ String: "b" }, "b".repeat(64)];
  const growing = { type: "Replace", pattern, content };
  const longer = await load({ model: MODEL, normalizer: growing });
  assertEquals(longer.encode("b".repeat(50_000)).length, 50_000);
});
