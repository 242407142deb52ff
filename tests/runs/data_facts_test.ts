// Tests of runs/data_facts.ts: how long rows must be, and when data are no longer those of before.
import { assertEquals, assertNotEquals, assertStringIncludes } from "@std/assert";
import { encodePng } from "../../data/png_encoder.ts";
import { openDataset } from "../../data/datasets.ts";
import { Shapes } from "../../data/shapes.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { readFacts, rowLength, rowsText } from "../../runs/data_facts.ts";
import { inTemporaryFolder, writeCauldron } from "../data/helpers.ts";

const TOKENIZER = byteTokenizer();
/** What stands around a question and its answer. */
const AROUND = "Question:  Answer:".length + 1;

function read(path: string) {
  return openDataset(path, "train").then((dataset) =>
    readFacts([dataset], { tokenizer: TOKENIZER, questionsPerRow: "all", isRemote: false })
  );
}

function picture(grey: number): Uint8Array {
  return encodePng({ width: 8, height: 8, data: new Uint8Array(192).fill(grey) });
}

/** Ten pictures with a question about each. */
async function writeFolder(folder: string): Promise<void> {
  const lines = Array.from({ length: 10 }, (_, i) => {
    Deno.writeFileSync(`${folder}/${i}.png`, picture(i));
    return JSON.stringify({ file_name: `${i}.png`, question: `what is ${i}?`, answer: "a" });
  });
  await Deno.writeTextFile(`${folder}/metadata.jsonl`, lines.join("\n"));
}

Deno.test("rowLength() is what the longest question needs, and says what is longer than the most", () =>
  inTemporaryFolder(async (folder) => {
    await writeFolder(folder);
    const facts = await read(folder);
    assertEquals(rowLength(facts.lengths), AROUND + "what is 0?".length + 1);
    assertStringIncludes(rowsText(rowLength(facts.lengths), facts), "the longest has 30");
    const line = { file_name: "0.png", question: "?".repeat(600), answer: "a" };
    await Deno.writeTextFile(`${folder}/metadata.jsonl`, `\n${JSON.stringify(line)}`, {
      append: true,
    });
    const longer = await read(folder);
    assertEquals(rowLength(longer.lengths), 512);
    const told = rowsText(512, longer);
    assertStringIncludes(told, "1 of 11 are longer, the longest 620, and teach nothing: --set lm");
    assertEquals(longer.rows, { read: 11, all: 11 });
    const some = { ...facts, rows: { read: 10, all: 500 } };
    assertStringIncludes(rowsText(30, some), "the longest of the first 10 rows has 30");
  }));

Deno.test("the fingerprint is that of the content: the same after a copy, another after any change", () =>
  inTemporaryFolder(async (folder) => {
    const [one, other] = [`${folder}/one`, `${folder}/other`];
    for (const path of [one, other]) {
      await Deno.mkdir(path);
      await writeFolder(path);
    }
    const { fingerprint } = await read(one);
    assertEquals((await read(other)).fingerprint, fingerprint);
    const lines = await Deno.readTextFile(`${one}/metadata.jsonl`);
    await Deno.writeTextFile(`${one}/metadata.jsonl`, lines.replace(`"a"}`, `"b"}`));
    assertNotEquals((await read(one)).fingerprint, fingerprint, "another answer");
    await Deno.writeTextFile(`${one}/metadata.jsonl`, lines);
    assertEquals((await read(one)).fingerprint, fingerprint);
    await Deno.writeFile(`${one}/7.png`, picture(100));
    assertNotEquals((await read(one)).fingerprint, fingerprint, "another picture");
  }));

Deno.test("over the network 1,000 rows are read, and no pictures", async () => {
  const shapes = new Shapes("train", { rows: 3000 });
  const facts = await readFacts([shapes], {
    ...{ tokenizer: TOKENIZER, questionsPerRow: "first", isRemote: true },
  });
  assertEquals([facts.lengths.count, facts.rows], [1000, { read: 1000, all: 3000 }]);
  const both = await readFacts([new Shapes("train", { rows: 900 }), shapes], {
    ...{ tokenizer: TOKENIZER, questionsPerRow: "first", isRemote: true },
  });
  assertEquals([both.lengths.count, both.rows], [900, { read: 900, all: 3900 }]);
});

Deno.test("the fingerprint of a Parquet file tells other pictures by their row groups' sizes", () =>
  inTemporaryFolder(async (folder) => {
    const write = (name: string, last: Uint8Array) => {
      const rows = Array.from({ length: 12 }, (_, i) => ({
        image: i === 11 ? last : picture(i),
        turns: [["what?", "a"]] as [string, string][],
      }));
      writeCauldron(`${folder}/${name}.parquet`, rows, 4);
      return read(`${folder}/${name}.parquet`);
    };
    const { fingerprint } = await write("a", picture(1));
    assertEquals((await write("b", picture(1))).fingerprint, fingerprint);
    const noisy = encodePng({
      width: 8,
      height: 8,
      data: Uint8Array.from({ length: 192 }, (_, i) => i),
    });
    assertNotEquals((await write("c", noisy)).fingerprint, fingerprint);
  }));
