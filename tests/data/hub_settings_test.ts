// Tests of what is read from the environment and from names, and of pauses between attempts.
import { assert, assertEquals, assertMatch, assertRejects, assertThrows } from "@std/assert";
import { HubError, type HubOptions, parseRepositoryName } from "../../data/hub.ts";
import { hubSettings } from "../../data/hub/environment.ts";
import { diskError, retryAfter, TransientError } from "../../data/hub/errors.ts";
import { isInside } from "../../data/hub/remote_file.ts";
import { pretrainedFolder, statOf } from "../../data/pretrained.ts";
import { setScene } from "../hub/scene.ts";
import { PATIENT, Retries } from "../../data/hub/retry.ts";

function settings(variables: Record<string, string>, options: HubOptions = {}) {
  return hubSettings(options, (name) => variables[name]);
}

Deno.test("the environment's variables are Python's", async () => {
  const home = { HOME: "/nowhere" };
  const folders: [Record<string, string>, string][] = [
    [home, "/nowhere/.cache/huggingface/hub"],
    [{ USERPROFILE: "/windows" }, "/windows/.cache/huggingface/hub"],
    [{ ...home, XDG_CACHE_HOME: "/caches" }, "/caches/huggingface/hub"],
    [{ ...home, XDG_CACHE_HOME: "/caches", HF_HOME: "/hf" }, "/hf/hub"],
    [{ ...home, HF_HOME: "~/hf" }, "/nowhere/hf/hub"],
    [{ ...home, HF_HOME: "/hf", HF_HUB_CACHE: "/cache" }, "/cache"],
  ];
  for (const [variables, folder] of folders) {
    assertEquals((await settings(variables)).cacheFolder, folder);
  }
  const plain = await settings(home);
  assertEquals([plain.endpoint, plain.token, plain.isOffline], [
    "https://huggingface.co",
    undefined,
    false,
  ]);
  const mirror = await settings({ ...home, HF_ENDPOINT: "http://127.0.0.1:1/hub/" });
  assertEquals(mirror.endpoint, "http://127.0.0.1:1/hub");
  for (const [value, isOffline] of [["1", true], ["yes", true], ["TRUE", true], ["0", false]]) {
    const found = await settings({ ...home, HF_HUB_OFFLINE: String(value) });
    assertEquals(found.isOffline, isOffline);
  }
  await assertRejects(() => settings({}), HubError, "Set HF_HOME");
});

Deno.test("the token comes from the options, HF_TOKEN or the saved file", async () => {
  const folder = await Deno.makeTempDir();
  await Deno.writeTextFile(`${folder}/token`, "hf_saved\n");
  await Deno.writeTextFile(`${folder}/other`, "hf_other");
  const saved = { HF_HOME: folder };
  const token = async (variables: Record<string, string>, options: HubOptions = {}) =>
    (await settings(variables, options)).token;
  assertEquals(await token(saved), "hf_saved");
  assertEquals(await token({ ...saved, HF_TOKEN: "" }), "hf_saved");
  assertEquals(await token({ ...saved, HF_TOKEN_PATH: `${folder}/other` }), "hf_other");
  assertEquals(await token({ ...saved, HF_TOKEN: "hf_set" }), "hf_set");
  assertEquals(await token({ ...saved, HF_TOKEN: "hf_set" }, { token: "hf_given" }), "hf_given");
  assertEquals(await token({ ...saved, HF_TOKEN: "hf_set" }, { token: "" }), undefined);
  const { message } = await assertRejects(() => settings({ ...saved, HF_TOKEN: "hf_é" }), HubError);
  assert(!message.includes("hf_é"));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("parseRepositoryName() knows names of repositories from paths", () => {
  assertEquals(parseRepositoryName("lusxvr/nanoVLM-222M"), { name: "lusxvr/nanoVLM-222M" });
  assertEquals(parseRepositoryName("a/b.c_d-1@v1.0"), { name: "a/b.c_d-1", revision: "v1.0" });
  assertEquals(parseRepositoryName("a/b@refs/pr/1"), { name: "a/b", revision: "refs/pr/1" });
  for (
    const text of [
      ...["", "shapes", "./x", "../x", "/x", "/x/y", "a/b/c", "a/", "/b", "a/b@", "@v1", "~/x"],
      ...["a b/c", "a/b c", "a\\b/c", "C:/x", "-a/b", "a/b--c", "a/b..c", "a/b.", "a./b", "a/.b"],
      ...["a/b.git", `a/${"b".repeat(96)}`, "https://huggingface.co/a/b", "é/b"],
    ]
  ) {
    assertEquals(parseRepositoryName(text), undefined, text);
  }
});

Deno.test("isInside() takes only paths that stay in their folder", () => {
  for (const path of ["a", "a/b.c", "..a/b..", "a b/ü%"]) assert(isInside(path), path);
  for (const path of ["", "/a", "a/", "..", "a/../b", "a//b", "./a", "a\\b", "a\0"]) {
    assert(!isInside(path), path);
  }
});

Deno.test("Retry-After is seconds or a date; the Hub also says it as RateLimit", () => {
  const now = Date.parse("2025-01-01T00:00:00Z");
  const read = (headers: Record<string, string>) => retryAfter(new Headers(headers), now);
  assertEquals(read({}), undefined);
  assertEquals(read({ "Retry-After": "12" }), 12_000);
  assertEquals(read({ "Retry-After": "Wed, 01 Jan 2025 00:00:09 GMT" }), 9000);
  assertEquals(read({ "Retry-After": "Wed, 01 Jan 2020 00:00:09 GMT" }), 0);
  assertEquals(read({ "Retry-After": "soon" }), undefined);
  assertEquals(read({ RateLimit: '"api";r=0;t=55' }), 55_000);
  assertEquals(read({ RateLimit: '"api";r=3;t=55' }), undefined);
});

Deno.test("pauses double, vary, and end", async () => {
  const limits = {
    ...PATIENT,
    attempts: 5,
    firstDelayMilliseconds: 8,
    longestDelayMilliseconds: 30,
  };
  const retries = new Retries(limits);
  const failure = new TransientError("busy", { status: 503 });
  for (const longest of [8, 16, 30, 30]) {
    const start = performance.now();
    await retries.failed(failure);
    assert(performance.now() - start >= longest / 2 - 1);
  }
  const error = await assertRejects(
    () => retries.failed(failure),
    HubError,
    "busy (asked 5 times)",
  );
  assertEquals((error as HubError).status, 503);
  retries.progressed();
  await retries.failed(failure);
  await assertRejects(() => retries.failed(new HubError("gone")), HubError, "gone");
});

Deno.test("a pause ends when the task is given up", async () => {
  const stop = new AbortController();
  const retries = new Retries({ ...PATIENT, firstDelayMilliseconds: 60_000 }, stop.signal);
  setTimeout(() => stop.abort(new HubError("another file failed")), 5);
  await assertRejects(() => retries.failed(new TransientError("x")), HubError, "another file");
});

Deno.test("diskError() says what is wrong with a folder, and what to do", () => {
  const coded = (code: string) => Object.assign(new Error(`os says ${code}`), { code });
  const cases: [Error, RegExp][] = [
    [coded("EROFS"), /may not be written.*HF_HOME to a folder of your own/],
    [coded("EACCES"), /may not be written/],
    [new Deno.errors.NotCapable('Requires write access to "a"'), /may not be written/],
    [coded("EIO"), /found "os says EIO".*Remove what is in the way/],
    [coded("ENAMETOOLONG"), /at most 255 bytes/],
  ];
  for (const [error, message] of cases) {
    const shown = diskError(error, "a/b");
    assert(shown instanceof HubError);
    assertMatch(shown.message, /^Cannot use the cache folder "a\/b": /);
    assertMatch(shown.message, message);
  }
  const net = new Deno.errors.NotCapable('Requires net access to "a"');
  assertEquals(diskError(net, "a/b"), net);
});

Deno.test("diskError() leaves other errors alone", () => {
  const other = new Error("x");
  assertEquals(diskError(other, "a"), other);
  assertThrows(
    () => {
      throw diskError(Object.assign(new Error("os"), { code: "ENOSPC" }), "a/b");
    },
    HubError,
    '"a/b": found no space left',
  );
});

Deno.test("a name that no file can have stands for nothing on this machine", async () => {
  assertEquals(["x".repeat(300), "a\0b", "deno.json/x"].map(statOf), [
    undefined,
    undefined,
    undefined,
  ]);
  await assertRejects(
    () => pretrainedFolder("x".repeat(300), "checkpoint"),
    Error,
    "no such folder",
  );
});

for (const text of ["null", "7", '{"weight_map": null}', '{"weight_map": {"a": 7}}', "<html>"]) {
  Deno.test(`an index of a backbone that says ${text} is named`, async () => {
    const files = { "config.json": "{}", "model.safetensors.index.json": text };
    await using scene = await setScene({ files });
    await assertRejects(
      () => pretrainedFolder("someone/small", "backbone", scene.options),
      HubError,
      'found no names of files in its model.safetensors.index.json, expected "weight_map"',
    );
  });
}
