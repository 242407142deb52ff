/** Tests of records with very much of something: what is ordinary is read, the rest names its limit. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { openDataset } from "../../data/datasets.ts";
import { mostFrequent, pictureOf } from "../../data/record_fields.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { surveyDataset } from "../../runs/dataset_survey.ts";
import { goldenImage, inTemporaryFolder, writeColumns } from "./helpers.ts";

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

Deno.test("a row of too long a text, list or path is an error of its own", () =>
  inTemporaryFolder(async (dir) => {
    const image = goldenImage("1_gray.png").toBase64();
    const turns = (count: number) =>
      Array.from(
        { length: 2 * count },
        (_, at) => ({ from: at % 2 ? "gpt" : "human", value: "a" }),
      );
    const long = "a".repeat(100_001);
    const rows: [Record<string, unknown>, string][] = [
      [{ image, question: "q", answer: long }, "found 100001 characters in a text"],
      [{ image, question: long, answer: "a" }, "expected at most 100000"],
      [
        { image, question: "q", answer: Array(10_001).fill({ answer: "a" }) },
        "10001 items in a list",
      ],
      [{ image, conversations: turns(5001) }, "found 10002 items"],
      [{ image, messages: [{ role: "user", content: [long, long] }] }, "200002 characters"],
      [{ image, caption: Array(10_001).fill("a") }, "10001 items"],
      [{ image: long, question: "q", answer: "a" }, "found a text of 100001 characters"],
    ];
    for (const [row, found] of rows) {
      Deno.writeTextFileSync(`${dir}/a.jsonl`, JSON.stringify(row));
      const dataset = await openDataset(`${dir}/a.jsonl`, "train");
      await assertRejects(async () => await dataset.row(0), Error, found);
      assertEquals((await dataset.turnCounts()).length, 1);
    }
    Deno.writeTextFileSync(`${dir}/a.jsonl`, JSON.stringify({ image, conversations: turns(100) }));
    assertEquals((await (await openDataset(`${dir}/a.jsonl`, "train")).row(0)).turns.length, 100);
  }));

Deno.test("a picture in Base64 may be large", () => {
  const text = "iVBORw0KGgo" + "A".repeat(2 ** 24 - 11);
  const picture = pictureOf(text, "image");
  assertEquals("bytes" in picture && picture.bytes.length, 3 * 2 ** 22);
  assertThrows(() => pictureOf(`${text}.`, "image"), TypeError, "expected a path of at most 4096");
});

Deno.test("very many columns, digits or quotes are refused, and escaped quotes beside NaN read", () =>
  inTemporaryFolder(async (dir) => {
    const image = goldenImage("1_gray.png").toBase64();
    const keys = Array.from({ length: 10_001 }, (_, at) => `c${at}`);
    const files: [string, string, string][] = [
      ["a.csv", `${keys.join()}\n1`, "found 10001 columns, expected at most 10000"],
      ["b.csv", `image,question,answer\na,b,"${'""'.repeat(2 ** 20)}"`, "found 1048577 quotes"],
      ["c.jsonl", JSON.stringify(Object.fromEntries(keys.map((key) => [key, 1]))), "10001 columns"],
      ["d.jsonl", `{"question":${"1".repeat(4301)}}`, "found a number of 4301 digits"],
    ];
    for (const [name, text, found] of files) {
      Deno.writeTextFileSync(`${dir}/${name}`, text);
      await assertRejects(() => openDataset(`${dir}/${name}`, "train"), RangeError, found);
    }
    Deno.writeTextFileSync(`${dir}/g.jsonl`, `{"a":${"[".repeat(1000)}${"]".repeat(1000)}}`);
    await assertRejects(
      () => openDataset(`${dir}/g.jsonl`, "train"),
      SyntaxError,
      "1000 lists in one",
    );
    const row = JSON.stringify({
      image,
      question: "NaN, -Infinity?",
      answer: "a",
      quotes: '"'.repeat(9e6),
    });
    Deno.writeTextFileSync(`${dir}/e.jsonl`, row.replace("{", '{"a":NaN,"b":[-Infinity],'));
    const { turns } = await (await openDataset(`${dir}/e.jsonl`, "train")).row(0);
    assertEquals(turns[0]?.question, "NaN, -Infinity?");
    writeColumns(`${dir}/f.parquet`, keys.map((name) => ({ name, data: [1], type: "INT32" })));
    await assertRejects(
      () => openDataset(`${dir}/f.parquet`, "train"),
      RangeError,
      "10001 columns",
    );
  }));
