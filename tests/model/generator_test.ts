// Decoding: the cache gives the tokens of the full forward pass; ends, lengths and seeds.

import { assert, assertEquals, assertNotEquals, assertRejects } from "@std/assert";
import { confidenceOf, Generator } from "../../model/generator.ts";
import { BatchInputs, type HostBatch } from "../../model/inputs.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { Plan } from "../../shaders/runtime/plan.ts";
import { testOnDevices } from "../shaders/harness.ts";
import { SMALL, smallBatch } from "./small_model.ts";

const HEAD = "decoder.head.weight";

/** With a head of its own, larger than for training, so that answers vary and the likeliest token is clear. */
async function peaked(device: Device): Promise<VisionLanguageModel> {
  const options = { seed: 3, initialization: "fan_in" } as const;
  const config = { ...SMALL, lm_tie_weights: false };
  const model = await VisionLanguageModel.fromScratch(device, config, options);
  for (const name of ["decoder.token_embedding.weight", HEAD]) {
    const table = await model.store.read(name);
    model.store.upload(name, table.map((value) => 20 * value));
  }
  return model;
}

/** The likeliest next token of each row by a full forward pass. */
async function nextTokens(model: VisionLanguageModel, batch: HostBatch): Promise<number[]> {
  const { size, length } = batch;
  const inputs = new BatchInputs(model.device, model.config, { size, length, labels: 1 });
  inputs.upload(batch);
  const plan = await Plan.record(model.device, (rec) => rec.keep(model.forward(rec, inputs)));
  plan.run();
  const [hidden = new Float32Array()] = await plan.read(plan.result);
  const table = await model.store.read(HEAD);
  plan.destroy();
  inputs.destroy();
  const [C, V] = [SMALL.lm_hidden_dim, SMALL.lm_vocab_size];
  return Array.from({ length: size }, (_, b) => {
    const last = hidden.subarray(((b + 1) * inputs.length - 1) * C, (b + 1) * inputs.length * C);
    const logits = Array.from(
      { length: V },
      (_, v) => last.reduce((sum, h, c) => sum + h * table[v * C + c]!, 0),
    );
    return logits.indexOf(Math.max(...logits));
  });
}

/** The batch with one more column. */
function extended(batch: HostBatch, tokens: readonly number[]): HostBatch {
  const { size, length } = batch;
  const widen = (values: Int32Array, column: readonly number[]) =>
    Int32Array.from({ length: size * (length + 1) }, (_, i) => {
      const [b, t] = [Math.floor(i / (length + 1)), i % (length + 1)];
      return t === length ? column[b]! : values[b * length + t]!;
    });
  return {
    ...batch,
    length: length + 1,
    inputIds: widen(batch.inputIds, tokens),
    attentionMask: widen(batch.attentionMask, tokens.map(() => 1)),
  };
}

testOnDevices(
  "generate() with a cache gives the tokens of the full forward pass",
  async (device) => {
    const model = await peaked(device);
    const generator = new Generator(model);
    const { labels: _, ...prompt } = smallBatch(4);
    const answers = await generator.generate(prompt, { maxNewTokens: 9, mode: "greedy" });
    let batch: HostBatch = prompt;
    for (let i = 0; i < 9; i++) {
      const expected = await nextTokens(model, batch);
      assertEquals(answers.map((answer) => answer[i]), expected, `token ${i}`);
      batch = extended(batch, expected);
    }
    assert(new Set(answers.flat()).size > 3, "the answers vary");
    generator.destroy();
    model.destroy();
  },
);

testOnDevices(
  "generate() gives calls at once what it gives one after the other, also after one that fails",
  async (device) => {
    const model = await peaked(device);
    const generator = new Generator(model);
    const { labels: _, ...prompt } = smallBatch(4);
    const prompts = [0, 1, 2, 3].map((shift) => ({
      ...prompt,
      inputIds: prompt.inputIds.map((id) => (id + shift) % SMALL.lm_vocab_size),
    }));
    const ask = (batch: HostBatch, maxNewTokens = 9) =>
      generator.generate(batch, { maxNewTokens, mode: "greedy" });
    const expected: number[][][] = [];
    for (const batch of prompts) expected.push(await ask(batch));
    assertEquals(new Set(expected.map((answers) => answers.join())).size, 4, "the answers differ");
    const failing = assertRejects(() => ask(prompt, 0), RangeError);
    assertEquals(await Promise.all(prompts.map((batch) => ask(batch))), expected);
    await failing;
    generator.destroy();
    model.destroy();
  },
);

testOnDevices(
  "generate() answers rows of different lengths, padded on the right, as each alone",
  async (device) => {
    const model = await peaked(device);
    const generator = new Generator(model);
    const { labels: _, ...batch } = smallBatch(8);
    const lengths = [7, 12, 10];
    const attentionMask = batch.attentionMask.map((_, i) =>
      Number(i % 12 < lengths[Math.floor(i / 12)]!)
    );
    const options = { maxNewTokens: 8, mode: "greedy" } as const;
    const together = await generator.generate({ ...batch, attentionMask }, options);
    const pixels = 3 * 16 * 16;
    for (const [b, length] of lengths.entries()) {
      const alone = await generator.generate({
        size: 1,
        length,
        inputIds: batch.inputIds.slice(b * 12, b * 12 + length),
        attentionMask: new Int32Array(length).fill(1),
        images: batch.images.slice(b * pixels, (b + 1) * pixels),
      }, options);
      assertEquals(together[b], alone[0], `row ${b}`);
    }
    assert(new Set(together.flat()).size > 3, "the answers vary");
    generator.destroy();
    model.destroy();
  },
);

testOnDevices("generate() stops a row at its end token and streams the others", async (device) => {
  const model = await peaked(device);
  const generator = new Generator(model);
  const { labels: _, ...prompt } = smallBatch(5);
  const options = { maxNewTokens: 10, mode: "greedy" } as const;
  const all = await generator.generate(prompt, options);
  const end = all[0]![4]!;
  const streamed: number[][] = [[], [], []];
  const sure: number[][] = [[], [], []];
  const cut = await generator.generate(prompt, {
    ...options,
    eosTokenId: end,
    onTokens: (fresh, probabilities) => {
      fresh.forEach((tokens, b) => streamed[b]!.push(...tokens));
      probabilities.forEach((some, b) => sure[b]!.push(...some));
    },
  });
  assertEquals(
    cut,
    all.map((tokens) => tokens.includes(end) ? tokens.slice(0, tokens.indexOf(end)) : tokens),
  );
  assertEquals(streamed, cut);
  const ended = all.map((tokens) => tokens.includes(end));
  assertEquals(
    sure.map((some) => some.length),
    cut.map(({ length }, b) => length + Number(ended[b])),
  );
  for (const some of sure) {
    const confidence = confidenceOf(some);
    assert(confidence > 0.1 && confidence >= Math.min(...some) && confidence <= Math.max(...some));
  }
  generator.destroy();
  model.destroy();
});

testOnDevices(
  "generate() gives -1 for probabilities of a model that gives no numbers",
  async (device) => {
    const model = await peaked(device);
    model.store.upload("decoder.norm.weight", new Float32Array(SMALL.lm_hidden_dim).fill(3e38));
    using generator = new Generator(model);
    const { labels: _, ...prompt } = smallBatch(5);
    const sure: number[] = [];
    const onTokens = (_: unknown, some: readonly (readonly number[])[]) =>
      void sure.push(...some.flat());
    await generator.generate(prompt, { maxNewTokens: 3, mode: "greedy", onTokens });
    assertEquals(sure, new Array(9).fill(-1));
    model.destroy();
  },
);

testOnDevices(
  "generate() draws the same for the same seed and other tokens for another",
  async (device) => {
    const options = { seed: 3, initialization: "fan_in" } as const;
    const model = await VisionLanguageModel.fromScratch(device, SMALL, options);
    const generator = new Generator(model);
    const { labels: _, ...prompt } = smallBatch(6);
    const mode = { temperature: 1, topK: 0, topP: 1 };
    const draw = (seed: number) => generator.generate(prompt, { maxNewTokens: 12, mode, seed });
    const first = await draw(1);
    assertEquals(await draw(1), first);
    assertNotEquals(await draw(2), first);
    assertNotEquals(first[0], first[1]);
    const rows = (seed: number[]) => generator.generate(prompt, { maxNewTokens: 12, mode, seed });
    const [a, b] = await rows([5, 6]);
    const [, other] = await rows([7, 6]);
    assertEquals([other, a!.length], [b, 12], "a row's draws are its own seed's");
    generator.destroy();
    model.destroy();
  },
);

testOnDevices("generate() refuses what is longer than the model's context", async (device) => {
  const model = new VisionLanguageModel(device, SMALL);
  const { labels: _, ...prompt } = smallBatch(7);
  await assertRejects(
    () => new Generator(model).generate(prompt, { maxNewTokens: 200, mode: "greedy" }),
    RangeError,
    "shorten the question",
  );
  for (const maxNewTokens of [0, -1, 1.5, NaN]) {
    const attempt = () => new Generator(model).generate(prompt, { maxNewTokens, mode: "greedy" });
    await assertRejects(attempt, RangeError, "at least 1");
  }
  model.destroy();
});
