/** Tests of datasets in groups: which rows they hold, and what of them stays in memory. */
import { assert, assertEquals, assertRejects } from "@std/assert";
import { openDataset } from "../../data/datasets.ts";
import { goldenImage, writeCauldron } from "./helpers.ts";

const PNG = goldenImage("1_gray.png");

/** Uses a file of eight rows in row groups. */
async function withFile(groupRows: number, use: (path: string) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    const row = () => ({ image: PNG, turns: [["what?", "it"]] as [string, string][] });
    writeCauldron(path, Array.from({ length: 8 }, row), groupRows);
    await use(path);
  } finally {
    await Deno.remove(path);
  }
}

Deno.test("a dataset's groups are those of the rows that were asked for", () =>
  withFile(3, async (path) => {
    const { groups = [] } = await openDataset(path, "train", { rows: 5 });
    assertEquals(groups.map(({ start, rows }) => [start, rows]), [[0, 3], [3, 2]]);
    assert(groups.every(({ bytes }) => bytes > PNG.length && bytes < PNG.length + 1000));
  }));

Deno.test("a dataset's hold() keeps groups whatever the budget, reads one ahead, and drops others", () =>
  withFile(2, async (path) => {
    const dataset = await openDataset(path, "train", { cacheBytes: 1 });
    dataset.hold!([0, 1]);
    for (const index of [0, 2, 4]) await dataset.row(index);
    dataset.hold!([0, 1], 3);
    await new Promise((resolve) => setTimeout(resolve, 100)); // while the fourth is read ahead
    await Deno.truncate(path, 4); // from here on only what is in memory can be had
    for (const index of [0, 3, 6, 1, 7]) await dataset.row(index);
    await assertRejects(async () => await dataset.row(4), SyntaxError, path);
    dataset.hold!([1]);
    await dataset.row(2);
    await assertRejects(async () => await dataset.row(0), SyntaxError, path);
  }));
