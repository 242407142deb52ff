/** Tests of opening datasets: real Parquet files, small ones written here, and wrong ones. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type Dataset, openDataset, type Turn } from "../../data/datasets.ts";
import { decodeImage } from "../../data/image.ts";
import { localFile } from "../../data/local_file.ts";
import { openParquet } from "../../data/parquet.ts";
import { questionCategory } from "../../data/question_category.ts";
import { PictureError } from "../../data/record_fields.ts";
import { GroupCache } from "../../data/records.ts";
import {
  goldenImage,
  inTemporaryFolder,
  sharedPath,
  writeCauldron,
  writeColumns,
} from "./helpers.ts";

const PNG = goldenImage("1_gray.png");

const easyVqa = sharedPath("data/easy-vqa");
Deno.test({
  name: "openDataset() reads easy-VQA in the schema of The Cauldron",
  ignore: !easyVqa,
  async fn() {
    const sizes = { train: [4000, 38_575], validation: [500, 4847] } as const;
    for (const split of ["train", "validation"] as const) {
      const dataset = await openDataset(easyVqa!, split);
      const counts = await dataset.turnCounts();
      assertEquals([dataset.rows, counts.reduce((a, b) => a + b, 0)], [...sizes[split]]);
      assertEquals(dataset.format, "vqa");
    }
    const row = await (await openDataset(easyVqa!, "train")).row(0);
    assertEquals(row.turns.slice(0, 3), [
      { question: "what is the blue shape?", answer: "rectangle", category: "what is" },
      { question: "what color is the shape?", answer: "blue", category: "what color" },
      { question: "does the image contain a rectangle?", answer: "yes", category: "yes/no" },
    ]);
    assert(row.image instanceof Uint8Array);
    const image = await decodeImage(row.image, row.imageName);
    assertEquals([image.width, image.height], [64, 64]);
  },
});

const mmstar = sharedPath("data/mmstar-mini");
Deno.test({
  name: "openDataset() reads MMStar's schema",
  ignore: !mmstar,
  async fn() {
    const dataset = await openDataset(mmstar!, "validation");
    assertEquals([dataset.rows, dataset.format], [478, "multiple-choice"]);
    assertEquals(await dataset.turnCounts(), new Uint32Array(478).fill(1));
    for (const index of [0, 477]) {
      const { image, imageName, turns } = await dataset.row(index);
      assert(image instanceof Uint8Array);
      await decodeImage(image, imageName);
      assertEquals(turns.length, 1);
      assertStringIncludes(turns[0]!.question, "Options: A:");
      assert(/^[A-D]$/.test(turns[0]!.answer) && turns[0]!.category.length > 0);
    }
    await assertRejects(() => openDataset(mmstar!, "train"), Error, "val-00000-of-00001.parquet");
  },
});

Deno.test("openDataset() joins a folder's files of a split, across row groups", () =>
  inTemporaryFolder(async (dir) => {
    const rows = (from: number, count: number) =>
      Array.from({ length: count }, (_, i) => ({
        image: PNG,
        turns: [[`what ${from + i}?`, "a"], ["is it?", "b"]] as [string, string][],
      }));
    writeCauldron(`${dir}/train-00000.parquet`, rows(0, 5), 2);
    writeCauldron(`${dir}/train-00001.parquet`, rows(5, 3), 2);
    writeCauldron(`${dir}/validation.parquet`, rows(100, 1));
    const train = await openDataset(dir, "train", { cacheBytes: 0 });
    assertEquals(train.rows, 8);
    assertEquals(await train.turnCounts(), new Uint32Array(8).fill(2));
    for (const index of [7, 0, 4, 5, 1]) {
      const { image, turns } = await train.row(index);
      assertEquals(image, PNG);
      assertEquals(turns[0]!.question, `what ${index}?`);
    }
    await assertRejects(async () => await train.row(8), RangeError, '"8"');
    assertEquals((await openDataset(dir, "validation")).rows, 1);
    const few = await openDataset(dir, "train", { rows: 3 });
    assertEquals([few.rows, (await few.turnCounts()).length], [3, 3]);
    assertEquals((await openDataset(`${dir}/train-00001.parquet`, "validation")).rows, 3);
  }));

/** What `allTurns()` must give: the questions of all rows, as reading them one by one does. */
async function turnsRowByRow(dataset: Dataset): Promise<Turn[][]> {
  return await Array.fromAsync({ length: dataset.rows }, async (_, row) => {
    return (await dataset.row(row)).turns;
  });
}

Deno.test("allTurns() gives every row's questions, whatever the dataset is made of", () =>
  inTemporaryFolder(async (dir) => {
    const rows = Array.from({ length: 9 }, (_, i) => ({
      image: PNG,
      turns: [["is it?", "no"], [`what ${i}?`, "a"], ["how many?", "2"]]
        .slice(i % 2) as [string, string][],
    }));
    for (const part of ["a", "b"]) {
      await Deno.mkdir(`${dir}/${part}`);
      writeCauldron(`${dir}/${part}/train.parquet`, rows, 4);
    }
    await Deno.writeTextFile(
      `${dir}/one.jsonl`,
      ["is it?", "how many?"].map((question) =>
        JSON.stringify({ image: "1.png", question, answer: "a" })
      ).join("\n"),
    );
    await Deno.writeFile(`${dir}/1.png`, PNG);
    const opened = [
      await openDataset(`${dir}/a`, "train"),
      await openDataset(`${dir}/a`, "train", { heldOut: 0.3 }),
      await openDataset(`${dir}/a`, "validation", { heldOut: 0.3 }),
      await openDataset(`${dir}/a,${dir}/b,shapes`, "train", { rows: 20 }),
      await openDataset(`${dir}/one.jsonl`, "train"),
    ];
    for (const dataset of opened) {
      const turns = await Array.fromAsync(dataset.allTurns());
      assertEquals(turns, await turnsRowByRow(dataset));
      assertEquals(turns.length, dataset.rows);
      assertEquals(Uint32Array.from(turns, ({ length }) => length), await dataset.turnCounts());
      const some = await Array.fromAsync(dataset.allTurns(2));
      assertEquals(some.length, dataset.parts?.length ?? Math.min(2, dataset.rows));
    }
  }));

Deno.test("openParquet() reads each row group once while the budget lasts", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/train.parquet`;
    writeCauldron(path, Array.from({ length: 6 }, () => ({ image: PNG, turns: [] })), 2);
    const whole = await openParquet([localFile(path)], new GroupCache(1e9));
    for (let index = 0; index < 6; index++) await whole.record(index);
    const none = await openParquet([localFile(path)], new GroupCache(0));
    await none.record(5);
    await Deno.truncate(path, 4); // from here on only what is in memory can be had
    for (let index = 0; index < 6; index++) await whole.record(index);
    await none.record(4);
    await assertRejects(() => none.record(0), SyntaxError, path);
  }));

Deno.test("openDataset() takes source as the category where it varies", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/train.parquet`;
    writeCauldron(path, [
      { image: PNG, turns: [["is it?", "yes", "one"]] },
      { image: PNG, turns: [["is it?", "yes", "two"]] },
    ]);
    const dataset = await openDataset(path, "train");
    assertEquals((await dataset.row(1)).turns[0]!.category, "two");
  }));

Deno.test("openDataset() lists the columns that it found and those that it knows", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/wrong.parquet`;
    writeColumns(path, [{ name: "imagery", data: ["a"] }, { name: "awnser", data: [1] }]);
    const error = await assertRejects(() => openDataset(path, "train"), TypeError);
    for (
      const part of [
        "imagery, awnser",
        "texts",
        '"answer" instead of "awnser"',
        "--columns",
        path,
      ]
    ) {
      assertStringIncludes(error.message, part);
    }
  }));

Deno.test("a dataset names a missing picture or a field of the wrong kind when its row is read", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/train.parquet`;
    writeCauldron(path, [{ image: PNG, turns: [["a", "b"]] }, {
      image: null,
      turns: [["a", "b"]],
    }]);
    const dataset = await openDataset(path, "train");
    await dataset.row(0);
    await assertRejects(async () => await dataset.row(1), TypeError, "images");
    const flat = `${dir}/flat.parquet`;
    writeColumns(flat, [{ name: "image", data: ["a"] }, { name: "question", data: ["q"] }, {
      name: "answer",
      data: ["A"],
    }]);
    const wrong = await openDataset(flat, "train");
    await assertRejects(async () => await wrong.row(0), PictureError, '"a"');
  }));

Deno.test("openDataset() explains missing paths, empty folders and damaged files", () =>
  inTemporaryFolder(async (dir) => {
    await assertRejects(() => openDataset(`${dir}/none`, "train"), Error, `${dir}/none`);
    await assertRejects(() => openDataset(dir, "train"), Error, "no Parquet, Arrow");
    writeCauldron(`${dir}/test.parquet`, [{ image: PNG, turns: [] }]);
    await assertRejects(() => openDataset(dir, "train"), Error, `${dir}/test.parquet`);
    const whole = Deno.readFileSync(`${dir}/test.parquet`);
    for (
      const bytes of [whole.subarray(0, whole.length >> 1), new Uint8Array(), new Uint8Array(99)]
    ) {
      Deno.writeFileSync(`${dir}/train.parquet`, bytes);
      await assertRejects(() => openDataset(dir, "train"), SyntaxError, `${dir}/train.parquet`);
    }
    writeCauldron(`${dir}/train.parquet`, []);
    await assertRejects(() => openDataset(dir, "train"), Error);
    for (const rows of [0, -1, 1.5]) {
      await assertRejects(() => openDataset("shapes", "train", { rows }), RangeError);
    }
  }));

Deno.test("openDataset() draws shapes of a given number and seed", async () => {
  const dataset = await openDataset("shapes", "train", { rows: 7, seed: 3 });
  assertEquals(dataset.rows, 7);
  const other = await openDataset("shapes", "train", { rows: 7, seed: 4 });
  assert(
    JSON.stringify((await dataset.row(0)).image) !== JSON.stringify((await other.row(0)).image),
  );
});

Deno.test("questionCategory() goes by a question's leading words", () => {
  const cases: [string, string][] = [
    ["What color is it?", "what color"],
    ["what is the colour of the shape?", "what color"],
    ["Which colors are there?", "what color"],
    ["what shape is present?", "what shape"],
    ["How many dogs?", "how many"],
    ["Where is it?", "where"],
    ["Isn't it so?", "other"],
    ["Does it fly?", "yes/no"],
    ["Describe the picture.", "other"],
    ["", "other"],
    ["What?", "what"],
  ];
  for (const [question, category] of cases) assertEquals(questionCategory(question), category);
});
