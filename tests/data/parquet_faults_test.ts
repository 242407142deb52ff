/** Tests of damaged Parquet files: each is a clear error or a row that is counted, none a hang. */
import { brotliCompressSync, constants, gzipSync, zstdCompressSync } from "node:zlib";
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { parquetWriteBuffer } from "hyparquet-writer";
import { Loader } from "../../data/loader.ts";
import { localFile } from "../../data/local_file.ts";
import { openParquet } from "../../data/parquet.ts";
import { GroupCache } from "../../data/records.ts";
import {
  fromGolden,
  goldenImage,
  inTemporaryFolder,
  memoryFile,
  writeCauldron,
} from "./helpers.ts";

const TEXTS = ["one", "two", "three", "four", "five", "six"];

/** Two row groups of three rows. */
function twoGroups(): Uint8Array {
  return new Uint8Array(parquetWriteBuffer({
    columnData: [{ name: "text", data: TEXTS, type: "STRING" }],
    rowGroupSize: 3,
  }));
}

const open = (bytes: Uint8Array) => openParquet([memoryFile(bytes)], new GroupCache(0));

async function readAll(bytes: Uint8Array): Promise<number> {
  const source = await open(bytes);
  for (let index = 0; index < Math.min(source.rows, 20); index++) await source.record(index);
  for await (const _ of source.select(source.columns)) continue;
  return source.rows;
}

Deno.test("a Parquet file with a wrong magic, a cut or another kind of file is refused", async () => {
  const whole = twoGroups();
  assertEquals(await readAll(whole), 6);
  for (let length = 0; length < whole.length; length++) {
    await assertRejects(() => open(whole.subarray(0, length)), SyntaxError, '"in memory"');
  }
  const wrong = whole.slice();
  wrong[wrong.length - 1] = 0;
  const error = await assertRejects(() => open(wrong), SyntaxError);
  assertStringIncludes(error.message, "PAR1");
  const long = whole.slice(); // a footer longer than the file
  new DataView(long.buffer).setUint32(long.length - 8, 0x7fffffff, true);
  await assertRejects(() => open(long), SyntaxError, "2147483647");
  await assertRejects(() => open(goldenImage("1_gray.png")), SyntaxError);
});

Deno.test("a broken page is an error of its row group alone", async () => {
  const whole = twoGroups();
  whole.fill(0xff, 4, 12); // the first group's page begins behind the magic
  const source = await open(whole);
  for (const index of [0, 1, 2]) {
    await assertRejects(() => source.record(index), SyntaxError, '"in memory"');
  }
  assertEquals(await source.record(4), { text: "five" });
});

/** The footer with one row group's count of rows, 3, replaced: zigzag varints after field 3. */
function lying(rows: number): Uint8Array {
  const whole = twoGroups();
  const footer = whole.length - 8 - new DataView(whole.buffer).getUint32(whole.length - 8, true);
  const found: number[] = [];
  // A row group's num_rows, an i64 with the number after total_byte_size's, is 0x16 0x06.
  for (let at = footer; at < whole.length - 8; at++) {
    if (whole[at] === 0x16 && whole[at + 1] === 6) found.push(at + 1);
  }
  for (const at of found) whole[at] = 2 * rows; // num_values too: the pages alone know better
  assert(found.length >= 2);
  return whole;
}

Deno.test("a row group that promises more or fewer rows than it has is refused", async () => {
  for (const rows of [1, 2, 4, 30, 63]) {
    const error = await assertRejects(() => readAll(lying(rows)), SyntaxError);
    assert(/a page of column|values in column/.test(error.message), error.message);
  }
});

Deno.test("a run of values that goes on beyond its page is refused before memory is set aside for it", async () => {
  const data = Array.from({ length: 4000 }, (_, i) => i % 2 ? "one" : null);
  const whole = new Uint8Array(parquetWriteBuffer({
    columnData: [{ name: "text", data, type: "STRING", nullable: true }],
  }));
  assertEquals(await readAll(whole), 4000);
  const levels = whole.findIndex((_, at) =>
    whole.subarray(at, at + 9).every((byte) => byte === 0xaa)
  );
  assert(levels > 0);
  whole.set([0xfe, 0xff, 0xff, 0xff, 0x07], levels - 2); // over the run's head: 2^30 times the same
  const error = await assertRejects(() => readAll(whole), SyntaxError);
  assertStringIncludes(error.message, "a run of 1073741823 values");
});

Deno.test("an unknown codec is named", async () => {
  const whole = Deno.readFileSync(fromGolden("datasets/cauldron_zstd.parquet"));
  assertEquals(await readAll(whole), 4);
  const footer = whole.length - 8 - new DataView(whole.buffer).getUint32(whole.length - 8, true);
  let changed = 0;
  // A column's codec, ZSTD, is an i32 with the number after the list of names: 0x15 0x0c.
  for (let at = footer; at < whole.length - 8; at++) {
    if (whole[at] === 0x15 && whole[at + 1] === 0x0c) {
      whole[at + 1] = 6; // LZO
      changed++;
    }
  }
  assert(changed > 0);
  const source = await open(whole);
  const error = await assertRejects(() => source.record(0), SyntaxError);
  assertStringIncludes(error.message, "LZO");
});

Deno.test("small Parquet files that would fill the memory are refused soon, with the limit", async () => {
  const before = Deno.memoryUsage().rss;
  const found = {
    brotli: "bytes when unpacked",
    zstd: "bytes when unpacked",
    rows: "3000000 rows",
    list: "values of",
    texts_1: "bytes and items when written out",
    texts_2: "bytes and items when written out",
  };
  for (const [name, limit] of Object.entries(found)) {
    const read = async () => {
      const file = localFile(fromGolden(`datasets/hostile_${name}.parquet`));
      await (await openParquet([file], new GroupCache(0))).record(0);
    };
    const { message } = await assertRejects(read, RangeError, `hostile_${name}.parquet"`);
    assert(message.includes(limit) && message.includes("expected at most"), message);
  }
  assert(Deno.memoryUsage().rss - before < 500e6);
});

Deno.test("a page that unpacks to more than it says is refused before it is unpacked whole", async () => {
  const before = Deno.memoryUsage().rss;
  const much = new Uint8Array(2 ** 28);
  const pack = { GZIP: gzipSync, BROTLI: brotliFast, ZSTD: zstdCompressSync };
  for (const [codec, packed] of Object.entries(pack)) {
    const bytes = new Uint8Array(packed(much));
    const file = parquetWriteBuffer({
      columnData: [{ name: "text", data: TEXTS, type: "STRING" }],
      codec: codec as "GZIP",
      compressors: { [codec]: () => bytes },
    });
    await assertRejects(() => readAll(new Uint8Array(file)), SyntaxError, '"in memory"');
  }
  assert(Deno.memoryUsage().rss - before < 500e6);
});

function brotliFast(bytes: Uint8Array): Uint8Array {
  return brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 1 } });
}

Deno.test("a Parquet file with a broken byte gives an error or other values, soon and in little memory", async () => {
  const before = Deno.memoryUsage().rss;
  const files = [twoGroups(), Deno.readFileSync(fromGolden("datasets/cauldron_zstd.parquet"))];
  let errors = 0;
  for (const whole of files) {
    const step = Math.max(1, Math.floor(whole.length / 500));
    for (let at = 0; at < whole.length; at += step) {
      for (const flip of [0xff, 0x01]) {
        const broken = whole.slice();
        broken[at]! ^= flip;
        try {
          await readAll(broken);
        } catch (error) {
          const isKnown = [SyntaxError, TypeError, RangeError].some((kind) =>
            error instanceof kind
          );
          assert(isKnown, `byte ${at}: ${error}`);
          errors++;
        }
      }
    }
  }
  assert(errors > 100, `${errors} errors`);
  assert(Deno.memoryUsage().rss - before < 500e6);
});

Deno.test("the loader counts the rows of a broken page and goes on, until they are many", () =>
  inTemporaryFolder(async (dir) => {
    const path = `${dir}/train.parquet`;
    const row = { image: goldenImage("4_one_pixel_high.png"), turns: [["what?", "so"]] };
    writeCauldron(path, Array.from({ length: 60 }, () => row as never), 2);
    const whole = Deno.readFileSync(path);
    whole.fill(0xff, 4, 12); // the first page's header
    Deno.writeFileSync(path, whole);
    const loader = await Loader.open({
      dataset: path,
      split: "train",
      questionsPerRow: "first",
      tokenizer: "bytes",
      maxLength: 48,
      pictures: { vit_img_size: 8 },
      batchSize: 10,
      seed: 0,
      workers: 0,
    });
    for (let batch = 0; batch < 6; batch++) await loader.next();
    assertEquals(loader.skipped.map((bad) => bad.row).sort(), [0, 1]);
    assertStringIncludes(loader.skipped[0]!.reason, "expected a Parquet file");
    loader.close();
  }));
