/** Tests of the stream of batches: its order, workers, resumption, and what happens to bad rows. */
import { assert, assertEquals, assertNotEquals, assertRejects, assertThrows } from "@std/assert";
import type { Batch } from "../../data/collator.ts";
import { TooManyBadRows } from "../../data/bad_rows.ts";
import { openDataset } from "../../data/datasets.ts";
import { ImageCache } from "../../data/image_cache.ts";
import { Loader, type LoaderOptions } from "../../data/loader.ts";
import { permutation, Random } from "../../data/random.ts";
import { goldenImage, sharedPath, writeCauldron } from "./helpers.ts";

const SHAPES: LoaderOptions = {
  dataset: "shapes",
  split: "train",
  rows: 10,
  questionsPerRow: "all",
  tokenizer: "bytes",
  maxLength: 48,
  pictures: { vit_img_size: 8 },
  batchSize: 6,
  seed: 1,
  workers: 0,
};

async function withLoader<T>(
  changes: Partial<LoaderOptions>,
  use: (loader: Loader) => Promise<T>,
): Promise<T> {
  const loader = await Loader.open({ ...SHAPES, ...changes });
  try {
    return await use(loader);
  } finally {
    loader.close();
  }
}

async function take(loader: Loader, count: number): Promise<Batch[]> {
  const taken: Batch[] = [];
  while (taken.length < count) taken.push(await loader.next());
  return taken;
}

const PNG = goldenImage("1_gray.png");

const indices = (taken: Batch[]) => taken.flatMap(({ sampleIndices }) => [...sampleIndices]);

Deno.test("Loader gives each sample at most once an epoch, in another order each epoch", () =>
  withLoader({}, async (loader) => {
    assertEquals([loader.samples, loader.batchesPerEpoch], [40, 6]);
    const first = indices(await take(loader, 6));
    assertEquals(loader.state(), { seed: 1, epoch: 1, index: 0 });
    const second = indices(await take(loader, 6));
    for (const epoch of [first, second]) {
      assertEquals(epoch.length, 36);
      assertEquals(new Set(epoch).size, 36);
      assert(epoch.every((index) => index >= 0 && index < 40));
    }
    assertNotEquals(first, second);
    assertNotEquals(first, [...first].sort((a, b) => a - b));
  }));

Deno.test("Loader asks each kind of question as often as another when told to, whatever the workers", async () => {
  const dataset = await Deno.makeTempFile({ suffix: ".parquet" });
  const turns = ["is it?", "is he?", "is she?", "what is it?"].map((question) => [question, "a"]);
  writeCauldron(dataset, Array(12).fill({ image: PNG, turns: turns as [string, string][] }));
  const options = { dataset, batchSize: 8, rows: 12, kindBalance: 1 };
  try {
    const read = (workers: number) =>
      withLoader({ ...options, workers }, (loader) => take(loader, 12));
    const batches = await read(0);
    const kinds = batches.slice(0, 6).flatMap(({ categories }) => categories);
    assertEquals(kinds.filter((kind) => kind === "yes/no").length, 24);
    assertEquals(indices(await read(2)), indices(batches));
  } finally {
    await Deno.remove(dataset);
  }
});

Deno.test("Loader gives the same batches for 0, 1 and 3 workers, and others for another seed", async () => {
  const run = (changes: Partial<LoaderOptions>) => withLoader(changes, (loader) => take(loader, 8));
  const here = await run({ workers: 0 });
  for (const workers of [1, 3]) assertEquals(await run({ workers, prefetchBatches: 1 }), here);
  assertNotEquals(indices(await run({ seed: 2 })), indices(here));
});

Deno.test("Loader gives calls of next() at once the batches that it gives one after the other", async () => {
  const expected = await withLoader({}, (loader) => take(loader, 8));
  for (const workers of [0, 2]) {
    await withLoader({ workers }, async (loader) => {
      const taken = await Promise.all(Array.from({ length: 7 }, () => loader.next()));
      assertEquals([...taken, await loader.next()], expected);
      assertEquals(loader.state(), { seed: 1, epoch: 1, index: 12 });
    });
  }
});

Deno.test("Loader goes on exactly where a saved state was taken, also across an epoch's end", async () => {
  const whole = await withLoader({}, (loader) => take(loader, 14));
  for (const workers of [0, 2]) {
    for (const done of [0, 1, 5, 6, 9]) {
      const state = await withLoader({ workers }, async (loader) => {
        await take(loader, done);
        return JSON.parse(JSON.stringify(loader.state()));
      });
      const rest = await withLoader({ workers, seed: 99 }, async (loader) => {
        await take(loader, 2); // so that there is something under way to be dropped
        loader.restore(state);
        assertEquals(loader.state(), state);
        return await take(loader, 14 - done);
      });
      assertEquals(rest, whole.slice(done));
    }
  }
});

Deno.test("Loader refuses a state that is not the beginning of one of its batches", () =>
  withLoader({}, (loader) => {
    for (
      const wrong of [
        { seed: 1, epoch: 0, index: 5 },
        { seed: 1, epoch: 0, index: 36 },
        { seed: 1, epoch: -1, index: 0 },
        { seed: 1, epoch: 0, index: -6 },
        { seed: 0.5, epoch: 0, index: 0 },
      ]
    ) assertThrows(() => loader.restore(wrong), RangeError, "multiple of 6");
    return Promise.resolve();
  }));

/** Uses a file of 60 rows in row groups of 5, several times larger than the buffer. */
async function withLargeFile(
  use: (changes: Partial<LoaderOptions>) => Promise<void>,
): Promise<void> {
  const dataset = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    const row = (i: number) => ({
      image: PNG,
      turns: [[`what ${i}?`, "a"], [`why ${i}?`, "b"]] as [string, string][],
    });
    writeCauldron(dataset, Array.from({ length: 60 }, (_, i) => row(i)), 5);
    const { groups = [] } = await openDataset(dataset, "train");
    assertEquals(groups.length, 12);
    await use({ dataset, rows: 58, bufferBytes: 3 * (groups[0]?.bytes ?? 0) });
  } finally {
    await Deno.remove(dataset);
  }
}

Deno.test("Loader gives every sample of a file larger than the buffer, the same for 0, 1 and 3 workers", () =>
  withLargeFile(async (changes) => {
    const run = (workers: number, count: number) =>
      withLoader({ ...changes, workers }, (loader) => take(loader, count));
    const here = await run(0, 25);
    for (const workers of [1, 3]) assertEquals(await run(workers, 25), here);
    const [first, second] = [indices(here.slice(0, 19)), indices(here.slice(19))];
    assertEquals(new Set(first).size, 114); // of 116
    assertNotEquals(first.slice(0, 36), second);
    // Not the plain permutation: the beginning comes from a few groups, of ten questions each.
    assert(new Set(first.slice(0, 24).map((index) => Math.floor(index / 10))).size <= 6);
    const whole = await withLoader({ ...changes, bufferBytes: 1e9 }, (loader) => take(loader, 4));
    assertEquals(indices(whole), [...permutation(116, new Random(1, 0)).subarray(0, 24)]);
  }));

Deno.test("Loader goes on exactly in the middle of a file larger than the buffer", () =>
  withLargeFile(async (changes) => {
    const whole = await withLoader(changes, (loader) => take(loader, 25));
    for (const [workers, done] of [[0, 11], [2, 11], [2, 18], [2, 20]] as const) {
      const rest = await withLoader({ ...changes, workers }, async (loader) => {
        await take(loader, 2);
        const [epoch, batch] = [Math.floor(done / 19), done % 19];
        loader.restore({ seed: 1, epoch, index: batch * 6 });
        return await take(loader, 25 - done);
      });
      assertEquals(rest, whole.slice(done));
    }
  }));

Deno.test("Loader.waitMilliseconds grows with the time spent in next()", () =>
  withLoader({}, async (loader) => {
    assertEquals(loader.waitMilliseconds, 0);
    const start = performance.now();
    await take(loader, 3);
    const passed = performance.now() - start;
    assert(loader.waitMilliseconds > 0 && loader.waitMilliseconds <= passed);
  }));

/** Opens a loader over a file of `rows` rows whose `bad` ones hold no picture. */
async function withBadRows(
  { rows, bad, ...changes }: Partial<Omit<LoaderOptions, "rows">> & { rows: number; bad: number[] },
  use: (loader: Loader) => Promise<void>,
): Promise<void> {
  const dataset = await Deno.makeTempFile({ suffix: ".parquet" });
  try {
    const text = new TextEncoder().encode("no picture");
    writeCauldron(
      dataset,
      Array.from({ length: rows }, (_, row) => ({
        image: bad.includes(row) ? text : PNG,
        turns: [[`what ${row}?`, "a"]],
      })),
    );
    const { rows: _, ...whole } = SHAPES;
    const loader = await Loader.open({ ...whole, dataset, questionsPerRow: "first", ...changes });
    try {
      await use(loader);
    } finally {
      loader.close();
    }
  } finally {
    await Deno.remove(dataset);
  }
}

for (const workers of [0, 1]) {
  Deno.test(`Loader counts, names and replaces a bad row, with ${workers} workers`, () =>
    withBadRows({ rows: 20, bad: [7], workers }, async (loader) => {
      const taken = await take(loader, 12); // four epochs of three batches
      assert(taken.every(({ size }) => size === 6));
      assert(!indices(taken).includes(7));
      assertEquals(loader.skipped.length, 1);
      const [{ row, imageName, reason }] = [loader.skipped[0]!];
      assertEquals(row, 7);
      assert(imageName.endsWith(".parquet, row 7"));
      assert(reason.includes("a text file"));
    }));

  Deno.test(`Loader takes the next samples after the batch for bad ones, with ${workers} workers`, async () => {
    const order = [...permutation(20, new Random(1, 0))];
    const bad = [order[1]!, order[5]!, order[6]!]; // the first to replace them is bad as well
    await withBadRows({ rows: 20, bad, workers }, async (loader) => {
      const [first, second] = await take(loader, 2);
      assertEquals(indices([first!]), [0, 2, 3, 4, 7, 8].map((at) => order[at]));
      assertEquals(indices([second!]), [7, 8, 9, 10, 11, 12].map((at) => order[at]));
      assertEquals(loader.skipped.map(({ row }) => row), bad);
    });
  });

  Deno.test(`Loader stops and lists the bad rows when they are many, with ${workers} workers`, () =>
    withBadRows({ rows: 100, bad: [1, 3, 5, 7, 9], workers }, async (loader) => {
      const error = await assertRejects(() => take(loader, 17), TooManyBadRows, "4 of ");
      assert(error.message.includes(`The first: ${loader.skipped[0]!.imageName}: `));
      assert(error.message.length < 500 && !error.message.includes("\n"));
      assertEquals(loader.skipped.length, 4);
    }));

  Deno.test(`Loader counts the bad rows before a saved state, with ${workers} workers`, () => {
    const bad = [1, 3, 5, 7, 9];
    return withBadRows({ rows: 100, bad, workers }, async (loader) => {
      let state = loader.state();
      while (loader.skipped.length < 3) {
        await loader.next();
        state = JSON.parse(JSON.stringify(loader.state()));
      }
      assertEquals(state.bad_rows, loader.skipped.map(({ row }) => row));
      await withBadRows({ rows: 100, bad, workers }, async (resumed) => {
        resumed.restore(state);
        assertEquals(resumed.state(), state);
        await assertRejects(() => take(resumed, 17), TooManyBadRows, /4 of /.source);
        assertEquals(resumed.skipped.length, 1);
      });
    });
  });

  Deno.test(`Loader goes on where so many bad rows are allowed, with ${workers} workers`, () => {
    const bad = Array.from({ length: 60 }, (_, i) => i);
    const options = { rows: 80, bad, workers, allowedBadRows: 0.8 };
    return withBadRows(options, async (loader) => {
      assert(indices(await take(loader, 30)).every((row) => row >= 60));
      assertEquals(loader.skipped.length, 60);
    });
  });

  Deno.test(`Loader stops when there is no good row at all, with ${workers} workers`, () =>
    withBadRows({ rows: 8, bad: [0, 1, 2, 3, 4, 5, 6, 7], workers }, async (loader) => {
      await assertRejects(() => loader.next(), RangeError, "cannot be read");
      await assertRejects(() => loader.next(), RangeError, "cannot be read"); // and again
    }));

  Deno.test(`Loader.open() reports what is wrong with its options, with ${workers} workers`, async () => {
    const open = (changes: Partial<LoaderOptions>) => () =>
      withLoader({ workers, ...changes }, () => Promise.resolve());
    await assertRejects(open({ dataset: "/no/such" }), Error, "/no/such");
    await assertRejects(open({ tokenizer: "/no/such" }), Error, "/no/such");
    await assertRejects(open({ pictures: { vit_img_size: 0 } }), RangeError, "image size");
    await assertRejects(open({ maxLength: 0 }), RangeError, "maximum length");
    await assertRejects(open({ batchSize: 41 }), RangeError, "found 40 to train on");
    await assertRejects(open({ batchSize: 0 }), RangeError, "batch size");
    await assertRejects(open({ seed: -1 }), RangeError, "seed");
  });
}

Deno.test("Loader counts a bad row once, however many questions it has", async () => {
  const turns = (count: number): [string, string, string][] =>
    Array.from({ length: count }, (_, i) => [`q${i}?`, "a", "k"]);
  const path = await Deno.makeTempFile({ suffix: ".parquet" });
  writeCauldron(path, [
    { image: new TextEncoder().encode("a text"), turns: turns(40) },
    ...Array.from({ length: 9 }, () => ({ image: PNG, turns: turns(4) })),
  ]);
  await withLoader({ dataset: path, rows: 10, batchSize: 8 }, async (loader) => {
    await take(loader, 10);
    assertEquals(loader.skipped.length, 1);
  });
  await Deno.remove(path);
});

Deno.test("Loader's bad rows may be one in a hundred of a larger dataset", () =>
  withBadRows({ rows: 600, bad: [1, 2, 3, 4, 5], batchSize: 300 }, async (loader) => {
    await take(loader, 3);
    assertEquals(loader.skipped.length, 5);
  }));

Deno.test("Loader.close() ends its workers and a next() under way", async () => {
  const loader = await Loader.open({ ...SHAPES, workers: 2 });
  const under = loader.next();
  loader.close();
  await assertRejects(() => under, Error, "closed loader");
  await assertRejects(() => loader.next(), Error, "closed loader");
});

Deno.test("ImageCache makes each picture once until its budget is used up", async () => {
  const cache = new ImageCache(30);
  let made = 0;
  const get = (row: number) =>
    cache.get(row, () => {
      made++;
      return Promise.resolve({ width: 2, height: 2, data: new Uint8Array(12).fill(row) });
    });
  for (const row of [1, 2, 1, 2]) assertEquals((await get(row)).data[0], row);
  assertEquals([made, cache.bytes], [2, 24]);
  for (const row of [3, 3, 1]) await get(row);
  assertEquals([made, cache.bytes], [4, 24]);
});

const easyVqa = sharedPath("data/easy-vqa");
const smollm2 = sharedPath("data/smollm2-tokenizer");
Deno.test({
  name: "Loader streams easy-VQA with SmolLM2's tokenizer from a worker",
  ignore: !easyVqa || !smollm2,
  fn: () =>
    withLoader(
      { dataset: easyVqa!, tokenizer: smollm2!, rows: 100, workers: 1 },
      async (loader) => {
        const taken = await take(loader, 3);
        assert(taken.every(({ labelTokens, size }) => labelTokens === 2 * size)); // word and end
        assertEquals(loader.skipped, []);
      },
    ),
});
