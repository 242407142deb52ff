/** Tests of what is held out: spread over the data, the same every time, and no picture twice. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { type Dataset, openDataset, Samples } from "../../data/datasets.ts";
import { holdOut } from "../../data/held_out.ts";
import { RecordDataset } from "../../data/record_dataset.ts";
import type { DataRecord, RecordSource } from "../../data/records.ts";
import { goldenImage, inTemporaryFolder, writeCauldron } from "./helpers.ts";

const PNG = goldenImage("1_gray.png");

async function questions(dataset: Dataset): Promise<string[]> {
  const rows = await Array.fromAsync(dataset.allTurns());
  return rows.map(([turn]) => turn?.question ?? "");
}

async function halves(spec: string, heldOut: number, rows?: number) {
  const options = { heldOut, ...(rows === undefined ? {} : { rows }) };
  const train = await openDataset(spec, "train", options);
  const held = await openDataset(spec, "validation", options);
  const again = await openDataset(spec, "validation", options);
  assertEquals(await questions(held), await questions(again));
  return { train, held };
}

/** Bytes that are no picture, but another one for each number. */
const picture = (number: number) => Uint8Array.of(...PNG, number);

Deno.test("classes one behind the other are all learned and all held out", () =>
  inTemporaryFolder(async (dir) => {
    for (let i = 0; i < 100; i++) {
      const folder = `${dir}/class ${Math.floor(i / 20)}`;
      Deno.mkdirSync(folder, { recursive: true });
      Deno.writeFileSync(`${folder}/${i}.png`, picture(i));
    }
    const { train, held } = await halves(dir, 0.1);
    assertEquals([train.rows, held.rows], [90, 10]);
    const answers = (await Array.fromAsync(held.allTurns())).map(([turn]) => turn!.answer);
    assertEquals(answers, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4].map((one) => `class ${one}`));
  }));

Deno.test("all rows of a picture are on one side, whether it is called by one path or copied", () =>
  inTemporaryFolder(async (dir) => {
    Deno.mkdirSync(`${dir}/again`);
    const lines = [];
    for (let i = 0; i < 60; i++) {
      const number = i % 20; // three times the same pictures, far from each other
      const path = [
        `${number}.png`,
        `./again/../${number}.png`,
        `again/${number}.png`,
      ][i / 20 | 0]!;
      Deno.writeFileSync(`${dir}/${path}`, picture(number));
      lines.push(JSON.stringify({ image: path, question: `p${number}`, answer: "a" }));
    }
    Deno.writeTextFileSync(`${dir}/metadata.jsonl`, lines.join("\n"));
    const { train, held } = await halves(dir, 0.25);
    const [learned, asked] = [new Set(await questions(train)), await questions(held)];
    assertEquals([train.rows, held.rows, new Set(asked).size], [45, 15, 5]);
    const samples = await Samples.open(held, "all");
    assertEquals(samples.picturesOf([...asked.keys()]).size, 5);
    assert(asked.every((question) => !learned.has(question)));
    writeCauldron(
      `${dir}/a.parquet`,
      lines.map((_, i) => ({ image: picture(i % 20), turns: [[`p${i % 20}`, "a"]] })),
      7,
    );
    const inside = await halves(`${dir}/a.parquet`, 0.25);
    assertEquals(await questions(inside.held), asked);
    assertEquals((await inside.held.row(3)).turns[0]!.question, asked[3]);
  }));

Deno.test("rows that all show one picture are divided, and the dataset says so", () =>
  inTemporaryFolder(async (dir) => {
    const row = { image: PNG, turns: [["q", "a"]] as [string, string][] };
    writeCauldron(`${dir}/a.parquet`, Array.from({ length: 10 }, () => row));
    const { train, held } = await halves(`${dir}/a.parquet`, 0.2);
    assertEquals([train.rows, held.rows], [8, 2]);
    assertEquals(train.notes, [
      `All rows of ${dir}/a.parquet show the same picture, those that are held out too`,
    ]);
    await assertRejects(() => halves(`${dir}/a.parquet`, 0.2, 1), RangeError, "at least 2");
    const few = await halves(`${dir}/a.parquet`, 0.99, 2);
    assertEquals([few.train.rows, few.held.rows], [1, 1]);
  }));

/** Records in groups that say that they are large. */
function largeSource(rows: number, bytes: (row: number) => Uint8Array): RecordSource {
  const record = (index: number): DataRecord => ({
    image: bytes(index),
    question: `q${index}`,
    answer: "a",
  });
  return {
    columns: ["image", "question", "answer"],
    rows,
    groups: [{ start: 0, rows, bytes: 2 ** 40 }],
    fileOf: () => "large",
    record: (index) => Promise.resolve(record(index)),
    async *select() {
      for (let index = 0; index < rows; index++) yield record(index);
    },
  };
}

Deno.test("of data too large to look through the end is held out, from the next picture on", async () => {
  const cases = [
    { same: 1, first: 90 },
    { same: 7, first: 91 }, // 90 shows the picture of 84 to 90
    { same: 1000, first: 90 }, // all show the same
  ];
  for (const { same, first } of cases) {
    const records = largeSource(100, (row) => picture(Math.floor(row / same)));
    const dataset = await RecordDataset.open({ records, name: "large" }, {});
    const options = { rows: 100, share: 0.1 };
    const train = await holdOut(dataset, { ...options, split: "train" });
    const held = await holdOut(dataset, { ...options, split: "validation" });
    assertEquals((await questions(train)).at(-1), "q89");
    assertEquals([(await questions(held))[0], held.rows], [`q${first}`, 100 - first]);
  }
});
