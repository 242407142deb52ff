/** Tests of both tokenizers and of decoding as ids come in. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import {
  byteTokenizer,
  loadTokenizer,
  StreamingDecoder,
  type Tokenizer,
  tokenizerFor,
} from "../../data/tokenizer.ts";
import { sharedPath } from "./helpers.ts";

const TEXTS = ["", "a", "Hello world", "été 🐈 日本", "tab\tline\r\n", "\ufeffmark", "\0"];

Deno.test("byteTokenizer() shifts bytes by one and keeps 0 for the end", () => {
  const tokenizer = byteTokenizer();
  assertEquals([tokenizer.vocabSize, tokenizer.eosTokenId, tokenizer.eosToken], [
    257,
    0,
    "<|endoftext|>",
  ]);
  assertEquals(tokenizer.encode("Aé<|endoftext|>b"), [66, 0xc4, 0xaa, 0, 99]);
  assertEquals(tokenizer.decode([66, 0, 99]), "A<|endoftext|>b");
  assertEquals(tokenizer.decode(Int32Array.of(66, 0, 99), { skipSpecialTokens: true }), "Ab");
});

Deno.test("byteTokenizer() gives back every text", () => {
  const tokenizer = byteTokenizer();
  for (const text of TEXTS) assertEquals(tokenizer.decode(tokenizer.encode(text)), text);
});

Deno.test("byteTokenizer() refuses ids that are not in the vocabulary", () => {
  for (const id of [-1, 257, 0.5]) {
    assertThrows(() => byteTokenizer().decode([id]), RangeError, `"${id}"`);
  }
});

/** Feeds the ids of a text one by one; no piece may hold a broken character. */
function checkStreaming(tokenizer: Tokenizer, text: string): void {
  const decoder = new StreamingDecoder(tokenizer);
  const pieces = tokenizer.encode(text).map((id) => decoder.push(id));
  assert(!pieces.join("").includes("\ufffd"), text);
  assertEquals(pieces.join("") + decoder.flush(), text);
}

Deno.test("StreamingDecoder emits whole characters only", () => {
  for (const text of TEXTS) checkStreaming(byteTokenizer(), text);
  const decoder = new StreamingDecoder(byteTokenizer());
  const ids = byteTokenizer().encode("🐈!"); // four bytes, then one
  assertEquals(ids.map((id) => decoder.push(id)), ["", "", "", "🐈", "!"]);
});

Deno.test("StreamingDecoder passes broken bytes on and leaves special tokens out", () => {
  const decoder = new StreamingDecoder(byteTokenizer());
  const pieces = [0xff, 0x41, 0xc3].map((byte) => decoder.push(byte + 1));
  assertEquals(pieces, ["", "\ufffdA", ""]);
  assertEquals(decoder.push(0), "");
  assertEquals(decoder.flush(), "\ufffd");
  assertEquals(decoder.flush(), "");
});

const smollm2 = sharedPath("data/smollm2-tokenizer");
const real = { ignore: !smollm2 };

Deno.test("loadTokenizer() gives the known ids of SmolLM2's tokenizer", real, async () => {
  const tokenizer = await loadTokenizer(smollm2!);
  assertEquals([tokenizer.vocabSize, tokenizer.eosTokenId, tokenizer.eosToken], [
    49152,
    0,
    "<|endoftext|>",
  ]);
  const known: [string, string][] = [
    ["Hello world", "19556 905"],
    [
      "Question: What color is the shape? Answer: blue<|endoftext|>",
      "17872 42 1812 2380 314 260 3040 47 19842 42 4461 0",
    ],
    [
      "I have 12345 cats 🐈 été",
      "57 457 216 33 34 35 36 37 7680 15107 234 226 216 19380 2756",
    ],
  ];
  for (const [text, ids] of known) {
    assertEquals(tokenizer.encode(text).join(" "), ids);
    assertEquals(tokenizer.decode(tokenizer.encode(text)), text);
  }
  assertEquals(tokenizer.decode([4461, 0], { skipSpecialTokens: true }), " blue");
  assertThrows(() => tokenizer.decode([49152]), RangeError, "49152");
});

Deno.test("StreamingDecoder puts SmolLM2's byte tokens together", real, async () => {
  const tokenizer = await loadTokenizer(smollm2!);
  for (const text of TEXTS.slice(0, 5)) checkStreaming(tokenizer, text);
  checkStreaming(tokenizer, "I have 12345 cats 🐈 été");
});

Deno.test("tokenizerFor() knows bytes, and otherwise takes a folder", async () => {
  assertEquals((await tokenizerFor("bytes")).vocabSize, 257);
  await assertRejects(() => tokenizerFor("/no/such"), Error, "/no/such");
});

Deno.test("loadTokenizer() says which file is damaged and how", async () => {
  const dir = await Deno.makeTempDir();
  const write = (name: string, text: string) => Deno.writeTextFile(`${dir}/${name}`, text);
  try {
    await write("tokenizer.json", '{"model": ');
    await assertRejects(() => loadTokenizer(dir), SyntaxError, "not JSON");
    await write("tokenizer.json", "3");
    await assertRejects(() => loadTokenizer(dir), SyntaxError, "JSON that is no object");
    await write("tokenizer.json", "{}");
    await assertRejects(() => loadTokenizer(dir), Error, "tokenizer_config.json");
    await write("tokenizer_config.json", "{}");
    await assertRejects(() => loadTokenizer(dir), SyntaxError, "eos_token");
    await write("tokenizer_config.json", '{"eos_token": {"content": "<end>"}}');
    await assertRejects(() => loadTokenizer(dir), SyntaxError, "no model");
    const empty = { normalizer: null, pre_tokenizer: null, post_processor: null, decoder: null };
    const model = { type: "BPE", vocab: { a: 0, b: 1 }, merges: [] };
    await write("tokenizer.json", JSON.stringify({ ...empty, model, added_tokens: [] }));
    await assertRejects(() => loadTokenizer(dir), SyntaxError, '"<end>"');
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
});
