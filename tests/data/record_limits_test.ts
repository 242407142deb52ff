/** Tests of records with very much of something: what is ordinary is read, the rest names its limit. */
import { assertEquals } from "@std/assert";
import { mostFrequent } from "../../data/record_fields.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { surveyDataset } from "../../runs/dataset_survey.ts";

/** More than a call takes arguments. */
const MANY = 150_000;

Deno.test("very many different answers are counted", async () => {
  const texts = Array.from({ length: MANY }, (_, at) => `a${at}`);
  assertEquals(mostFrequent([...texts, "a7"]), "a7");
  const image = { width: 1, height: 1, data: new Uint8Array(3) };
  const turns = texts.map((answer) => ({ question: "q", answer, category: "q" }));
  const survey = await surveyDataset({
    name: "stub",
    rows: 1,
    format: "vqa",
    row: () => Promise.resolve({ image, imageName: "i", turns }),
    turnCounts: () => Promise.resolve(Uint32Array.of(MANY)),
    async *allTurns() {},
  }, { tokenizer: byteTokenizer(), maxLength: 99, questionsPerRow: "all", samples: 0, seed: 0 });
  assertEquals([survey.questions, survey.guessable], [MANY, 1]);
});
