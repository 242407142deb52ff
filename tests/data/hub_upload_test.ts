// Tests of data/hub/upload.ts against the local Hub: what arrives, what is asked again, and every refusal in words.
import { assert, assertEquals, assertMatch, assertRejects } from "@std/assert";
import { HubError } from "../../data/hub/errors.ts";
import { PATIENT } from "../../data/hub/retry.ts";
import { requireWriteAccess } from "../../data/hub/write_access.ts";
import { type UploadFile, uploadFiles, type UploadProgress } from "../../data/hub/upload.ts";
import { breakingPort } from "../hub/faults.ts";
import { type HubServer, type Route, startHub } from "../hub/server.ts";
import { HubStore } from "../hub/store.ts";
import { uploadRoute } from "../hub/upload_routes.ts";

const RETRY = {
  ...PATIENT,
  attempts: 5,
  firstDelayMilliseconds: 2,
  longestDelayMilliseconds: 10,
  longestRetryAfterMilliseconds: 2000,
  stallMilliseconds: 5000,
};

const folder = await Deno.makeTempDir();
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));

/** Bytes that look random but are always the same. */
function noise(length: number): Uint8Array<ArrayBuffer> {
  let state = length;
  return Uint8Array.from({ length }, () => (state = state * 1103515245 + 12345 >>> 0) >>> 24);
}

/** One small file, one that is sent whole and one that is sent in parts. */
const CONTENTS = {
  "README.md": new TextEncoder().encode("# A model\n"),
  "tokenizer.json": noise(50_000),
  "model.safetensors": noise(300_000),
};

const FILES: UploadFile[] = await Promise.all(
  Object.entries(CONTENTS).map(async ([path, bytes]) => {
    await Deno.writeFile(`${folder}/${path}`, bytes);
    const content = path === "README.md" ? new Blob([bytes]) : new URL(`file://${folder}/${path}`);
    return { path, content, bytes: bytes.length };
  }),
);

interface Settings {
  readonly name?: string;
  readonly token?: string | undefined;
  readonly isPrivate?: boolean;
  readonly onProgress?: (progress: UploadProgress) => void;
  readonly stallMilliseconds?: number;
}

async function upload(hub: HubServer, settings: Settings = {}) {
  const { name = "me/model", isPrivate = false, onProgress, stallMilliseconds = 5000 } = settings;
  return await uploadFiles(name, FILES, {
    endpoint: hub.endpoint,
    token: "token" in settings ? settings.token : new HubStore().token,
    retry: { ...RETRY, stallMilliseconds },
    isPrivate,
    message: "Upload a model",
    onProgress,
  });
}

/** Asserts that all files arrived, byte for byte, in the newest commit. */
function assertArrived(store: HubStore, name = "me/model"): void {
  const commit = store.find("model", name)!.commits.at(-1)!;
  for (const [path, bytes] of Object.entries(CONTENTS)) assertEquals(commit.files.get(path), bytes);
}

/** Answers the first `times` requests that `isMeant` matches. */
function fault(
  times: number,
  isMeant: (request: Request) => boolean,
  answer: (request: Request) => Promise<Response> | Response,
): Route {
  let left = times;
  return async (request) => {
    if (left === 0 || !isMeant(request)) return undefined;
    left--;
    return await answer(request);
  };
}

async function refuse(request: Request, status: number, headers = {}): Promise<Response> {
  await request.body?.cancel();
  return new Response("<html>busy</html>", { status, headers });
}

Deno.test("uploadFiles() makes a repository and commits files of every size, byte for byte", async () => {
  const store = new HubStore();
  await using hub = startHub(store, [uploadRoute]);
  const seen: UploadProgress[] = [];
  const { url, commit } = await upload(hub, { onProgress: (progress) => seen.push(progress) });
  assertEquals(url, `${hub.endpoint}/me/model`);
  const repository = store.find("model", "me/model")!;
  assertEquals([repository.isPrivate, commit], [false, repository.commits.at(-1)!.oid]);
  assertEquals(repository.commits.at(-1)!.title, "Upload a model");
  assertArrived(store);
  assertEquals(new Set(seen.map(({ phase }) => phase)).size, 3);
  const last = seen.at(-1)!;
  assertEquals([last.doneBytes, last.secondsLeft], [last.totalBytes, 0]);
  assert(seen.every(({ doneBytes, totalBytes }) => doneBytes <= totalBytes));
});

Deno.test("uploadFiles() sends the token to the Hub only", async () => {
  const store = new HubStore();
  await using hub = startHub(store, [uploadRoute]);
  await upload(hub);
  const toStorage = hub.seen.filter(({ path }) => path.startsWith("/storage/"));
  assertEquals(toStorage.length, 1 + 3);
  assert(toStorage.every(({ headers }) => !headers.has("Authorization")));
  const others = hub.seen.filter(({ path }) => !path.startsWith("/storage/"));
  assert(others.some(({ headers }) => headers.get("Authorization") === `Bearer ${store.token}`));
});

Deno.test("uploadFiles() adds a commit to a repository that is there, and sends no large file twice", async () => {
  const store = new HubStore();
  await using hub = startHub(store, [uploadRoute]);
  await upload(hub);
  hub.seen.length = 0;
  await upload(hub);
  assertEquals(store.find("model", "me/model")!.commits.length, 3);
  assertEquals(hub.seen.filter(({ method }) => method === "PUT"), []);
  assertArrived(store);
});

Deno.test("uploadFiles() makes a private repository, and refuses a public one where a private one is asked for", async () => {
  const store = new HubStore();
  await using hub = startHub(store, [uploadRoute]);
  await upload(hub, { isPrivate: true });
  assertEquals(store.find("model", "me/model")!.isPrivate, true);
  await upload(hub, { isPrivate: true });
  assertArrived(store);
  store.addRepository({ kind: "model", name: "me/public" });
  const error = await assertRejects(
    () => upload(hub, { name: "me/public", isPrivate: true }),
    HubError,
  );
  assertMatch(error.message, /found a public repository.*me\/public\/settings/);
  assertEquals(store.find("model", "me/public")!.commits.length, 1);
});

Deno.test("uploadFiles() asks again through storms of 429 and 503, everywhere", async () => {
  for (const status of [429, 500, 503]) {
    for (const path of ["create", "preupload", "batch", "/storage/", "complete", "commit"]) {
      const store = new HubStore();
      const storm = fault(
        3,
        ({ url }) => url.includes(path),
        (request) => refuse(request, status, { "Retry-After": "0" }),
      );
      await using hub = startHub(store, [storm, uploadRoute]);
      await upload(hub);
      assertArrived(store);
      assert(hub.seen.filter((request) => request.path.includes(path)).length > 3, path);
    }
  }
});

Deno.test("uploadFiles() waits as long as a server asks it to", async () => {
  const store = new HubStore();
  const busy = fault(1, () => true, (request) => refuse(request, 429, { "Retry-After": "1" }));
  await using hub = startHub(store, [busy, uploadRoute]);
  const start = performance.now();
  await upload(hub);
  assert(performance.now() - start >= 1000);
});

Deno.test("uploadFiles() sends a part again when its connection is cut in the middle", async () => {
  const store = new HubStore();
  await using hub = startHub(store, [uploadRoute]);
  await using proxy = cuttingProxy(Number(new URL(hub.endpoint).port), 60_000, 2);
  const counts: number[] = [];
  const endpoint = `http://127.0.0.1:${proxy.port}`;
  await uploadFiles("me/model", FILES, {
    endpoint,
    token: store.token,
    retry: RETRY,
    isPrivate: false,
    message: "Upload",
    onProgress: ({ doneBytes, totalBytes }) => counts.push(doneBytes / totalBytes),
  });
  assertEquals(proxy.cuts, 2);
  assertArrived(store);
  assertEquals(Math.max(...counts), 1);
});

interface Proxy extends AsyncDisposable {
  readonly port: number;
  readonly cuts: number;
}

/** Hands connections on to the server, and cuts the first `cuts` of those through which `bytes` bytes have gone. */
function cuttingProxy(target: number, bytes: number, cuts: number): Proxy {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const open = new Set<Deno.TcpConn>();
  let done = 0;
  const close = (connection: Deno.TcpConn) => open.delete(connection) && connection.close();
  const forward = async (
    from: Deno.TcpConn,
    to: Deno.TcpConn,
    isCut: (bytes: number) => boolean,
  ) => {
    const buffer = new Uint8Array(16_384);
    try {
      for (let count = await from.read(buffer); count; count = await from.read(buffer)) {
        if (isCut(count)) break;
        for (let at = 0; at < count;) at += await to.write(buffer.subarray(at, count));
      }
    } catch {
      // One of them is closed.
    }
    close(from);
    close(to);
  };
  const serve = async (client: Deno.TcpConn) => {
    const server = await Deno.connect({ hostname: "127.0.0.1", port: target });
    open.add(client).add(server);
    let count = 0;
    const isCut = (more: number) => (count += more) > bytes && done < cuts && ++done > 0;
    await Promise.all([forward(client, server, isCut), forward(server, client, () => false)]);
  };
  const all = (async () => {
    const running: Promise<void>[] = [];
    for await (const client of listener) running.push(serve(client));
    await Promise.all(running);
  })();
  return {
    port: listener.addr.port,
    get cuts() {
      return done;
    },
    [Symbol.asyncDispose]: async () => {
      listener.close();
      open.forEach(close);
      await all;
    },
  };
}

Deno.test("uploadFiles() gives up on a server that never answers", async () => {
  const store = new HubStore();
  const { promise: forever, resolve } = Promise.withResolvers<Response>();
  const silent: Route = fault(99, ({ url }) => url.includes("create"), () => forever);
  await using deaf = startHub(store, [silent]);
  const error = await assertRejects(() => upload(deaf, { stallMilliseconds: 40 }), HubError);
  assertMatch(error.message, /nothing moved for 0.04 seconds.*asked 5 times/);
  resolve(new Response());
});

const broken = breakingPort();
addEventListener("unload", () => broken[Symbol.dispose]());

for (
  const [why, settings, routes, status, message] of [
    ["no token", { token: undefined }, [], undefined, /found no token.*settings\/tokens.*HF_TOKEN/],
    ["no possible token", { token: "secret-word" }, [], undefined, /does not begin with "hf_"/],
    ["a wrong token", { token: "hf_wrong" }, [], 401, /does not know the token.*settings\/tokens/],
    ["another's name", { name: "others/model" }, [], 403, /may not write there.*"You don't have/],
    ["a race", {}, [answering("commit", 412)], 412, /another commit at the same time.*Push again/],
    ["a long storm", {}, [answering("batch", 503)], 503, /status 503.*asked 5 times/],
    [
      "storage that refuses",
      {},
      [answering("/storage/", 403)],
      403,
      /status 403.* from the Hub's storage/,
    ],
    ["broken storage", {}, [brokenStorage], undefined, /by 127\.0\.0\.1:\d+: found ".+", expected/],
    ["a batch of another shape", {}, [saying("batch", "null")], undefined, /none of a Hub's/],
    ["a plan of another shape", {}, [saying("preupload", "[7]")], undefined, /none of a Hub's/],
    ["a commit of another shape", {}, [saying("commit", "7")], undefined, /none of a Hub's/],
    ["a page in place of a plan", {}, [saying("preupload", "<p>")], undefined, /none of a Hub's/],
    ["40 MB", {}, [saying("preupload", "7".repeat(4e7))], undefined, /more than 33554432 bytes/],
    ["bad metadata", {}, [answering("commit", 400)], 400, /status 400, "no: \*\*\*"/],
  ] as const
) {
  Deno.test(`uploadFiles() answers ${why} in words, without the token`, async () => {
    const store = new HubStore();
    await using hub = startHub(store, [...routes, uploadRoute]);
    const error = await assertRejects(() => upload(hub, settings), HubError);
    assertMatch(error.message, message);
    assertMatch(error.message, /^Cannot push to "\w+\/model"/);
    assertEquals(error.status, status);
    for (const secret of [store.token, "hf_wrong", "secret-word", "X-Amz-Signature"]) {
      assert(!Deno.inspect(error).includes(secret), Deno.inspect(error));
    }
    assert((store.find("model", "me/model")?.commits.length ?? 1) === 1);
  });
}

/** Answers all requests to a path with a text. */
function saying(path: string, text: string): Route {
  return fault(999, ({ url }) => url.includes(path), async (request) => {
    await request.body?.cancel();
    return new Response(text);
  });
}

/** Sends large files to a signed address at which connections break. */
function brokenStorage(request: Request, store: HubStore): Promise<Response | undefined> {
  return fault(999, ({ url }) => url.includes("batch"), async () => {
    const { objects }: { objects: { oid: string; size: number }[] } = await request.json();
    const href = `http://127.0.0.1:${broken.port}/x?X-Amz-Signature=secret`;
    const actions = { upload: { href } };
    return Response.json({
      transfer: "basic",
      objects: objects.map(({ oid, size }) => ({ oid, size, actions })),
    });
  })(request, store);
}

/** Answers all requests to a path with an error whose text has the token in it. */
function answering(path: string, status: number): Route {
  return fault(999, ({ url }) => url.includes(path), async (request) => {
    await request.body?.cancel();
    return Response.json({ error: `no: ${new HubStore().token}` }, { status });
  });
}

Deno.test("uploadFiles() says so when there is no network", async () => {
  const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const { port } = listener.addr;
  listener.close();
  const hub = { endpoint: `http://127.0.0.1:${port}` } as HubServer;
  const error = await assertRejects(() => upload(hub), HubError);
  assertMatch(error.message, /by 127\.0\.0\.1:\d+: found ".*refused.*Check the network/);
});

for (const text of ["null", "7", "{}", "[]", '{"type": "user", "auth": {}}', "<html>"]) {
  Deno.test(`requireWriteAccess() reports a Hub that knows users as ${text}`, async () => {
    await using hub = startHub(new HubStore(), [saying("whoami", text)]);
    const { endpoint } = hub;
    const { token } = new HubStore();
    await assertRejects(
      () => requireWriteAccess("me/model", { endpoint, token, retry: RETRY, isPrivate: false }),
      HubError,
      "Is HF_ENDPOINT a Hub?",
    );
  });
}
