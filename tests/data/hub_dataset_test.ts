/** Tests of datasets on the Hub, against a local server: configurations, parts, and what is read. */
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { type DatasetOptions, openDataset } from "../../data/datasets.ts";
import { HubError } from "../../data/hub.ts";
import { Loader } from "../../data/loader.ts";
import { downloadRoute } from "../hub/download_routes.ts";
import { startHub } from "../hub/server.ts";
import { HubStore, type NewRepository } from "../hub/store.ts";
import { fromGolden, inTemporaryFolder, writeCauldron } from "./helpers.ts";

type Files = Record<string, Uint8Array<ArrayBuffer>>;

/** A file of rows that ask "<name> <number>", with a photograph of 100 KB in each. */
async function parquet(name: string, rows: number): Promise<Uint8Array<ArrayBuffer>> {
  const path = await Deno.makeTempFile();
  const photograph = () => {
    const bytes = new Uint8Array(100_000);
    for (const half of [0, 50_000]) crypto.getRandomValues(bytes.subarray(half, half + 50_000));
    return bytes;
  };
  writeCauldron(
    path,
    Array.from(
      { length: rows },
      (_, i) => ({ image: photograph(), turns: [[`${name} ${i}`, "a"]] }),
    ),
    2,
  );
  const bytes = await Deno.readFile(path);
  await Deno.remove(path);
  return bytes;
}

async function withHub(
  repositories: Omit<NewRepository, "kind">[],
  test: (hub: {
    options: DatasetOptions;
    seen: ReturnType<typeof startHub>["seen"];
    stop: () => Promise<void>;
  }) => Promise<void>,
): Promise<void> {
  const store = new HubStore();
  for (const one of repositories) store.addRepository({ kind: "dataset", ...one });
  await inTemporaryFolder(async (cacheFolder) => {
    const server = startHub(store, [downloadRoute]);
    let isRunning = true;
    const stop = async () => {
      if (isRunning) await server[Symbol.asyncDispose]();
      isRunning = false;
    };
    try {
      const options = { hub: { endpoint: server.endpoint, cacheFolder, token: "" } };
      await test({ options, seen: server.seen, stop });
    } finally {
      await stop();
    }
  });
}

const CAULDRON_CARD = {
  configs: [
    { config_name: "ai2d", data_files: [{ split: "train", path: "ai2d/train-*" }] },
    { config_name: "aokvqa", data_files: [{ split: "train", path: ["aokvqa/train-*"] }] },
  ],
};

async function cauldron(): Promise<Omit<NewRepository, "kind">> {
  const files: Files = {
    "ai2d/train-00000-of-00002.parquet": await parquet("ai2d", 4),
    "ai2d/train-00001-of-00002.parquet": await parquet("more", 3),
    "aokvqa/train-00000-of-00001.parquet": await parquet("aokvqa", 5),
  };
  return { name: "HuggingFaceM4/the_cauldron", card: CAULDRON_CARD, files };
}

Deno.test("openDataset() reads configurations that a dataset's card lists, each a source", async () => {
  await withHub([await cauldron()], async ({ options }) => {
    const open = (spec: string, changes: DatasetOptions = {}) =>
      openDataset(spec, "train", { ...options, ...changes });
    const name = "HuggingFaceM4/the_cauldron";
    const both = await open(`${name}:ai2d,aokvqa`, { weights: [1, 2] });
    assertEquals([both.rows, both.groups?.length], [12, 7]);
    assertEquals(both.parts?.map(({ name, rows }) => [name, rows]), [
      [`${name}:ai2d`, 7],
      [`${name}:aokvqa`, 5],
    ]);
    assertEquals((await both.row(11)).turns[0]?.question, "aokvqa 4");
    assertEquals((await both.row(4)).turns[0]?.question, "more 0");
    assertEquals((await open(`${name}:all`)).rows, 12);
    assertEquals((await open(`${name}@main:aokvqa`)).name, `${name}:aokvqa`);
    const mixed = await open(`${name}:aokvqa,shapes`);
    assertEquals(mixed.rows, 20_005);
    const held = await openDataset(`${name}:all`, "validation", { ...options, heldOut: 0.3 });
    assertEquals([held.rows, (await held.row(0)).turns[0]?.question], [3, "ai2d 2"]);
    const none = await assertRejects(() => open(name), Error);
    assertStringIncludes(none.message, '2 configurations, "ai2d, aokvqa"');
    await assertRejects(() => open(`${name}:vqa`), Error, 'one of "ai2d, aokvqa"');
    await assertRejects(() => open("nobody/nothing"), HubError, "nobody/nothing");
    await assertRejects(
      () => openDataset(`${name}:ai2d`, "validation", options),
      Error,
      "validation",
    );
  });
});

Deno.test("openDataset() reads a dataset on the Hub in ranges, and of a column only what it takes", async () => {
  await withHub([await cauldron()], async ({ options, seen }) => {
    let before = 0;
    /** Bytes asked for since the last call. */
    const asked = () => {
      const ranges = seen.slice(before).filter(({ path }) => path.startsWith("/cdn/"));
      before = seen.length;
      return ranges.reduce((sum, { headers }) => {
        const [, start, end] = /^bytes=(\d+)-(\d+)$/.exec(headers.get("range") ?? "") ?? [];
        assert(start !== undefined, "a request for more than a range");
        return sum + Number(end) - Number(start) + 1;
      }, 0);
    };
    const dataset = await openDataset("HuggingFaceM4/the_cauldron:ai2d", "train", options);
    const opening = asked();
    const whole = 7 * 100_000;
    assert(opening > 0 && opening < 2 * 2 * 140_000, `${opening} bytes to open`);
    assertEquals(await dataset.turnCounts(), new Uint32Array(7).fill(1));
    assert(asked() < 20_000, "bytes for a column of texts");
    await dataset.row(1);
    const group = asked();
    assert(group > 200_000 && group < whole, `${group} bytes for a row group`);
    await dataset.row(0);
    assertEquals(asked(), 0); // kept
    const cached = [...Deno.readDirSync(options.hub!.cacheFolder!)].flatMap(({ name }) =>
      name.startsWith("datasets--")
        ? [...Deno.readDirSync(`${options.hub!.cacheFolder}/${name}`)]
        : []
    );
    assert(cached.every(({ name }) => name !== "blobs"), "something was stored");
  });
});

Deno.test("openDataset() downloads a dataset whole where told to, and then needs no network", async () => {
  await withHub([await cauldron()], async ({ options, stop }) => {
    const spec = "HuggingFaceM4/the_cauldron:aokvqa";
    const dataset = await openDataset(spec, "train", { ...options, download: true });
    await stop();
    assertEquals((await dataset.row(4)).turns[0]?.question, "aokvqa 4");
    const offline = { ...options, hub: { ...options.hub, isOffline: true } };
    assertEquals((await openDataset(spec, "train", { ...offline, download: true })).rows, 5);
  });
});

Deno.test("openDataset() goes by names of folders and files where there is no card", async () => {
  const [one, two] = [await parquet("one", 1), await parquet("two", 2)];
  const choices = await Deno.readFile(fromGolden("datasets/cauldron_zstd.parquet"));
  const repositories = [
    { name: "a/split", files: { "data/train-0.parquet": one, "data/validation-0.parquet": two } },
    { name: "a/folders", files: { "x/train/0000.parquet": one, "y/test/0000.parquet": two } },
    { name: "a/default", files: { "x/0.parquet": one, "train.parquet": two } },
    { name: "a/whole", files: { "mmstar.parquet": choices, "README.md": new Uint8Array(3) } },
    {
      name: "a/val",
      card: {
        configs: [{ config_name: "val", data_files: [{ split: "val", path: "m.parquet" }] }],
      },
      files: { "m.parquet": one },
    },
    {
      name: "a/preferred",
      card: {
        configs: [
          { config_name: "p", data_dir: "x" },
          { config_name: "q", data_files: "y/*", default: true },
        ],
      },
      files: { "x/0.parquet": one, "y/0.parquet": two },
    },
    { name: "a/other", files: { "data.csv": one, "README.md": one } },
  ];
  await withHub(repositories, async ({ options }) => {
    const rows = async (spec: string, split: "train" | "validation" = "train") =>
      (await openDataset(spec, split, options)).rows;
    assertEquals([await rows("a/split"), await rows("a/split", "validation")], [1, 2]);
    assertEquals([await rows("a/folders:x"), await rows("a/folders:y", "validation")], [1, 2]);
    assertEquals([await rows("a/default"), await rows("a/default:x")], [2, 1]);
    assertEquals([await rows("a/whole"), await rows("a/whole", "validation")], [4, 4]);
    assertEquals(await rows("a/val", "validation"), 1);
    await assertRejects(() => rows("a/val"), Error, "m.parquet");
    assertEquals([await rows("a/preferred"), await rows("a/preferred:p")], [2, 1]);
    await assertRejects(() => rows("a/folders"), Error, '"x, y"');
    const error = await assertRejects(() => rows("a/other"), Error);
    assertStringIncludes(error.message, 'but "data.csv"');
    assertStringIncludes(error.message, "a/other@refs/convert/parquet");
  });
});

Deno.test("a network that fails stops the loader instead of counting rows as bad", async () => {
  await withHub([await cauldron()], async ({ options, stop }) => {
    const loader = await Loader.open({
      dataset: "HuggingFaceM4/the_cauldron:ai2d",
      datasetOptions: {
        ...options,
        hub: { ...options.hub, retry: { attempts: 1, firstDelayMilliseconds: 1 } },
      },
      split: "train",
      questionsPerRow: "first",
      tokenizer: "bytes",
      maxLength: 48,
      pictures: { vit_img_size: 8 },
      batchSize: 3,
      seed: 0,
      workers: 0,
    });
    await stop();
    await assertRejects(() => loader.next(), HubError);
    assertEquals(loader.skipped, []);
    loader.close();
  });
});
