// Tests of the model that programs ask: calls at once, what it refuses, and its end.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type AskOptions, Assistant, readPicture } from "../../commands/assistant.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { presets } from "../../model/config.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { Device } from "../../shaders/runtime/device.ts";
import { hasAdapter } from "../run_helpers.ts";

const ignore = !hasAdapter;
const PICTURE = { width: 2, height: 1, data: Uint8Array.of(255, 0, 0, 0, 0, 255) };

async function open(): Promise<Assistant> {
  const config = { ...presets.quickstart.vlm, vit_n_blocks: 1, lm_n_blocks: 1 };
  const how = { seed: 1, initialization: "fan_in" } as const;
  const model = await VisionLanguageModel.fromScratch(await Device.open(), config, how);
  return new Assistant(model, byteTokenizer());
}

Deno.test({
  name: "Assistant answers questions asked at once as it answers them one after the other",
  ignore,
  fn: async () => {
    using assistant = await open();
    const questions = ["red?", "blue?", "green?", "where?"];
    const ask = (question: string, i: number) =>
      assistant.answer(PICTURE, question, { seed: i, mode: { temperature: 1, topK: 0, topP: 1 } });
    const expected = [];
    for (const [i, question] of questions.entries()) expected.push(await ask(question, i));
    assertEquals(new Set(expected.map(({ text }) => text)).size, 4);
    assertEquals(await Promise.all(questions.map(ask)), expected);
  },
});

Deno.test({
  name: "Assistant refuses seeds that the command refuses, and what is no picture",
  ignore,
  fn: async () => {
    using assistant = await open();
    const ask = (options: AskOptions) => assistant.ask(PICTURE, "what?", options);
    for (const seed of [NaN, -1, 1.5, 2 ** 32, 2 ** 40, Infinity]) {
      await assertRejects(() => ask({ seed }), RangeError, `seed ${seed}: expected a whole number`);
    }
    await ask({ seed: 2 ** 32 - 1, maxNewTokens: 1 });
    const rgba = { ...PICTURE, data: new Uint8Array(8) };
    await assertRejects(() => assistant.ask(rgba, "what?"), TypeError, "Uint8Array of 8 bytes");
  },
});

Deno.test({
  name: "Assistant says that it was disposed, before a question or while it answers",
  ignore,
  fn: async () => {
    const assistant = await open();
    const asked = [assistant.ask(PICTURE, "what?"), assistant.ask(PICTURE, "who?")];
    const ended = asked.map((answer) =>
      assertRejects(() => answer, Error, "the model was disposed")
    );
    await new Promise((resolve) => setTimeout(resolve, 100));
    assistant[Symbol.dispose]();
    assistant[Symbol.dispose]();
    await Promise.all(ended);
    await assertRejects(() => assistant.ask(PICTURE, "what?"), Error, "the model was disposed");
  },
});

Deno.test("readPicture() says that URLs are not fetched, and cuts what is long", async () => {
  const long = `data:image/png;base64,${"A".repeat(100_000)}`;
  for (const url of ["https://example.com/a.png", "file:///a.png", "data:,a", long]) {
    const { message } = await assertRejects(() => readPicture(url), Error, "URLs are not fetched");
    assert(message.length < 400, message);
  }
  const path = await assertRejects(() => readPicture("a".repeat(9_999)), Error);
  assert(path.message.length < 800 && !path.message.includes("URL"), path.message);
});
