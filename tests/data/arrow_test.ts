/** Tests of Arrow files: those that Python's datasets and pyarrow wrote, and damaged ones. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { Table, tableFromArrays, tableToIPC } from "apache-arrow";
import { openArrow } from "../../data/arrow.ts";
import { openDataset } from "../../data/datasets.ts";
import { localFile } from "../../data/local_file.ts";
import { GroupCache } from "../../data/records.ts";
import { fromGolden, goldenImage, inTemporaryFolder, memoryFile } from "./helpers.ts";

const PNG = goldenImage("4_one_pixel_high.png");

Deno.test("openDataset() reads what datasets.save_to_disk wrote, part by part", async () => {
  const train = await openDataset(fromGolden("datasets/saved_dict"), "train");
  assertEquals([train.rows, train.groups?.length], [5, 2]); // of two files
  assertEquals(await train.turnCounts(), Uint32Array.of(1, 2, 1, 2, 1));
  for (const index of [4, 0, 3]) {
    const { image, imageName, turns } = await train.row(index);
    assertEquals(image, PNG);
    assert(imageName.endsWith(`, row ${index}, ${index}.png`));
    assertEquals(turns[0], {
      question: `what ${index}?`,
      answer: `é${index}`,
      category: index % 2 ? "a" : "b",
    });
  }
  const validation = await openDataset(fromGolden("datasets/saved_dict"), "validation");
  assertEquals((await validation.row(0)).turns[0]?.question, "what 10?");
  const single = fromGolden("datasets/saved");
  assertEquals((await openDataset(single, "train")).rows, 3);
  assertEquals((await openDataset(single, "validation", { heldOut: 0.4 })).rows, 1);
  assertEquals((await openDataset(`${single}/data-*.arrow`, "train")).rows, 3);
});

Deno.test("openDataset() reads pyarrow's file format, batch by batch, with dictionaries", async () => {
  const dataset = await openDataset(fromGolden("datasets/file_format.arrow"), "train");
  assertEquals(dataset.groups?.map(({ start, rows }) => [start, rows]), [[0, 2], [2, 1]]);
  const { image, turns } = await dataset.row(2);
  assertEquals(image, PNG);
  assertEquals(turns, [{ question: "q2", answer: "yes", category: "a" }]);
  assertEquals((await dataset.row(1)).turns[0]?.answer, "no");
});

Deno.test("openDataset() names a compression of Arrow files that it does not know", async () => {
  const open = () => openDataset(fromGolden("datasets/zstd.arrow"), "train");
  const error = await assertRejects(open, SyntaxError, "zstd.arrow");
  assertStringIncludes(error.message, "codec not found");
});

const RECORDS = tableFromArrays({ question: ["q0", "q1", "q2"], answer: ["a", "b", "c"] });

Deno.test("openArrow() reads a batch only when it is needed, and keeps it while the budget lasts", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/a.arrow`;
    const many = new Table([...RECORDS.batches, ...RECORDS.batches]);
    Deno.writeFileSync(path, tableToIPC(many, "stream"));
    const source = await openArrow([localFile(path)], new GroupCache(0));
    assertEquals([source.rows, source.columns], [6, ["question", "answer"]]);
    assertEquals(await source.record(4), { question: "q1", answer: "b" });
    const all = await Array.fromAsync(source.select(["answer"]));
    assertEquals(all, ["a", "b", "c", "a", "b", "c"].map((answer) => ({ answer })));
    Deno.truncateSync(path, 8); // from here on only what is in memory can be had
    assertEquals(await source.record(5), { question: "q2", answer: "c" });
    await assertRejects(() => source.record(0), SyntaxError, path);
    await assertRejects(() => source.record(6), RangeError, '"6"');
  }));

/** Opens bytes as an Arrow file, and reads its first rows. */
async function readBytes(bytes: Uint8Array): Promise<number> {
  const source = await openArrow([memoryFile(bytes)], new GroupCache(0));
  for (let index = 0; index < Math.min(source.rows, 5); index++) await source.record(index);
  return source.rows;
}

Deno.test("an Arrow file that is cut anywhere is refused", async () => {
  const file = Deno.readFileSync(fromGolden("datasets/file_format.arrow"));
  // The footer of the file format is not needed: the stream before it says the same.
  const footer = new DataView(file.buffer).getInt32(file.length - 10, true);
  const end = file.length - 10 - footer;
  assertEquals(await readBytes(file.subarray(0, end)), 3);
  const stream = tableToIPC(RECORDS, "stream");
  assertEquals(await readBytes(stream), 3);
  for (const whole of [file.subarray(0, end), stream]) {
    for (let length = 0; length < whole.length; length++) {
      await assertRejects(() => readBytes(whole.subarray(0, length)), SyntaxError, "in memory");
    }
  }
});

Deno.test("an Arrow file with a broken byte gives an error or other values, soon and in little memory", async () => {
  const before = Deno.memoryUsage().rss;
  const whole = Deno.readFileSync(fromGolden("datasets/saved/data-00000-of-00001.arrow"));
  let errors = 0;
  for (let at = 0; at < whole.length; at++) {
    for (const flip of [0xff, 0x01]) {
      const broken = whole.slice();
      broken[at]! ^= flip;
      try {
        await readBytes(broken);
      } catch (error) {
        assert(error instanceof SyntaxError, `byte ${at}: ${error}`);
        errors++;
      }
    }
  }
  assert(errors > whole.length / 10, `${errors} errors`);
  assert(Deno.memoryUsage().rss - before < 500e6);
});
