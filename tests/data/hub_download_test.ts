// Tests of downloads from the Hub: what is stored and asked for, revisions, offline, errors, and
// what the server may not do to us.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import {
  type DownloadProgress,
  HubError,
  type HubOptions,
  openRepository,
} from "../../data/hub.ts";
import { createDownloadRoute, gitBlobId, sha256 } from "../hub/download_routes.ts";
import { cutAfter, faulty, redirectedTo, statusOf, toApi } from "../hub/faults.ts";
import {
  assertSound,
  contentRequests,
  namesIn,
  QUICK,
  type Scene,
  setScene,
  someBytes,
} from "../hub/scene.ts";

const WEIGHTS = someBytes(100_000);
const FILES = { "config.json": "{}", "empty.txt": "", "a/b/model.safetensors": WEIGHTS };
const PATHS = Object.keys(FILES);
const CONFIG_ETAG = "9e26dfeeb6e641a33dae4961196235bdb965b21b"; // git hash-object of "{}"
const EMPTY_ETAG = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";

function repositoryFolder({ cacheFolder, stored }: Scene): string {
  return `${cacheFolder}/${stored.kind}s--someone--small`;
}

/** Requests for files, those that only lead to the CDN left out. */
function fileRequests({ hub }: Scene): string[] {
  return hub.seen.filter(({ path }) => path.includes("/resolve/") || path.startsWith("/cdn/"))
    .map(({ path }) => path);
}

/** Every file and link below a folder, links with their targets. */
async function layout(folder: string, below = ""): Promise<string[]> {
  const lines: string[] = [];
  for (const name of await namesIn(folder + below)) {
    const path = `${below}/${name}`;
    const { isDirectory, isSymlink } = await Deno.lstat(folder + path);
    if (isDirectory) lines.push(...await layout(folder, path));
    else lines.push(path.slice(1) + (isSymlink ? ` -> ${await Deno.readLink(folder + path)}` : ""));
  }
  return lines;
}

for (const kind of ["model", "dataset"] as const) {
  Deno.test(`download() of a ${kind} leaves what Python's huggingface_hub leaves`, async () => {
    await using scene = await setScene({ kind, files: FILES, card: { license: "mit" } });
    const repository = await scene.open();
    const { oid } = scene.stored.commits[0]!;
    assertEquals([repository.kind, repository.name, repository.commit], [
      kind,
      "someone/small",
      oid,
    ]);
    assertEquals(repository.card, { license: "mit" });
    assertEquals(repository.files.map(({ path, size }) => [path, size]), [
      ["a/b/model.safetensors", 100_000],
      ["config.json", 2],
      ["empty.txt", 0],
    ]);
    const folder = await repository.download(PATHS);
    assertEquals(folder, `${repositoryFolder(scene)}/snapshots/${oid}`);
    assertEquals(await Deno.readFile(`${folder}/a/b/model.safetensors`), WEIGHTS);
    const weights = sha256(WEIGHTS);
    assertEquals(await layout(repositoryFolder(scene)), [
      ...[CONFIG_ETAG, EMPTY_ETAG, weights].sort().map((etag) => `blobs/${etag}`),
      "refs/main",
      `snapshots/${oid}/a/b/model.safetensors -> ../../../../blobs/${weights}`,
      `snapshots/${oid}/config.json -> ../../blobs/${CONFIG_ETAG}`,
      `snapshots/${oid}/empty.txt -> ../../blobs/${EMPTY_ETAG}`,
      `trees/${oid}.json`,
    ]);
    assertEquals(await Deno.readTextFile(`${repositoryFolder(scene)}/refs/main`), oid);
    const tree = JSON.parse(
      await Deno.readTextFile(`${repositoryFolder(scene)}/trees/${oid}.json`),
    );
    assertEquals(tree.format_version, 1);
    assertEquals(tree.files["config.json"], { size: 2, blob_id: CONFIG_ETAG });
    assertEquals(tree.files["a/b/model.safetensors"].lfs_sha256, weights);
    assertEquals(await namesIn(`${scene.cacheFolder}/.locks/${kind}s--someone--small`), [
      ...[CONFIG_ETAG, EMPTY_ETAG, weights].sort().map((etag) => `${etag}.lock`),
    ]);
  });
}

Deno.test("what Python downloaded is not downloaded again", async () => {
  await using scene = await setScene({ files: FILES });
  const { oid } = scene.stored.commits[0]!;
  const folder = repositoryFolder(scene), snapshot = `${folder}/snapshots/${oid}`;
  await Deno.mkdir(`${folder}/blobs`, { recursive: true });
  await Deno.mkdir(`${snapshot}/a/b`, { recursive: true });
  await Deno.writeFile(`${folder}/blobs/${sha256(WEIGHTS)}`, WEIGHTS);
  await Deno.symlink(
    `../../../../blobs/${sha256(WEIGHTS)}`,
    `${snapshot}/a/b/model.safetensors`,
  );
  await Deno.writeTextFile(`${snapshot}/config.json`, "{}"); // as where symlinks are not allowed
  await Deno.writeTextFile(`${folder}/blobs/${EMPTY_ETAG}`, ""); // as for another commit
  assertEquals(await (await scene.open()).download(PATHS), snapshot);
  assertEquals(fileRequests(scene), []);
  assertEquals(await Deno.readLink(`${snapshot}/empty.txt`), `../../blobs/${EMPTY_ETAG}`);
});

Deno.test("a second download asks for nothing but the commit", async () => {
  await using scene = await setScene({ files: FILES });
  await (await scene.open()).download(PATHS);
  const before = scene.hub.seen.length;
  await (await scene.open()).download(PATHS);
  assertEquals(scene.hub.seen.length - before, 1);
});

Deno.test("listings come in pages", async () => {
  const files = Object.fromEntries(Array.from({ length: 25 }, (_, i) => [`f${i}/a.txt`, `${i}`]));
  await using scene = await setScene({ files }, [createDownloadRoute({ entriesPerPage: 7 })]);
  const repository = await scene.open();
  assertEquals(repository.files.length, 25);
  assertEquals(scene.hub.seen.filter(({ path }) => path.includes("/tree/")).length, 8);
});

Deno.test("a partial file is continued, with progress", async () => {
  await using scene = await setScene({ files: FILES });
  const blobs = `${repositoryFolder(scene)}/blobs`;
  await Deno.mkdir(blobs, { recursive: true });
  await Deno.writeFile(`${blobs}/${sha256(WEIGHTS)}.incomplete`, WEIGHTS.subarray(0, 40_000));
  const seen: DownloadProgress[] = [];
  const onProgress = (progress: DownloadProgress) => seen.push(progress);
  await (await scene.open({ onProgress })).download(PATHS);
  await assertSound(scene.cacheFolder, scene.stored);
  const [range] = scene.hub.seen.filter(({ path }) => path.startsWith("/cdn/"))
    .map(({ headers }) => headers.get("Range"));
  assertEquals(range, "bytes=40000-");
  const last = seen.at(-1)!;
  assertEquals([last.filesDone, last.files], [3, 3]);
  assertEquals([last.receivedBytes, last.totalBytes], [100_002, 100_002]);
  assertEquals(last.secondsLeft, 0);
  assert(last.bytesPerSecond > 0 && last.bytesPerSecond < 1e9);
});

Deno.test("a partial file that is none of this content is dropped", async () => {
  await using scene = await setScene({ files: FILES });
  const blobs = `${repositoryFolder(scene)}/blobs`;
  for (const length of [500, 100_000, 100_001]) {
    await Deno.mkdir(blobs, { recursive: true });
    await Deno.writeFile(`${blobs}/${sha256(WEIGHTS)}.incomplete`, new Uint8Array(length));
    await (await scene.open()).download(PATHS);
    await assertSound(scene.cacheFolder, scene.stored);
    await Deno.remove(repositoryFolder(scene), { recursive: true });
  }
});

Deno.test("a cached file of the wrong size is downloaded again", async () => {
  await using scene = await setScene({ files: FILES });
  await (await scene.open()).download(PATHS);
  await Deno.truncate(`${repositoryFolder(scene)}/blobs/${sha256(WEIGHTS)}`, 10);
  const folder = await (await scene.open()).download(PATHS);
  assertEquals(await Deno.readFile(`${folder}/a/b/model.safetensors`), WEIGHTS);
});

Deno.test("four files come at once", async () => {
  const files = Object.fromEntries(
    Array.from({ length: 6 }, (_, i) => [`${i}.bin`, someBytes(100, i)]),
  );
  const arrived = Promise.withResolvers<void>();
  const tooLate = setTimeout(() => arrived.reject(new Error("fewer than four came")), 3000);
  let count = 0;
  const route = faulty(createDownloadRoute(), async (response) => {
    if (++count === 4) arrived.resolve();
    await arrived.promise;
    return response;
  }, { times: 4 });
  await using scene = await setScene({ files }, [route.route]);
  const retry = { ...QUICK, attempts: 1 };
  await (await scene.open({ retry })).download(Object.keys(files));
  clearTimeout(tooLate);
  assertEquals(count, 4);
});

Deno.test("branches, tags and commits are revisions, and a moved one fetches what changed", async () => {
  await using scene = await setScene({ files: FILES });
  const { stored, store } = scene;
  const first = stored.commits[0]!.oid;
  stored.refs.set("v1", first).set("refs/pr/1", first);
  await (await scene.open()).download(PATHS);
  const second = store.commit(stored, "second", { "config.json": '{"a": 1}' }).oid;
  const before = fileRequests(scene).length;
  const folder = await (await scene.open()).download(PATHS);
  assertEquals(await Deno.readTextFile(`${folder}/config.json`), '{"a": 1}');
  assertEquals(fileRequests(scene).length - before, 1);
  for (const revision of ["v1", "refs/pr/1", first]) {
    const old = await scene.open({}, revision);
    assertEquals(old.commit, first);
    const text = await Deno.readTextFile(`${await old.download(PATHS)}/config.json`);
    assertEquals(text, "{}");
  }
  assertEquals(await layout(`${repositoryFolder(scene)}/refs`), ["main", "refs/pr/1", "v1"]);
  assertEquals((await scene.open({ isOffline: true })).commit, second);
  assertEquals((await scene.open({ isOffline: true }, "v1")).commit, first);
});

Deno.test("cached files need no network, and others are named", async () => {
  const scene = await setScene({ files: FILES });
  const [, ...some] = PATHS;
  const folder = await (await scene.open()).download(some);
  const seen = scene.hub.seen.length;
  const offline = await scene.open({ isOffline: true });
  assertEquals(await offline.download(some), folder);
  assertEquals(scene.hub.seen.length, seen);
  await scene.hub[Symbol.asyncDispose](); // from here on nothing answers
  for (const options of [{ isOffline: true }, {}]) {
    const repository = await scene.open(options);
    assertEquals(await repository.download(some), folder);
    const reader = await repository.open("a/b/model.safetensors");
    assertEquals(new Uint8Array(await reader.slice(5, 9)), WEIGHTS.slice(5, 9));
    const text = await failure(repository.download(PATHS));
    assertStringIncludes(text, '"config.json" of model "someone/small" without a network');
    assertStringIncludes(text, options.isOffline ? "Unset HF_HUB_OFFLINE" : "did not answer");
    assertStringIncludes(await failure(repository.open("config.json")), "without a network");
    assertStringIncludes(await failure(repository.open("none.json")), "without a network");
  }
  const elsewhere = { kind: "model", name: "someone/else" } as const;
  assertStringIncludes(
    await failure(openRepository(elsewhere, { ...scene.options, isOffline: true })),
    'found no download of revision "main"',
  );
  assertStringIncludes(
    await failure(openRepository(elsewhere, scene.options)),
    "Check the network; HF_HUB_OFFLINE=1",
  );
  await Deno.remove(scene.cacheFolder, { recursive: true });
});

Deno.test("a failed download of a new commit leaves the last one for offline use", async () => {
  let isFaulty = false;
  const route = createDownloadRoute();
  const fault = faulty(route, cutAfter(0), { on: (_, { pathname }) => pathname.includes("/cdn/") });
  await using scene = await setScene({ files: FILES }, [
    (request, store) => (isFaulty ? fault.route : route)(request, store),
  ]);
  await (await scene.open()).download(PATHS);
  scene.store.commit(scene.stored, "second", { "a/b/model.safetensors": someBytes(5000, 9) });
  isFaulty = true;
  await failure(scene.open().then((repository) => repository.download(PATHS)));
  const offline = await scene.open({ isOffline: true });
  assertEquals(offline.commit, scene.stored.commits[0]!.oid);
  await offline.download(PATHS);
});

async function failure(promise: Promise<unknown>): Promise<string> {
  return (await assertRejects(() => promise, HubError)).message;
}

Deno.test("errors say what to do", async () => {
  await using scene = await setScene({ files: FILES });
  const { store, options, hub } = scene;
  store.addRepository({ kind: "model", name: "someone/secret", isPrivate: true });
  store.addRepository({ kind: "dataset", name: "someone/terms", isGated: true, files: FILES });
  const ask = (name: string, more: HubOptions = {}, revision = "main") =>
    failure(
      openRepository({ kind: "model", name, revision }, { ...options, ...more }),
    );
  const wrong = "hf_wrongwrongwrong";
  const page = `${hub.endpoint}/someone`;
  const cases: [string, string[]][] = [
    [await ask("someone/none"), ["no such repository", `${page}/none`, "token may read"]],
    [await ask("someone/none", { token: "" }), ["if it is private, set HF_TOKEN"]],
    [await ask("someone/secret", { token: "" }), ["private", "set HF_TOKEN"]],
    [await ask("someone/small", { token: wrong }), ["refused the token", "/settings/tokens"]],
    [await ask("someone/small", {}, "v9"), ['no revision "v9"', `${page}/small/tree/main`]],
    [await ask("small"), ['expected "owner/name"']],
    [await ask("someone/small", {}, "../../x"), ["found no name of a revision"]],
    [await ask("someone/small", { endpoint: "huggingface.co" }), ['HF_ENDPOINT "huggingface.co"']],
    [await ask("someone/small", { token: "hf_a\nb" }), ["characters that no token has"]],
    [await failure((await scene.open()).download(["x.bin"])), [
      'no such file at revision "main", expected one of "a/b/model.safetensors"',
    ]],
  ];
  const terms = { kind: "dataset", name: "someone/terms" } as const;
  const gated = await openRepository(terms, { ...options, token: "" });
  const reader = await gated.open("config.json");
  for (const attempt of [() => gated.download(PATHS), () => reader.slice(0)]) {
    cases.push([await failure(attempt()), [
      `Visit ${hub.endpoint}/datasets/someone/terms`,
      "HF_TOKEN",
    ]]);
  }
  for (const [text, parts] of cases) {
    for (const part of parts) assertStringIncludes(text, part);
    for (const secret of [store.token, wrong]) assert(!text.includes(secret), text);
  }
  await openRepository(terms, options).then((repository) => repository.download(PATHS));
});

Deno.test("HubError has the status", async () => {
  await using scene = await setScene({ files: FILES });
  const error = await assertRejects(() => scene.open({ token: "" }, "none"), HubError);
  assertEquals(error.status, 404);
});

Deno.test("the token goes to the Hub only", async () => {
  await using other = await setScene({});
  const route = createDownloadRoute();
  const away = faulty(
    route,
    (response, request) =>
      redirectedTo((url) => `${other.hub.endpoint}${url.pathname}`)(response, request),
    { on: (_, url) => url.pathname.endsWith("config.json") },
  );
  const paging = faulty(away.route, (response) => {
    response.headers.set("Link", `<${other.hub.endpoint}/next?a=b>; rel="next"`);
    return response;
  }, { on: (_, url) => url.pathname.includes("/tree/"), times: 1 });
  await using scene = await setScene({ files: FILES }, [paging.route]);
  await failure(scene.open()); // the other server has no next page
  const repository = await scene.open();
  await repository.download(["a/b/model.safetensors"]);
  await (await repository.open("a/b/model.safetensors")).slice(0, 10);
  const text = await failure(repository.download(["config.json"]));
  assert(!text.includes(scene.store.token));
  assertEquals(contentRequests(scene.hub), ["model.safetensors"]);
  const withToken = scene.hub.seen.filter(({ headers }) => headers.has("Authorization"));
  assertEquals(withToken.length, scene.hub.seen.length - 1); // all but the one to the CDN
  assertEquals(other.hub.seen.length, 2);
  assert(other.hub.seen.every(({ headers }) => !headers.has("Authorization")));
});

Deno.test("listings that lead out of the folder, or name no hash, are refused", async () => {
  const paths = ["../x", "/etc/x", "a/../../x", "a//b", "a\\b", "", "a/./b", ".", "a/", "x\0y"];
  const wrong = [
    ...paths.map((path) => ({ path })),
    { oid: "../../../x" },
    { oid: "ABC" },
    { lfs: { oid: "../x", size: 5, pointerSize: 100 } },
    { size: -1 },
    { size: 0.5 },
  ];
  for (const change of wrong) {
    await using scene = await setScene({ files: FILES }, [
      createDownloadRoute({
        listing: (entries) =>
          entries.map((entry) => entry.path === "config.json" ? { ...entry, ...change } : entry),
      }),
    ]);
    assertStringIncludes(await failure(scene.open()), "Cannot use the repository");
    assertEquals(await namesIn(scene.cacheFolder), []);
  }
});

Deno.test("a listing with a wrong hash or size is reported, and not kept", async () => {
  const other = sha256(someBytes(3));
  for (
    const [change, expected] of [
      [{ lfs: { oid: other, size: 100_000, pointerSize: 100 } }, `expected ${other}`],
      [{ lfs: { oid: sha256(WEIGHTS), size: 99_999, pointerSize: 100 } }, "expected 99999"],
      [{ lfs: { oid: sha256(WEIGHTS), size: 100_001, pointerSize: 100 } }, "expected 100001"],
    ] as const
  ) {
    let isWrong = true;
    await using scene = await setScene({ files: FILES }, [
      createDownloadRoute({
        listing: (entries) =>
          entries.map((entry) => isWrong && entry.lfs ? { ...entry, ...change } : entry),
      }),
    ]);
    await (await scene.open()).download(["config.json"]); // keeps the wrong listing
    const text = await failure((await scene.open()).download(PATHS));
    assertStringIncludes(text, expected);
    await assertSound(scene.cacheFolder, scene.stored);
    isWrong = false;
    await (await scene.open()).download(PATHS);
  }
});

Deno.test("a remembered listing with a page lost is not believed", async () => {
  await using scene = await setScene({ files: FILES });
  await (await scene.open()).download(["config.json"]);
  const tree = `${repositoryFolder(scene)}/trees/${scene.stored.commits[0]!.oid}.json`;
  const whole = await Deno.readTextFile(tree);
  const { files, ...rest } = JSON.parse(whole);
  delete files["a/b/model.safetensors"];
  await Deno.writeTextFile(tree, JSON.stringify({ ...rest, files }));
  await (await scene.open()).download(PATHS);
  assertEquals(await Deno.readTextFile(tree), whole);
});

Deno.test("a Hub that does not tell names is believed, and its listing not remembered", async () => {
  const { route } = faulty(createDownloadRoute(), async (response) => {
    const { siblings: _, ...info } = await response.json();
    return Response.json(info);
  }, { on: (_, { pathname }) => pathname.includes("/revision/") });
  await using scene = await setScene({ files: FILES }, [route]);
  await (await scene.open()).download(PATHS);
  assertEquals(await namesIn(`${repositoryFolder(scene)}/trees`), []);
  await (await scene.open({ isOffline: true })).download(PATHS);
});

Deno.test("a cache folder that is damaged is named, with what to do", async () => {
  const long = `${"x".repeat(300)}.json`;
  const cases: [string, (folder: string, commit: string) => Promise<unknown>, string][] = [
    ["blobs is a file", (folder) => Deno.writeTextFile(`${folder}/blobs`, ""), "in the way"],
    [
      "snapshots is a file",
      (folder) => Deno.writeTextFile(`${folder}/snapshots`, ""),
      "in the way",
    ],
    ["refs is a file", (folder) => Deno.writeTextFile(`${folder}/refs`, ""), "in the way"],
    [
      "a file is a folder",
      (folder, commit) =>
        Deno.mkdir(`${folder}/snapshots/${commit}/config.json/x`, { recursive: true }),
      "in the way",
    ],
    ["a link to itself", (folder) => Deno.symlink("refs", `${folder}/refs`), "in the way"],
    ["a name over 255 bytes", () => Promise.resolve(), "at most 255 bytes"],
  ];
  for (const [name, harm, expected] of cases) {
    const isLong = name.startsWith("a name");
    await using scene = await setScene({ files: isLong ? { [long]: "{}" } : FILES });
    await Deno.mkdir(repositoryFolder(scene), { recursive: true });
    await harm(repositoryFolder(scene), scene.stored.commits[0]!.oid);
    const attempt = scene.open().then((repository) =>
      repository.download([isLong ? long : "config.json"])
    );
    const text = await failure(attempt);
    assertStringIncludes(text, "Cannot use the cache folder");
    assertStringIncludes(text, expected, name);
    assert(text.length < 700, text);
  }
  await using scene = await setScene({ files: FILES });
  const cacheFolder = `${scene.cacheFolder}/file`;
  await Deno.writeTextFile(cacheFolder, "");
  const text = await failure(scene.open({ cacheFolder }).then((one) => one.download(PATHS)));
  assertStringIncludes(text, "Not a directory");
});

Deno.test("Retry-After is waited for", async () => {
  const storm = faulty(createDownloadRoute(), statusOf(429, { "Retry-After": "1" }), {
    on: toApi,
    times: 1,
  });
  await using scene = await setScene({ files: FILES }, [storm.route]);
  const start = performance.now();
  await scene.open();
  assert(performance.now() - start >= 1000);
});

Deno.test("small files have Git's hash as their name", () => {
  assertEquals(gitBlobId(new TextEncoder().encode("{}")), CONFIG_ETAG);
});
