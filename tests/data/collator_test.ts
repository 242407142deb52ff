/** Tests of batches against nanoVLM v0.1's collators. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { batches, MMStarCollator, type ReadySample, VQACollator } from "../../data/collator.ts";
import { openDataset, Samples } from "../../data/datasets.ts";
import { ImageProcessor, vqaPrompt } from "../../data/processor.ts";
import { byteTokenizer, loadTokenizer } from "../../data/tokenizer.ts";
import { GOLDEN, sharedPath } from "./helpers.ts";
import { TOY_TOKENIZER } from "../toy_tokenizer.ts";

interface Golden {
  texts: string[];
  answers: string[];
  input_ids: number[][];
  attention_mask: number[][];
  labels: number[][];
}
const golden: { vqa: (Golden & { max_length: number })[]; mmstar: Golden } = JSON.parse(
  Deno.readTextFileSync(new URL("collator_v01.json", GOLDEN)),
);

const EOS = "<|endoftext|>";

const processor = new ImageProcessor({ vit_img_size: 2 });

function ready(index: number, question: string, answer: string): ReadySample {
  const image = { width: 2, height: 2, data: new Uint8Array(12).fill(51 * index) };
  return {
    index,
    row: index,
    image,
    imageName: `${index}`,
    question,
    answer,
    category: `c${index}`,
  };
}

/** Takes questions out of prompts again, between the given words. */
function samplesOf({ texts, answers }: Golden, start: string, end: string): ReadySample[] {
  return texts.map((text, i) =>
    ready(i, text.slice(start.length, text.length - end.length), answers[i]!.replace(EOS, ""))
  );
}

const flat = (rows: number[][]) => Int32Array.from(rows.flat());

for (const expected of golden.vqa) {
  Deno.test(`VQACollator gives nanoVLM v0.1's batch at length ${expected.max_length}`, () => {
    const samples = samplesOf(expected, "Question: ", " Answer:");
    const batch = new VQACollator(TOY_TOKENIZER, expected.max_length, processor).collate(samples);
    assertEquals(batch.inputIds, flat(expected.input_ids));
    assertEquals(batch.attentionMask, flat(expected.attention_mask));
    assertEquals(batch.labels, flat(expected.labels));
    assertEquals([batch.size, batch.length, batch.labelLength], [
      5,
      expected.max_length,
      expected.max_length,
    ]);
    assertEquals(
      batch.realTokens,
      expected.attention_mask.flat().filter((one) => one === 1).length,
    );
    assertEquals(batch.labelTokens, expected.labels.flat().filter((one) => one !== -100).length);
    assertEquals(
      batch.cutRows,
      expected.labels.filter((row) => row.every((one) => one === -100)).length,
    );
  });
}

Deno.test("MMStarCollator gives nanoVLM v0.1's batch", () => {
  const expected = golden.mmstar;
  const samples = samplesOf(expected, "Question: ", " \nAnswer only with the letter! \nAnswer:");
  const batch = new MMStarCollator(TOY_TOKENIZER, processor).collate(samples);
  assertEquals(batch.inputIds, flat(expected.input_ids));
  assertEquals(batch.attentionMask, flat(expected.attention_mask));
  assertEquals(batch.labels, flat(expected.labels));
  assertEquals([batch.size, batch.labelLength, batch.labelTokens], [2, 2, 4]);
});

Deno.test("MMStarCollator pads answers of unequal length on the left", () => {
  const collator = new MMStarCollator(TOY_TOKENIZER, processor, vqaPrompt);
  const batch = collator.collate([ready(0, "a", "no"), ready(1, "abc", "yes")]);
  assertEquals(batch.labels, Int32Array.of(0, 110, 111, 0, 121, 101, 115, 0));
  assertEquals([batch.length, batch.realTokens, batch.labelTokens], [21, 19 + 21, 7]);
});

Deno.test("a batch carries its pictures, numbers, questions, answers and categories", () => {
  const samples = [ready(5, "q", "a"), ready(3, "r", "b")];
  const batch = new VQACollator(byteTokenizer(), 40, processor).collate(samples);
  assertEquals(batch.images, new Float32Array(24).fill(1, 0, 12).fill(0.6, 12));
  assertEquals(batch.imageSize, 2);
  assertEquals(batch.sampleIndices, Int32Array.of(5, 3));
  assertEquals([batch.questions, batch.answers, batch.categories], [["q", "r"], ["a", "b"], [
    "c5",
    "c3",
  ]]);
});

Deno.test("collators refuse no samples, pictures of another size and lengths under two", () => {
  const collator = new VQACollator(TOY_TOKENIZER, 40, processor);
  assertThrows(() => collator.collate([]), RangeError, "no samples");
  assertThrows(
    () => new MMStarCollator(TOY_TOKENIZER, processor).collate([]),
    RangeError,
    "no samples",
  );
  const large = new VQACollator(TOY_TOKENIZER, 40, new ImageProcessor({ vit_img_size: 3 }));
  assertThrows(() => large.collate([ready(0, "q", "a")]), TypeError, "2x2");
  for (const length of [1, 2.5]) {
    assertThrows(() => new VQACollator(TOY_TOKENIZER, length, processor), RangeError);
  }
});

Deno.test("batches() keeps the order and ends with a smaller batch", async () => {
  const samples = await Samples.open(await openDataset("shapes", "validation", { rows: 3 }), "all");
  const collator = new MMStarCollator(
    byteTokenizer(),
    new ImageProcessor({ vit_img_size: 16 }),
    vqaPrompt,
  );
  const seen: number[][] = [];
  for await (const batch of batches(samples, collator, 5)) {
    seen.push([...batch.sampleIndices]);
    assertEquals(batch.images.length, batch.size * 3 * 16 * 16);
  }
  assertEquals(seen, [[0, 1, 2, 3, 4], [5, 6, 7, 8, 9], [10, 11]]);
  await assertRejects(() => batches(samples, collator, 0).next(), RangeError);
});

const smollm2 = sharedPath("data/smollm2-tokenizer");
const easyVqa = sharedPath("data/easy-vqa");
Deno.test({
  name: "VQACollator labels the answer and the end token of real rows with SmolLM2's tokenizer",
  ignore: !smollm2 || !easyVqa,
  async fn() {
    const tokenizer = await loadTokenizer(smollm2!);
    const samples = await Samples.open(await openDataset(easyVqa!, "validation"), "first");
    const collator = new VQACollator(tokenizer, 79, new ImageProcessor({ vit_img_size: 8 }));
    const { value: batch } = await batches(samples, collator, 4).next();
    for (let b = 0; b < 4; b++) {
      const labels = batch.labels.slice(b * 79, (b + 1) * 79).filter((id: number) => id !== -100);
      assertEquals(tokenizer.decode(labels), `${batch.answers[b]}${EOS}`);
    }
  },
});

Deno.test("VQACollator pads on the right when asked: the same ids and labels, moved to the front", () => {
  const samples = [ready(0, "What?", "a cat"), ready(1, "Q", "12")];
  const [left, right] = (["left", "right"] as const).map((side) =>
    new VQACollator(TOY_TOKENIZER, 40, processor, side).collate(samples)
  );
  for (const b of [0, 1]) {
    const row = (values: Int32Array) => values.subarray(b * 40, (b + 1) * 40);
    const start = row(left!.attentionMask).indexOf(1);
    const front = (
      values: Int32Array,
      filler: number,
    ) => [...row(values).subarray(start), ...Array(start).fill(filler)];
    assertEquals([...row(right!.inputIds)], front(left!.inputIds, 0));
    assertEquals([...row(right!.attentionMask)], front(left!.attentionMask, 0));
    assertEquals([...row(right!.labels)], front(left!.labels, -100));
  }
  assertEquals(right!.labelTokens, left!.labelTokens);
});

Deno.test("VQACollator cuts a row that is too long alike on both sides, without labels", () => {
  const samples = [ready(0, "Is this long question going to be cut off?", "yes")];
  const [left, right] = (["left", "right"] as const).map((side) =>
    new VQACollator(TOY_TOKENIZER, 16, processor, side).collate(samples)
  );
  assertEquals(right!.inputIds, left!.inputIds);
  assertEquals(right!.labels, new Int32Array(16).fill(-100));
});

Deno.test("MMStarCollator pads prompts on the right when asked", () => {
  const samples = [ready(0, "What?", "A"), ready(1, "Q", "B")];
  const batch = new MMStarCollator(TOY_TOKENIZER, processor, undefined, "right").collate(samples);
  const second = batch.attentionMask.subarray(batch.length);
  assertEquals([...second].lastIndexOf(1), batch.length - 5);
  assertEquals(second[0], 1);
});
