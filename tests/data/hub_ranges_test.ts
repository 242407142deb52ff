// Tests of files read in parts by range requests: over bad networks, with addresses that run out.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { parquetQuery } from "hyparquet";
import { parquetWriteBuffer } from "hyparquet-writer";
import { HubError } from "../../data/hub.ts";
import { createDownloadRoute } from "../hub/download_routes.ts";
import {
  corruptedAt,
  cutAfter,
  endless,
  type FaultOptions,
  faulty,
  type Harm,
  packed,
  stalledAfter,
  statusOf,
  truncatedTo,
  withHeader,
  withoutRanges,
} from "../hub/faults.ts";
import { HASTY, namesIn, setScene, someBytes } from "../hub/scene.ts";

const DATA = someBytes(50_000);
const FILES = { "data.parquet": DATA, "README.md": "# small" };

Deno.test("slice() reads what download() would bring, and stores nothing", async () => {
  await using scene = await setScene({ kind: "dataset", files: FILES });
  const reader = await (await scene.open()).open("data.parquet");
  assertEquals(reader.byteLength, DATA.length);
  for (
    const [start, end] of [[0, 1], [0, 50_000], [49_999, 50_000], [123, 4567], [7, 7]] as const
  ) {
    assertEquals(new Uint8Array(await reader.slice(start, end)), DATA.slice(start, end));
  }
  assertEquals(new Uint8Array(await reader.slice(40_000)), DATA.slice(40_000));
  const small = await (await scene.open()).open("README.md");
  assertEquals(new TextDecoder().decode(await small.slice(2)), "small");
  assertEquals(await namesIn(scene.cacheFolder), []);
  for (const [start, end] of [[-1, 5], [5, 4], [0, 50_001], [0.5, 2], [0, NaN]] as const) {
    await assertRejects(() => reader.slice(start, end), RangeError, "found bytes");
  }
});

Deno.test("the Hub is asked once where a file is, until that address runs out", async () => {
  await using scene = await setScene({ kind: "dataset", files: FILES }, [
    createDownloadRoute({ usesPerSignature: 3 }),
  ]);
  const reader = await (await scene.open()).open("data.parquet");
  for (let i = 0; i < 9; i++) {
    assertEquals(new Uint8Array(await reader.slice(i, i + 9)), DATA.slice(i, i + 9));
  }
  const { seen } = scene.hub;
  assertEquals(seen.filter(({ path }) => path.includes("/resolve/")).length, 3);
  const atCdn = seen.filter(({ path }) => path.startsWith("/cdn/"));
  assertEquals(atCdn.length, 9 + 2);
  assert(atCdn.every(({ headers }) => !headers.has("Authorization")));
});

Deno.test("several slices at once do not disturb each other", async () => {
  await using scene = await setScene({ kind: "dataset", files: FILES }, [
    createDownloadRoute({ usesPerSignature: 2 }),
  ]);
  const reader = await (await scene.open()).open("data.parquet");
  const starts = Array.from({ length: 20 }, (_, i) => i * 1000);
  const parts = await Promise.all(starts.map((start) => reader.slice(start, start + 3000)));
  parts.forEach((part, i) =>
    assertEquals(new Uint8Array(part), DATA.slice(i * 1000, i * 1000 + 3000))
  );
});

Deno.test("hyparquet reads through it", async () => {
  const buffer = parquetWriteBuffer({
    columnData: [{ name: "n", data: Int32Array.from({ length: 5000 }, (_, i) => i) }],
    rowGroupSize: 1000,
  });
  await using scene = await setScene({
    kind: "dataset",
    files: { "data.parquet": new Uint8Array(buffer) },
  });
  const file = await (await scene.open()).open("data.parquet");
  const rows = await parquetQuery({ file, rowStart: 3210, rowEnd: 3212 });
  assertEquals(rows, [{ n: 3210 }, { n: 3211 }]);
});

const calledPacked: Harm = async (response, request) =>
  withHeader("Content-Encoding", "zstd")(
    await withHeader("Content-Length", "40000")(response, request),
    request,
  );

const once = { times: 1 };
const cases: [string, Harm, FaultOptions, string][] = [
  ["a cut after the first byte, twice", cutAfter(1), { times: 2 }, "success"],
  ["a cut in the middle, once", cutAfter(10_000), once, "success"],
  ["a cut in the middle, always", cutAfter(4000), {}, "success"],
  ["a cut at once, always", cutAfter(0), {}, "expected an answer"],
  ["a truncated body, once", truncatedTo(500), once, "success"],
  ["an empty body, always", truncatedTo(0), {}, "an end after 0 bytes"],
  ["a body without an end, once", endless(), once, "success"],
  ["silence, once", stalledAfter(500), once, "success"],
  ["silence, always", stalledAfter(0), {}, "found no bytes"],
  ["another range, once", withHeader("Content-Range", "bytes 0-19999/50000"), once, "success"],
  ["another size, always", withHeader("Content-Range", "bytes 9-8/7"), {}, 'found range "bytes'],
  ["no ranges, always", withoutRanges(DATA), {}, "found the whole file"],
  ["packed ranges, always", packed("gzip"), {}, "success"],
  ["ranges of the packed file, always", packed("gzip", true), {}, 'found range "bytes 5000-'],
  ["a file that is called packed", calledPacked, {}, "success"],
  ["429 and no end", statusOf(429), {}, "status 429"],
  ["503 and Retry-After", statusOf(503, { "Retry-After": "0" }), { times: 3 }, "success"],
];

Deno.test("a file that changes while it is read is noticed", async () => {
  let tag = "";
  const changing = faulty(createDownloadRoute(), (response) => {
    if (tag !== "") response.headers.set("ETag", tag);
    return response;
  });
  await using scene = await setScene({ kind: "dataset", files: FILES }, [changing.route]);
  const reader = await (await scene.open()).open("data.parquet");
  await reader.slice(0, 100);
  tag = 'W/"weak"';
  await reader.slice(0, 100);
  tag = '"another"';
  const { message } = await assertRejects(() => reader.slice(100, 200), HubError);
  assertMatch(message, /found another content than before \(tag "another"\), expected "\w+"/);
  tag = "";
  await reader.slice(100, 200);
});

Deno.test("a file that is another than the listing says is noticed", async () => {
  const other = faulty(createDownloadRoute(), (response) => {
    response.headers.set("X-Linked-Etag", `"${"0".repeat(64)}"`);
    return response;
  }, { on: (_, { pathname }) => pathname.includes("/resolve/") });
  await using scene = await setScene({ kind: "dataset", files: FILES }, [other.route]);
  const reader = await (await scene.open()).open("data.parquet");
  await assertRejects(() => reader.slice(0, 100), HubError, "another content");
});

for (const [name, harm, options, expected] of cases) {
  Deno.test(`slice() survives or reports: ${name}`, async () => {
    const { route } = faulty(createDownloadRoute(), harm, options);
    await using scene = await setScene({ kind: "dataset", files: FILES }, [route]);
    const reader = await (await scene.open({ retry: HASTY })).open("data.parquet");
    const reading = reader.slice(5000, 45_000);
    if (expected === "success") {
      assertEquals(new Uint8Array(await reading), DATA.slice(5000, 45_000));
    } else {
      const { message } = await assertRejects(() => reading, HubError);
      assertStringIncludes(message, expected);
      assert(!message.includes(scene.store.token) && !message.includes("Signature"), message);
    }
  });
}

Deno.test("a part carries no hash: who reads it must notice damage", async () => {
  const { route } = faulty(createDownloadRoute(), corruptedAt(3));
  await using scene = await setScene({ kind: "dataset", files: FILES }, [route]);
  const part = new Uint8Array(await (await (await scene.open()).open("data.parquet")).slice(0, 9));
  assertEquals(part[3], DATA[3]! ^ 0x20);
});

Deno.test("a downloaded file is read from the disk, and its loss reported", async () => {
  await using scene = await setScene({ kind: "dataset", files: FILES });
  const folder = await (await scene.open()).download(["data.parquet"]);
  const before = scene.hub.seen.length;
  const repository = await scene.open({ isOffline: true });
  const reader = await repository.open("data.parquet");
  assertEquals(new Uint8Array(await reader.slice(30_000)), DATA.slice(30_000));
  assertEquals(scene.hub.seen.length, before);
  await Deno.truncate(await Deno.realPath(`${folder}/data.parquet`), 100);
  await assertRejects(() => reader.slice(0, 200), HubError, "found its end at byte 100");
});
