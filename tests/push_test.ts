// Tests of push.ts with a real small model: what the local Hub gets, read back and opened; and every error as one line.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { parseFlags } from "../commands/flags.ts";
import { TRAIN_FLAGS, trainingRequest } from "../commands/training_config.ts";
import { HubError } from "../data/hub.ts";
import { openCheckpoint } from "../model/checkpoint.ts";
import { Display } from "../runs/display.ts";
import { pushToHub } from "../push.ts";
import { train } from "../train.ts";
import { type HubServer, type Route, startHub } from "./hub/server.ts";
import { HubStore } from "./hub/store.ts";
import { uploadRoute } from "./hub/upload_routes.ts";
import { hasAdapter, type Outcome, runProcess, smallRun, writeDataset } from "./run_helpers.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const GOLDEN = new URL("golden/v01_a", import.meta.url).pathname;
const SILENT = new Display({ isTerminal: () => false, writeSync: (bytes) => bytes.length });
const RETRY = { attempts: 4, firstDelayMilliseconds: 2, longestDelayMilliseconds: 10 };
const { token } = new HubStore();

/** The files of the newest commit, in a folder. */
async function fetched(store: HubStore, name: string): Promise<string> {
  const folder = await Deno.makeTempDir();
  const commit = store.find("model", name)!.commits.at(-1)!;
  for (const [path, bytes] of commit.files) await Deno.writeFile(`${folder}/${path}`, bytes);
  return folder;
}

/** Runs push.ts with the permissions of `deno task push`, in a process that knows the local Hub. */
async function push(hub: HubServer, args: string[], env: Record<string, string> = {}) {
  const { tasks } = JSON.parse(await Deno.readTextFile(`${ROOT}deno.json`));
  const [, ...words] = tasks.push.command.split(" ") as string[];
  const output = await new Deno.Command(Deno.execPath(), {
    args: [...words, ...args],
    cwd: ROOT,
    clearEnv: true,
    env: {
      PATH: Deno.env.get("PATH") ?? "",
      DENO_DIR: Deno.env.get("DENO_DIR") ?? `${Deno.env.get("HOME")}/.cache/deno`,
      HF_ENDPOINT: hub.endpoint,
      HF_TOKEN: token,
      HF_HOME: "/nowhere",
      NO_COLOR: "1",
      ...env,
    },
  }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  return { code: output.code, stdout, stderr } as Outcome;
}

Deno.test("push.ts publishes a checkpoint of Python's, whose weights arrive byte for byte", async () => {
  const store = new HubStore();
  await using hub = startHub(store, [uploadRoute]);
  const args = ["--checkpoint", GOLDEN, "--to", "me/golden", "--private", "--message", "First"];
  const { code, stdout, stderr } = await push(hub, [...args, "--json"]);
  assertEquals([code, stderr], [0, ""]);
  const repository = store.find("model", "me/golden")!;
  const { oid, title, files } = repository.commits.at(-1)!;
  assertEquals([repository.isPrivate, title], [true, "First"]);
  const { url, commit, files: listed } = JSON.parse(stdout);
  assertEquals([url, commit], [`${hub.endpoint}/me/golden`, oid]);
  for (const { path, bytes } of listed) assertEquals(files.get(path)?.length, bytes);
  assertEquals(
    listed.map(({ path }: { path: string }) => path),
    ["README.md", "config.json", "model.safetensors"],
  );
  const original = await Deno.readFile(`${GOLDEN}/model.safetensors`);
  assertEquals(files.get("model.safetensors"), original);
  assertMatch(new TextDecoder().decode(files.get("README.md")), /^---\nlibrary_name: nanovlm\n/);
  const again = await push(hub, args);
  assertMatch(again.stdout, /^ {2}model.safetensors {2}\d+ kB$/m);
  assertMatch(again.stdout, /^Pushed 3 files, .*: http.*\/me\/golden$/m);
});

Deno.test({
  name: "pushToHub() publishes a trained model that answers and scores as before",
  ignore: !hasAdapter,
  fn: async () => {
    const [data, out] = [await writeDataset(), await Deno.makeTempDir()];
    const request = parseFlags(smallRun(data, out), TRAIN_FLAGS, []);
    const { accuracy, loss } = await train(await trainingRequest(request), SILENT);
    const store = new HubStore();
    await using hub = startHub(store, [uploadRoute]);
    await pushToHub(out, "me/trained", { endpoint: hub.endpoint, token, retry: RETRY });
    const folder = await fetched(store, "me/trained");
    const names = [...Deno.readDirSync(folder)].map(({ name }) => name).sort();
    assertEquals(
      names,
      [".gitattributes", "README.md", "config.json", "curves.svg", "model.safetensors"],
    );
    const config = JSON.parse(await Deno.readTextFile(`${folder}/config.json`));
    assertEquals(config.vit_pixel_mean, undefined);
    assertEquals(config.vlm_checkpoint_path, out.split("/").at(-1));
    using checkpoint = openCheckpoint(folder);
    const { lm_padding_side, image_fit, image_alpha } = checkpoint.config;
    assertEquals([lm_padding_side, image_fit, image_alpha], ["right", "pad", "white"]);
    const card = await Deno.readTextFile(`${folder}/README.md`);
    assertStringIncludes(card, "in the middle of a white square and with transparency laid over");
    const evaluation = await runProcess(Deno.execPath(), [
      ...["run", "-A", "--quiet", "eval.ts", "--checkpoint", folder, "--dataset", data],
      ...["--json", "--dtype", "f32", "--no-tune"],
    ]);
    const scored = JSON.parse(evaluation.stdout);
    assertEquals(scored.accuracy, accuracy);
    assertAlmostEquals(scored.loss, loss, 1e-5 * loss);
    for (const path of [data, out, folder]) await Deno.remove(path, { recursive: true });
  },
});

Deno.test("pushToHub() takes the tokenizer along, under the repository's name", async () => {
  const store = new HubStore();
  await using hub = startHub(store, [uploadRoute]);
  const folder = await Deno.makeTempDir();
  const names = ["tokenizer.json", "tokenizer_config.json"];
  for (const name of names) await Deno.writeTextFile(`${folder}/${name}`, `{"${name}": 1}`);
  const config = JSON.parse(await Deno.readTextFile(`${GOLDEN}/config.json`));
  await Deno.writeTextFile(
    `${folder}/config.json`,
    JSON.stringify({ ...config, lm_tokenizer: folder }),
  );
  await Deno.copyFile(`${GOLDEN}/model.safetensors`, `${folder}/model.safetensors`);
  await pushToHub(folder, "me/words", { endpoint: hub.endpoint, token });
  const { files } = store.find("model", "me/words")!.commits.at(-1)!;
  const text = (path: string) => new TextDecoder().decode(files.get(path));
  for (const name of names) assertEquals(text(name), `{"${name}": 1}`);
  assertEquals(JSON.parse(text("config.json")).lm_tokenizer, "me/words");
  assert(!text("README.md").includes(folder));
  await Deno.remove(folder, { recursive: true });
});

Deno.test("pushToHub() goes through a storm of 503, and leaves nothing behind when it fails", async () => {
  const store = new HubStore();
  let left = 3;
  const storm: Route = async (request) => {
    if (left-- <= 0) return undefined;
    await request.body?.cancel();
    return new Response("busy", { status: 503 });
  };
  await using hub = startHub(store, [storm, uploadRoute]);
  const options = { endpoint: hub.endpoint, token, retry: RETRY };
  await pushToHub(GOLDEN, "me/stormy", options);
  assertEquals(store.find("model", "me/stormy")!.commits.length, 2);
  left = Infinity;
  const error = await assertRejects(() => pushToHub(GOLDEN, "me/stormy", options), HubError);
  assertMatch(error.message, /status 503.*asked 4 times/);
  assertEquals(store.find("model", "me/stormy")!.commits.length, 2);
});

for (
  const [why, args, env, code, message] of [
    ["no flags", [], {}, 2, /expected both --checkpoint DIR and --to owner\/name/],
    ["no such folder", ["--checkpoint", "/nowhere", "--to", "a/b"], {}, 1, /no such folder/],
    ["no name", ["--checkpoint", GOLDEN, "--to", "model"], {}, 1, /expected owner\/name/],
    ["a bad token", ["--checkpoint", GOLDEN, "--to", "a/b"], { HF_TOKEN: "hf_no" }, 1, /HF_TOKEN/],
    [
      "no network wanted",
      ["--checkpoint", GOLDEN, "--to", "a/b"],
      { HF_HUB_OFFLINE: "1" },
      1,
      /Unset it/,
    ],
    ["no token", ["--checkpoint", GOLDEN, "--to", "a/b"], { HF_TOKEN: "" }, 1, /settings\/tokens/],
  ] as const
) {
  Deno.test(`push.ts answers ${why} with one line and exit status ${code}`, async () => {
    await using hub = startHub(new HubStore(), [uploadRoute]);
    const outcome = await push(hub, [...args], env);
    assertEquals([outcome.code, outcome.stdout], [code, ""], outcome.stderr);
    assertMatch(outcome.stderr, message);
    assertMatch(outcome.stderr, /^Cannot [^\n]*\n$/);
    assert(!outcome.stderr.includes("hf_no"));
  });
}

Deno.test("push.ts shows no token that a server says, with --debug neither", async () => {
  const echo: Route = async (request) => {
    await request.body?.cancel();
    const error = `no ${request.headers.get("Authorization")} \x1b[2J https://a.b/c?sig=secret`;
    return Response.json({ error }, { status: 400, headers: { "X-Error-Message": `no ${token}` } });
  };
  await using hub = startHub(new HubStore(), [echo]);
  const args = ["--checkpoint", GOLDEN, "--to", "me/golden"];
  for (const more of [[], ["--debug"]]) {
    const { code, stderr } = await push(hub, [...args, ...more]);
    assertEquals(code, 1);
    assertMatch(stderr, /status 400, "no /);
    for (const secret of [token, "sig=secret", "\x1b"]) assert(!stderr.includes(secret), stderr);
  }
});
