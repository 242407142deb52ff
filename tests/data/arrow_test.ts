/** Tests of Arrow files: those that Python's datasets and pyarrow wrote, and damaged ones. */
import { assert, assertEquals, assertRejects, assertThrows } from "@std/assert";
import { tableFromArrays, tableToIPC } from "apache-arrow";
import { openArrow } from "../../data/arrow.ts";
import { openDataset } from "../../data/datasets.ts";
import { localFile } from "../../data/local_file.ts";
import { openParquet } from "../../data/parquet.ts";
import { PictureError, pictureOf } from "../../data/record_fields.ts";
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

Deno.test("a saved part of an unknown name is the whole if it is alone, and else is named", () =>
  inTemporaryFolder(async (dir) => {
    const save = (folder: string, splits: string[]) => {
      for (const split of splits) {
        Deno.mkdirSync(`${dir}/${folder}/${split}`, { recursive: true });
        for (const { name } of Deno.readDirSync(fromGolden("datasets/saved"))) {
          const from = `${fromGolden("datasets/saved")}/${name}`;
          Deno.copyFileSync(from, `${dir}/${folder}/${split}/${name}`);
        }
      }
      Deno.writeTextFileSync(`${dir}/${folder}/dataset_dict.json`, JSON.stringify({ splits }));
    };
    save("one", ["data"]);
    save("two", ["train_clean", "train_noisy"]);
    save("more", ["train", "extra"]);
    assertEquals((await openDataset(`${dir}/one`, "train")).rows, 3);
    const open = () => openDataset(`${dir}/two`, "train");
    await assertRejects(open, Error, `"train_clean, train_noisy"`);
    await assertRejects(open, Error, `"${dir}/two/train_clean"`);
    assertEquals((await openDataset(`${dir}/two/train_clean`, "train")).rows, 3);
    const more = await openDataset(`${dir}/more`, "train");
    assertEquals([more.rows, more.notes?.length], [3, 1]);
  }));

Deno.test("openDataset() reads pyarrow's file format, batch by batch, with dictionaries", async () => {
  const dataset = await openDataset(fromGolden("datasets/file_format.arrow"), "train");
  assertEquals(dataset.groups?.map(({ start, rows }) => [start, rows]), [[0, 2], [2, 1]]);
  const { image, turns } = await dataset.row(2);
  assertEquals(image, PNG);
  assertEquals(turns, [{ question: "q2", answer: "yes", category: "a" }]);
  assertEquals((await dataset.row(1)).turns[0]?.answer, "no");
});

/** A value as right.json has it. */
function asJson(value: unknown): unknown {
  if (typeof value === "bigint") {
    return Number.isSafeInteger(Number(value)) ? Number(value) : { $integer: `${value}` };
  }
  if (value instanceof Date) return { $date: value.getTime() };
  if (value instanceof Uint8Array) return { $bytes: [...value] };
  if (Array.isArray(value)) return value.map(asJson);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, asJson(one)]));
}

const RIGHT: Record<string, Record<string, unknown>[]> = JSON.parse(
  Deno.readTextFileSync(fromGolden("datasets/arrow/right.json")),
);

Deno.test("what pyarrow writes is read as pyarrow reads it: all types, packings and forms", async () => {
  for (const [name, right] of Object.entries(RIGHT)) {
    const file = localFile(fromGolden(`datasets/arrow/${name}.arrow`));
    const source = await openArrow([file], new GroupCache(0));
    const records = (await Array.fromAsync(source.select(source.columns))).map(asJson);
    assertEquals(name === "lz4_blocks" ? records.slice(-1) : records, right, name);
  }
});

Deno.test("a Parquet file gives the same texts of decimal numbers and times, and a null picture is none", async () => {
  const file = localFile(fromGolden("datasets/arrow/exact.parquet"));
  const source = await openParquet([file], new GroupCache(0));
  const records = await Array.fromAsync(source.select(source.columns));
  const nulls = JSON.stringify(records, (_, value) => value ?? null);
  assertEquals(JSON.parse(nulls), RIGHT["exact"]);
  const [, record = {}] = records;
  const error = assertThrows(() => pictureOf(record["whole"], "whole", record), PictureError);
  assertEquals(error.message, 'Cannot read field "whole": found nothing, expected a picture');
});

Deno.test("columns that are not asked for are not decoded", async () => {
  const source = await openArrow(
    [localFile(fromGolden("datasets/arrow/types.arrow"))],
    new GroupCache(0),
  );
  const records = await Array.fromAsync(source.select(["messages", "bool"]));
  assertEquals(
    records,
    (RIGHT["types"] ?? []).map(({ messages, bool }) => ({ messages, bool }) as never),
  );
});

const RECORDS = tableFromArrays({ question: ["q0", "q1", "q2"], answer: ["a", "b", "c"] });

Deno.test("openArrow() reads a batch only when it is needed, and keeps it while the budget lasts", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/a.arrow`;
    Deno.copyFileSync(fromGolden("datasets/file_format.arrow"), path);
    const source = await openArrow([localFile(path)], new GroupCache(0));
    assertEquals([source.rows, source.columns.length], [3, 4]);
    assertEquals((await source.record(1))["question"], "q1");
    const all = await Array.fromAsync(source.select(["answer"]));
    assertEquals(all, ["yes", "no", "yes"].map((answer) => ({ answer })));
    Deno.truncateSync(path, 8); // from here on only what is in memory can be had
    assertEquals((await source.record(0))["question"], "q0");
    await assertRejects(() => source.record(2), SyntaxError, path);
    await assertRejects(() => source.record(3), RangeError, '"3"');
  }));

/** Opens bytes as an Arrow file, and reads its first rows. */
async function readBytes(bytes: Uint8Array): Promise<number> {
  const source = await openArrow([memoryFile(bytes)], new GroupCache(0));
  for (let index = 0; index < Math.min(source.rows, 5); index++) await source.record(index);
  return source.rows;
}

Deno.test("an Arrow file that is cut is refused, except between the messages of a stream", async () => {
  const file = Deno.readFileSync(fromGolden("datasets/file_format.arrow"));
  const stream = tableToIPC(RECORDS, "stream");
  // Behind the schema, the dictionaries of both columns, and the batch.
  for (const [whole, right] of [[file, []], [stream, [0, 0, 0, 3]]] as [Uint8Array, number[]][]) {
    assertEquals(await readBytes(whole), 3);
    const found: number[] = [];
    for (let length = 0; length < whole.length; length++) {
      await readBytes(whole.subarray(0, length)).then((rows) => found.push(rows), (error) => {
        assert(error instanceof SyntaxError && error.message.includes("in memory"), `${error}`);
      });
    }
    assertEquals(found, right);
  }
});

Deno.test("small Arrow files that would fill the memory are refused soon, with the limit", async () => {
  for (const name of ["lists", "texts", "dictionary", "runs"]) {
    const file = localFile(fromGolden(`datasets/arrow/hostile_${name}.arrow`));
    const source = await openArrow([file], new GroupCache(0));
    const error = await assertRejects(() => source.record(0), RangeError, name);
    assert(error.message.includes("expected at most"), error.message);
  }
  const packed = Deno.readFileSync(fromGolden("datasets/arrow/zstd.arrow"));
  const magic = [0x28, 0xb5, 0x2f, 0xfd]; // what is in front of it is the length unpacked
  const at = packed.findIndex((_, start) =>
    magic.every((byte, place) => packed[start + place] === byte)
  );
  const view = new DataView(packed.buffer);
  view.setBigInt64(at - 8, 10n ** 12n, true);
  await assertRejects(() => readBytes(packed), RangeError, "bytes when unpacked, expected at most");
  view.setBigInt64(at - 8, 1n, true);
  await assertRejects(() => readBytes(packed), SyntaxError);
});

Deno.test("an Arrow file with a broken byte gives an error or other values, soon and in little memory", async () => {
  const before = Deno.memoryUsage().rss;
  const whole = Deno.readFileSync(fromGolden("datasets/saved/data-00000-of-00001.arrow"));
  const all = Deno.readFileSync(fromGolden("datasets/arrow/types.arrow"));
  let errors = 0;
  for (const [file, step] of [[whole, 3], [all, 31]] as const) {
    for (let at = 0; at < file.length; at += step) {
      for (const flip of [0xff, 0x01]) {
        const broken = file.slice();
        broken[at]! ^= flip;
        try {
          await readBytes(broken);
        } catch (error) {
          const isKnown = error instanceof SyntaxError || error instanceof RangeError;
          assert(isKnown, `byte ${at}: ${error}`);
          errors++;
        }
      }
    }
  }
  assert(errors > whole.length / 30, `${errors} errors`);
  assert(Deno.memoryUsage().rss - before < 500e6);
});
