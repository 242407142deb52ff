// Tests of downloads over bad networks: every fault ends in success or a clear error, within bounds,
// with nothing damaged in the cache, and the next download succeeds.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { HubError } from "../../data/hub.ts";
import { createDownloadRoute, sha256 } from "../hub/download_routes.ts";
import {
  breakingPort,
  corruptedAt,
  cutAfter,
  endless,
  type FaultOptions,
  faulty,
  type Harm,
  packed,
  redirectedTo,
  replacedBy,
  slowly,
  stalledAfter,
  statusOf,
  toApi,
  truncatedTo,
  withHeader,
  withoutRanges,
} from "../hub/faults.ts";
import { HubStore } from "../hub/store.ts";
import { assertSound, HASTY, namesIn, QUICK, setScene, someBytes } from "../hub/scene.ts";

const WEIGHTS = someBytes(200_000);
const FILES = { "config.json": '{"a": 1}', "model.safetensors": WEIGHTS };
const tenths = Array.from({ length: 11 }, (_, tenth) => tenth * WEIGHTS.length / 10);

const SUCCESS = "the files came";

interface Case {
  name: string;
  harms: Harm[];
  options?: FaultOptions;
  /** Gives up on silence soon. */
  isHasty?: true;
  /** Gives up on slowness soon. */
  isBusy?: true;
  /** SUCCESS, or a part of the error. */
  expected: string;
}

/** Where nobody listens. */
function closedPort(): number {
  using listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  return listener.addr.port;
}

const broken = breakingPort();
globalThis.addEventListener("unload", () => broken[Symbol.dispose]());
const { token } = new HubStore();

const once = { times: 1 };
/** A listing whose next page is elsewhere. */
function linkedTo(target: (url: URL) => string): Harm {
  return (response, request) => {
    response.headers.set("Link", `<${target(new URL(request.url))}>; rel="next"`);
    return response;
  };
}

/** Packed in a way that nobody knows. */
function encodedBy(name: string): Harm {
  return async (response, request) => {
    const cut = await truncatedTo(50)(response, request);
    cut.headers.set("Content-Encoding", name);
    return cut;
  };
}

/** A listing without one file. */
function without(path: string): Harm {
  return async (response) => {
    const entries: { path: string }[] = await response.json();
    return Response.json(entries.filter((entry) => entry.path !== path));
  };
}

const BUSY = { ...QUICK, slowMilliseconds: 100, leastBytesPerSecond: 500_000 };

const toTree = { on: (_: Request, url: URL) => url.pathname.includes("/tree/") }.on;
const toFile = { on: (_: Request, url: URL) => url.pathname.includes("/resolve/") };
const cases: Case[] = [
  {
    name: "connection cut at every tenth, once",
    harms: tenths.map(cutAfter),
    options: once,
    expected: SUCCESS,
  },
  {
    name: "connection cut at every tenth, three times",
    harms: tenths.map(cutAfter),
    options: { times: 3 },
    expected: SUCCESS,
  },
  {
    name: "connection cut after a tenth, again and again",
    harms: [cutAfter(WEIGHTS.length / 10)],
    expected: SUCCESS,
  },
  {
    name: "connection cut before the first byte, always",
    harms: [cutAfter(0)],
    expected: "expected an answer",
  },
  {
    name: "body truncated at every tenth, once",
    harms: tenths.map(truncatedTo),
    options: once,
    expected: SUCCESS,
  },
  {
    name: "body empty, always",
    harms: [truncatedTo(0)],
    expected: "found an end after 0 bytes",
  },
  {
    name: "a byte corrupted at every tenth, once",
    harms: tenths.map(corruptedAt),
    options: once,
    expected: SUCCESS,
  },
  {
    name: "a byte corrupted at every tenth, always",
    harms: tenths.map(corruptedAt),
    expected: "found hash",
  },
  {
    name: "wrong Content-Length, once",
    harms: [1, 1000, 199_999, 200_001, 1e12].map((n) => withHeader("Content-Length", String(n))),
    options: once,
    expected: SUCCESS,
  },
  {
    name: "wrong Content-Length, always",
    harms: [1000, 199_999, 200_001].map((n) => withHeader("Content-Length", String(n))),
    expected: "expected 200000",
  },
  // What there is too much of is right up to there.
  { name: "a body without an end", harms: [endless()], expected: SUCCESS },
  {
    name: "other bytes of the right length, always",
    harms: [replacedBy("x".repeat(WEIGHTS.length))],
    expected: "found hash",
  },
  {
    name: "silence at every tenth, once",
    harms: tenths.map(stalledAfter),
    options: once,
    isHasty: true,
    expected: SUCCESS,
  },
  {
    name: "silence, always",
    harms: [stalledAfter(0)],
    isHasty: true,
    expected: "found no bytes for 0.15",
  },
  { name: "a slow body", harms: [slowly(20_000, 20)], expected: SUCCESS },
  {
    name: "a page instead of the file, once",
    harms: [replacedBy("<html>sign in"), replacedBy("")],
    options: once,
    expected: SUCCESS,
  },
  {
    name: "a page instead of the file, always",
    harms: [replacedBy("<html>sign in")],
    expected: "length of 13 bytes",
  },
  {
    name: "a page instead of the listing, always",
    harms: [replacedBy("<html>sign in")],
    options: { on: toApi },
    expected: "no JSON",
  },
  {
    name: "a listing cut, truncated or corrupted, once",
    harms: [cutAfter(0), cutAfter(50), truncatedTo(50), corruptedAt(0)],
    options: { on: toApi, times: 1 },
    expected: SUCCESS,
  },
  {
    name: "429 and 5xx, the first three times, anywhere",
    harms: [429, 500, 502, 503, 504, 408].map((status) => statusOf(status)),
    options: { on: () => true, times: 3 },
    expected: SUCCESS,
  },
  {
    name: "a signed address that has run out, once",
    harms: [statusOf(403)],
    options: once,
    expected: SUCCESS,
  },
  {
    name: "a CDN that refuses, always",
    harms: [statusOf(403), statusOf(401), statusOf(404)],
    expected: "from http://localhost:",
  },
  {
    name: "429 and 503 storms without an end",
    harms: [statusOf(429), statusOf(503), statusOf(503, { "Retry-After": "0" })],
    options: { on: () => true },
    expected: "asked 4 times",
  },
  {
    name: "Retry-After too long to wait for",
    harms: [statusOf(429, { "Retry-After": "3600" }), statusOf(503, { "Retry-After": "9999999" })],
    options: { on: () => true },
    expected: "it asks to wait",
  },
  {
    name: "a CDN that is down, once",
    harms: [redirectedTo(() => `http://127.0.0.1:${closedPort()}/x?Signature=secret`)],
    options: { ...toFile, times: 1 },
    expected: SUCCESS,
  },
  {
    name: "a CDN that is down, always",
    harms: [redirectedTo(() => `http://127.0.0.1:${closedPort()}/x?Signature=secret`)],
    options: toFile,
    expected: "expected an answer",
  },
  {
    name: "a CDN that breaks connections, always",
    harms: [
      `http://127.0.0.1:${broken.port}/x?X-Amz-Signature=secret`,
      `http://user:Signature@127.0.0.1:${broken.port}/x`,
      `http://127.0.0.1:1/x?X-Amz-Signature=secret`,
    ].map((target) => redirectedTo(() => target)),
    options: toFile,
    expected: "expected an answer",
  },
  {
    name: "a server that says the token",
    harms: [401, 403, 404, 400, 500].map((status) =>
      statusOf(status, { "X-Error-Message": `no ${token}`, "X-Error-Code": `no ${token}` })
    ),
    options: { on: () => true },
    expected: "found ",
  },
  {
    name: "a server that says the token where none is looked for",
    harms: [redirectedTo(() => `hf-x:${token}`), encodedBy(token)],
    options: toFile,
    expected: "expected ",
  },
  {
    name: "a body that trickles, once",
    harms: [slowly(1000, 30), slowly(10, 10)],
    options: once,
    isBusy: true,
    expected: SUCCESS,
  },
  {
    name: "a listing that trickles, always",
    harms: [slowly(2, 10)],
    options: { on: toApi },
    isBusy: true,
    expected: "bytes a second for ",
  },
  {
    name: "packed answers, always, anywhere",
    harms: (["gzip", "deflate", "brotli"] as const).map((format) => packed(format)),
    options: {
      on: (_, { pathname }) => !pathname.includes("/resolve/") || pathname.endsWith("json"),
    },
    expected: SUCCESS,
  },
  {
    name: "an unknown packing, always",
    harms: [encodedBy("zstd")],
    expected: 'found the encoding "zstd"',
  },
  {
    name: "a packed file that is called packed",
    harms: [withHeader("Content-Encoding", "gzip"), withHeader("Content-Encoding", "zstd")],
    expected: SUCCESS,
  },
  {
    name: "what says that it is packed and is not, once",
    harms: [withHeader("Content-Encoding", "gzip"), withHeader("Content-Encoding", "br")],
    options: { on: toApi, times: 1 },
    expected: SUCCESS,
  },
  {
    name: "a listing of another shape, always",
    harms: ["null", "[]", "{}", '"x"', "7", '{"sha": 7}', '{"sha": ["a"]}', "[[[[]]]]"]
      .map(replacedBy),
    options: { on: toApi },
    expected: "Is HF_ENDPOINT a Hub?",
  },
  {
    name: "a tree of another shape, always",
    harms: ["null", "{}", '"x"', "[null]", "[7]", '[{"path": 7}]', '[{"type": "file"}]', "[[]]"]
      .map(replacedBy),
    options: { on: toTree },
    expected: "found ",
  },
  {
    name: "an answer of 40 MB, always",
    harms: [replacedBy(`[${"7,".repeat(2e7)}7]`)],
    options: { on: toApi },
    expected: "more than 33554432 bytes",
  },
  {
    name: "pages without an end, always",
    harms: [
      linkedTo((url) => url.href),
      linkedTo((url) => `${url.origin}${url.pathname}?cursor=${Math.random()}`),
    ],
    options: { on: toTree },
    expected: "without an end",
  },
  {
    name: "a next page that is no web address, always",
    harms: ["file:///etc/passwd", "data:,[]"].map((target) => linkedTo(() => target)),
    options: { on: toTree },
    expected: "expected one to http or https",
  },
  {
    name: "a page of the listing that is lost, once",
    harms: [replacedBy("[]"), ...["config.json", "model.safetensors"].map(without)],
    options: { on: toTree, times: 1 },
    expected: SUCCESS,
  },
  {
    name: "a page of the listing that is lost, always",
    harms: [replacedBy("[]"), ...["config.json", "model.safetensors"].map(without)],
    options: { on: toTree },
    expected: "that are there",
  },
  {
    name: "redirect loops",
    harms: [redirectedTo((url) => url.href), redirectedTo(({ pathname }) => `${pathname}?a`)],
    options: { on: () => true },
    expected: "more than 10 redirects",
  },
  {
    name: "redirects to no web address",
    harms: ["file:///etc/passwd", "data:,x", "http://[", "ftp://x/"].map((target) =>
      redirectedTo(() => target)
    ),
    options: toFile,
    expected: "expected one to http or https",
  },
];

interface Outcome {
  text: string;
  milliseconds: number;
}

async function outcomeOf(harm: Harm, { options, isHasty, isBusy }: Case): Promise<Outcome> {
  const fault = faulty(createDownloadRoute(), harm, options);
  let isFaulty = true;
  const whole = createDownloadRoute();
  await using scene = await setScene({ files: FILES }, [
    (request, store) => isFaulty ? fault.route(request, store) : whole(request, store),
  ]);
  const paths = Object.keys(FILES);
  const start = performance.now();
  const text = await scene.open({ retry: isHasty ? HASTY : isBusy ? BUSY : QUICK }).then((
    repository,
  ) => repository.download(paths)).then(
    () => SUCCESS,
    (error) => {
      assert(error instanceof HubError, `${error?.stack}`);
      const shown = Deno.inspect(error, { depth: 9 });
      assert(!shown.includes(token) && !/Signature|hf_test/.test(shown), shown);
      return error.message;
    },
  );
  const milliseconds = performance.now() - start;
  assert(fault.harmed > 0, "the fault did not happen");
  assert(!text.includes(scene.store.token) && !text.includes("Signature"), text);
  await assertSound(scene.cacheFolder, scene.stored);
  isFaulty = false;
  const folder = await (await scene.open()).download(paths);
  assertEquals(sha256(await Deno.readFile(`${folder}/model.safetensors`)), sha256(WEIGHTS));
  const blobs = await namesIn(`${scene.cacheFolder}/models--someone--small/blobs`);
  assertEquals(blobs.filter((name) => name.endsWith(".incomplete")), []);
  return { text, milliseconds };
}

const table: string[] = [];

for (const fault of cases) {
  const { name, harms, expected } = fault;
  Deno.test(`a download survives or reports: ${name}`, async () => {
    let successes = 0, errors = 0, slowest = 0;
    for (const harm of harms) {
      const { text, milliseconds } = await outcomeOf(harm, fault);
      if (expected === SUCCESS) assertEquals(text, SUCCESS);
      else assertStringIncludes(text, expected);
      if (text === SUCCESS) successes++;
      else errors++;
      slowest = Math.max(slowest, milliseconds);
      assert(milliseconds < 10_000, `${milliseconds} ms`);
    }
    table.push(
      `| ${name} | ${harms.length} | ${successes} | ${errors} | 0 | ${Math.round(slowest)} |`,
    );
  });
}

globalThis.addEventListener("unload", () => {
  console.log("| fault | runs | succeeded | clear error | damaged cache | slowest, ms |");
  console.log("| --- | --- | --- | --- | --- | --- |");
  console.log(table.join("\n"));
});

/** Cuts the first body; harms the second, which should be the rest of it. */
async function resumeAgainst(harm: Harm) {
  const harmed = faulty(createDownloadRoute(), harm, {
    on: ({ headers }, url) => url.pathname.startsWith("/cdn/") && headers.has("Range"),
    times: 1,
  });
  const cut = faulty(harmed.route, cutAfter(50_000), { times: 1 });
  await using scene = await setScene({ files: FILES }, [cut.route]);
  const folder = await (await scene.open()).download(["model.safetensors"]);
  assertEquals(harmed.harmed, 1);
  assertEquals(await Deno.readFile(`${folder}/model.safetensors`), WEIGHTS);
  return scene.hub.seen.filter(({ path }) => path.startsWith("/cdn/"))
    .map(({ headers }) => headers.get("Range"));
}

Deno.test("a resumed download gets over answers other than the rest", async () => {
  const rest = "bytes=50000-";
  assertEquals(await resumeAgainst(withoutRanges(WEIGHTS)), [null, rest]);
  for (const range of ["bytes 0-9/10", "bytes 50001-199999/200000", "nonsense"]) {
    assertEquals(await resumeAgainst(withHeader("Content-Range", range)), [null, rest, rest]);
  }
  assertEquals(await resumeAgainst(statusOf(416)), [null, rest, null]);
  assertEquals(await resumeAgainst(corruptedAt(0)), [null, rest, null]);
  assertEquals(await resumeAgainst(packed("gzip")), [null, rest]);
  assertEquals(await resumeAgainst(packed("gzip", true)), [null, rest, null]);
});
