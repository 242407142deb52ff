/** Tests of datasets of several sources, of their parts, and of the schemas that are known. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { ConcatDataset } from "../../data/concat_dataset.ts";
import { rowName } from "../../data/dataset.ts";
import { parseColumns } from "../../data/dataset_options.ts";
import { type Dataset, openDataset, Samples } from "../../data/datasets.ts";
import { RowSubset } from "../../data/row_subset.ts";
import { divideFiles } from "../../data/split_files.ts";
import {
  fromGolden,
  goldenImage,
  inTemporaryFolder,
  sharedPath,
  writeCauldron,
  writeColumns,
} from "./helpers.ts";

const PNG = goldenImage("4_one_pixel_high.png");

/** Writes rows whose questions are "<name> <number>". */
function write(path: string, name: string, rows: number, rowGroupSize = 4): void {
  const turn = (i: number): [string, string] => [`${name} ${i}`, "a"];
  writeCauldron(
    path,
    Array.from({ length: rows }, (_, i) => ({ image: PNG, turns: [turn(i)] })),
    rowGroupSize,
  );
}

async function questions(dataset: Dataset): Promise<string[]> {
  const rows = Array.from({ length: dataset.rows }, (_, index) => dataset.row(index));
  return (await Promise.all(rows)).map(({ turns }) => turns[0]!.question);
}

const numbered = (name: string, from: number, to: number) =>
  Array.from({ length: to - from }, (_, i) => `${name} ${from + i}`);

Deno.test("openDataset() joins sources in their order, with their row groups and weights", () =>
  inTemporaryFolder(async (dir) => {
    write(`${dir}/a.parquet`, "a", 10);
    write(`${dir}/b.parquet`, "b", 5);
    const dataset = await openDataset(`${dir}/a.parquet,${dir}/b.parquet`, "train", {
      weights: [2, 0.5],
    });
    assertEquals(await questions(dataset), [...numbered("a", 0, 10), ...numbered("b", 0, 5)]);
    assertEquals(dataset.groups!.map(({ start, rows }) => [start, rows]), [
      [0, 4],
      [4, 4],
      [8, 2],
      [10, 4],
      [14, 1],
    ]);
    assertEquals(
      dataset.parts!.map(({ start, rows, weight }) => [start, rows, weight]),
      [[0, 10, 2], [10, 5, 0.5]],
    );
    assertEquals(rowName(dataset, 12), `${dir}/b.parquet, row 2`);
    assertEquals(await dataset.turnCounts(), new Uint32Array(15).fill(1));
    await assertRejects(async () => await dataset.row(15), RangeError, '"15"');
    await assertRejects(async () => await dataset.row(-1), RangeError, '"-1"');
    const mixed = await openDataset(`shapes,${dir}/a.parquet`, "train");
    const groups = mixed.groups!;
    assertEquals(groups.reduce((sum, { rows }) => sum + rows, 0), mixed.rows);
    assert(
      groups.every(({ start, rows }, at) => (groups[at + 1]?.start ?? mixed.rows) - start === rows),
    );
    assertEquals((await openDataset("shapes,shapes", "train")).groups, undefined);
    for (const weights of [[1], [1, 2, 3], [1, 0], [1, -1], [1, NaN]]) {
      const open = () => openDataset(`${dir}/a.parquet,${dir}/b.parquet`, "train", { weights });
      await assertRejects(open, RangeError, "expected 2");
    }
  }));

Deno.test("a joined dataset passes what is held on to the sources' own groups", () =>
  inTemporaryFolder(async (dir) => {
    const names = ["a", "b"];
    for (const name of names) write(`${dir}/${name}.parquet`, name, 8, 4);
    const spec = names.map((name) => `${dir}/${name}.parquet`).join();
    const dataset = await openDataset(spec, "train", { cacheBytes: 0, heldOut: 0.25, rows: 15 });
    assertEquals(dataset.groups!.map(({ start, rows }) => [start, rows]), [
      [0, 3],
      [3, 3],
      [6, 4],
      [10, 2],
    ]);
    dataset.hold!([1, 2]);
    const held = [5, 7];
    for (const row of held) await dataset.row(row);
    for (const name of names) await Deno.truncate(`${dir}/${name}.parquet`, 4);
    for (const row of held) await dataset.row(row); // from memory
    await assertRejects(async () => await dataset.row(0), SyntaxError);
    await assertRejects(async () => await dataset.row(11), SyntaxError);
    dataset.hold!([]);
    await assertRejects(async () => await dataset.row(5), SyntaxError);
  }));

Deno.test("held-out rows pass what is held on to the groups that they are from", () =>
  inTemporaryFolder(async (dir) => {
    write(`${dir}/a.parquet`, "a", 12, 4);
    const options = { cacheBytes: 0, heldOut: 0.5 };
    const dataset = await openDataset(`${dir}/a.parquet`, "validation", options);
    assertEquals(dataset.groups!.map(({ start, rows }) => [start, rows]), [[0, 2], [2, 2], [4, 2]]);
    dataset.hold!([0, 2]);
    for (const row of [0, 5]) await dataset.row(row);
    await Deno.truncate(`${dir}/a.parquet`, 4);
    for (const row of [1, 4]) await dataset.row(row); // from memory
  }));

Deno.test("a row that is held out, in a range or in a joined dataset is called by its source's number", () =>
  inTemporaryFolder(async (dir) => {
    write(`${dir}/a.parquet`, "a", 10);
    const held = await openDataset(`${dir}/a.parquet`, "validation", { heldOut: 0.2 });
    assertEquals(rowName(held, 1), `${dir}/a.parquet, row 9`);
    assertEquals((await held.row(1)).imageName, rowName(held, 1));
    const joined = await openDataset(`shapes,${dir}/a.parquet`, "validation", { heldOut: 0.2 });
    assertEquals(rowName(joined, 501), rowName(held, 1));
    const some = new RowSubset(held, Uint32Array.of(1));
    assertEquals([some.rows, rowName(some, 0)], [1, rowName(held, 1)]);
    assertEquals(some.groups, [{ start: 0, rows: 1, bytes: held.groups!.at(-1)!.bytes }]);
    assertEquals((await Array.fromAsync(some.allTurns())).map(([turn]) => turn?.category), [
      "other",
    ]);
  }));

Deno.test("--split test takes the test part alone", () =>
  inTemporaryFolder(async (dir) => {
    write(`${dir}/train.parquet`, "a", 3);
    await assertRejects(() => openDataset(dir, "test"), Error, "expected some for test");
    write(`${dir}/test.parquet`, "b", 2);
    assertEquals((await openDataset(dir, "test")).rows, 2);
    assertEquals((await openDataset("shapes", "test")).rows, 500);
  }));

Deno.test("rows of each source are held out, unless it has a validation part", () =>
  inTemporaryFolder(async (dir) => {
    Deno.mkdirSync(`${dir}/c`);
    write(`${dir}/a.parquet`, "a", 10);
    write(`${dir}/b.parquet`, "b", 3);
    write(`${dir}/c/train-0.parquet`, "c", 4);
    write(`${dir}/c/valid-0.parquet`, "v", 2);
    const spec = `${dir}/a.parquet,${dir}/b.parquet,${dir}:c`;
    const open = async (split: "train" | "validation", rows?: number) =>
      await questions(
        await openDataset(spec, split, { heldOut: 0.2, ...(rows === undefined ? {} : { rows }) }),
      );
    const aHeld = ["a 3", "a 9"];
    const aLearned = numbered("a", 0, 10).filter((question) => !aHeld.includes(question));
    assertEquals(await open("train"), [...aLearned, "b 0", "b 1", ...numbered("c", 0, 4)]);
    assertEquals(await open("validation"), [...aHeld, "b 2", "v 0", "v 1"]);
    assertEquals(await open("train", 12), [...aLearned, "b 0"]);
    assertEquals(await open("validation", 12), [...aHeld, "b 1", "v 0", "v 1"]);
    assertEquals(await open("train", 10), aLearned);
    await assertRejects(() => open("train", 11), RangeError, "expected at least 2");
    for (const heldOut of [1, -0.1, NaN]) {
      await assertRejects(() => openDataset("shapes", "train", { heldOut }), RangeError, "share");
    }
    const shapes = (split: "train" | "validation") =>
      openDataset("shapes", split, { heldOut: 0.5, rows: 30 });
    assertEquals([(await shapes("train")).rows, (await shapes("validation")).rows], [30, 500]);
  }));

Deno.test("files go to the parts that their names tell, whatever the folders above are called", () =>
  inTemporaryFolder(async (dir) => {
    const parent = `${dir}/test-data/dev`;
    Deno.mkdirSync(parent, { recursive: true });
    write(`${parent}/train-00000-of-00002.parquet`, "t0", 1);
    write(`${parent}/train-00001-of-00002.parquet`, "t1", 1);
    write(`${parent}/val.parquet`, "v", 1);
    write(`${parent}/other.parquet`, "o", 1);
    for (const spec of [parent, `${parent}/`, `${dir}/test-data:dev`, `${parent}/*.parquet`]) {
      assertEquals(await questions(await openDataset(spec, "train")), ["t0 0", "t1 0"], spec);
      assertEquals(await questions(await openDataset(spec, "validation")), ["v 0"], spec);
    }
    const globbed = await openDataset(`${parent}/train*`, "validation");
    assertEquals(await questions(globbed), ["t0 0", "t1 0"]);
    const all = await openDataset(`${dir}/test-data:all`, "train");
    assertEquals(all.rows, 2);
    await assertRejects(() => openDataset(`${dir}/test-data:none`, "train"), Error, '"dev"');
    await assertRejects(() => openDataset(`${dir}/none*`, "train"), Error, "found no files");
    const above = await openDataset(`${dir}/test-data`, "train");
    assertEquals(await questions(above), ["t0 0", "t1 0"]);
    Deno.writeTextFileSync(`${parent}/more.jsonl`, "{}");
    await assertRejects(() => openDataset(parent, "train"), Error, "expected one kind");
    Deno.writeTextFileSync(`${dir}/a.txt`, "a");
    await assertRejects(() => openDataset(`${dir}/a.txt`, "train"), Error, "unknown kind");
    assertEquals(divideFiles(["x/a.parquet", "x/b.parquet"]), {
      whole: ["x/a.parquet", "x/b.parquet"],
    });
    assertEquals(divideFiles(["training/1.parquet", "my_dev_set.parquet", "constrained.parquet"]), {
      train: ["training/1.parquet"],
      validation: ["my_dev_set.parquet"],
      rest: ["constrained.parquet"],
    });
  }));

const mmstar = sharedPath("data/mmstar-mini");
Deno.test({
  name: "openDataset() refuses to join free questions and multiple choice",
  ignore: !mmstar,
  fn: () =>
    assertRejects(
      () => openDataset(`shapes,${mmstar}`, "validation"),
      TypeError,
      "multiple-choice",
    ).then(() => {}),
});

Deno.test("a joined dataset of many sources has a short name", () => {
  const dataset = { name: "d", rows: 1, format: "vqa" } as Dataset;
  const of = (count: number) =>
    new ConcatDataset(Array.from({ length: count }, () => ({ dataset })));
  assertEquals(of(3).name, "d, d, d");
  assertEquals(of(50).name, "d, d and 48 more");
});

Deno.test("FineVision's questions with low ratings are left out, those without ratings are not", async () => {
  const path = fromGolden("datasets/finevision.parquet");
  const open = (minimumRatings: Record<string, number>) =>
    openDataset(path, "train", { minimumRatings });
  const counts = async (minimum: Record<string, number>) => [
    ...await (await open(minimum)).turnCounts(),
  ];
  assertEquals(await counts({}), [2, 1, 1]);
  assertEquals(await counts({ relevance: 2 }), [2, 0, 1]);
  assertEquals(await counts({ relevance: 3 }), [1, 0, 1]);
  assertEquals(await counts({ visual_dependency: 4 }), [0, 0, 1]);
  assertEquals(await counts({ image_correspondence: 4 }), [2, 1, 1]);
  assertEquals(await counts({ formatting: 6 }), [1, 0, 1]);
  const filtered = await open({ formatting: 6 });
  assertEquals((await filtered.row(0)).turns.map(({ question }) => question), ["q1"]);
  const samples = await Samples.open(filtered, "first");
  assertEquals([samples.length, (await samples.at(1)).question], [2, "q3"]);
});

Deno.test("--columns maps other names, where they are there", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/a.parquet`;
    writeColumns(path, [
      { name: "photograph", data: [PNG] },
      { name: "asked", data: ["what?"] },
      { name: "said", data: ["so"] },
      { name: "question", data: ["not this"] },
      { name: "answer", data: ["not this"] },
    ]);
    write(`${dir}/b.parquet`, "b", 1);
    const columns = parseColumns(["image=photograph", " question = asked", "answer=said"]);
    const dataset = await openDataset(path, "train", { columns });
    assertEquals((await dataset.row(0)).turns, [
      { question: "what?", answer: "so", category: "what" },
    ]);
    assertEquals([dataset.format, (await dataset.row(0)).image], ["vqa", PNG]);
    const both = await openDataset(`${path},${dir}/b.parquet`, "train", { columns });
    assertEquals(await questions(both), ["what?", "b 0"]);
    const unknown = await assertRejects(() => openDataset(path, "train"), TypeError);
    assertStringIncludes(unknown.message, "photograph, asked, said, question, answer");
    assertStringIncludes(unknown.message, "--columns image=COLUMN");
    const none = () => openDataset(`${dir}/b.parquet`, "train", { columns });
    await assertRejects(none, TypeError, "photograph, asked, said");
    for (const wrong of ["photo", "=photo", "image=", "picture=photo", ""]) {
      try {
        parseColumns([wrong]);
        assert(false, wrong);
      } catch (error) {
        assert(error instanceof TypeError && error.message.includes("expected FIELD=COLUMN"));
      }
    }
  }));

Deno.test("a path in a Parquet file is one of the dataset's folder", () =>
  inTemporaryFolder(async (dir) => {
    Deno.writeFileSync(`${dir}/a.png`, PNG);
    writeColumns(`${dir}/a.parquet`, [
      { name: "image", data: ["a.png"], type: "STRING" },
      { name: "question", data: ["q"] },
      { name: "answer", data: ["a"] },
    ]);
    const dataset = await openDataset(`${dir}/a.parquet`, "train");
    assertEquals((await dataset.row(0)).image, PNG);
  }));
