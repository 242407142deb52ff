// Tests of train.ts with a Hub: training that streams from it, killed and resumed while the data there changes; a run made again
// from what its checkpoint says; and models pushed at the end.
import {
  assert,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { parseFlags } from "../commands/flags.ts";
import { TRAIN_FLAGS, trainingRequest } from "../commands/training_config.ts";
import { HubError, type HubOptions } from "../data/hub.ts";
import { encodePng } from "../data/png_encoder.ts";
import type { RgbImage } from "../data/rgb_image.ts";
import { Shapes } from "../data/shapes.ts";
import { savedRun } from "../model/trainer_state.ts";
import { Display } from "../runs/display.ts";
import { train } from "../train.ts";
import { inTemporaryFolder, writeCauldron } from "./data/helpers.ts";
import { namesIn, QUICK, setScene } from "./hub/scene.ts";
import { type Route, startHub } from "./hub/server.ts";
import { HubStore } from "./hub/store.ts";
import { uploadRoute } from "./hub/upload_routes.ts";
import { assertSameRun, metricsOf, resumableRun } from "./resume_helpers.ts";
import { hasAdapter, runProcess } from "./run_helpers.ts";

const ROOT = new URL("../", import.meta.url).pathname;
const ignore = !hasAdapter;
const SILENT = new Display({ isTerminal: () => false, writeSync: (bytes) => bytes.length });
const NAME = "someone/pictures";

/** A Parquet file of drawn shapes from row `first` on, eight rows a group. */
async function parquet(first: number, rows: number): Promise<Uint8Array<ArrayBuffer>> {
  const shapes = new Shapes("train", { rows: first + rows });
  const path = await Deno.makeTempFile();
  const written = Array.from({ length: rows }, (_, i) => {
    const { image, turns } = shapes.row(first + i);
    const texts = turns.map(({ question, answer, category }): [string, string, string] => [
      ...[question, answer, category] as const,
    ]);
    return { image: encodePng(image as RgbImage), turns: texts };
  });
  writeCauldron(path, written, 8);
  const bytes = await Deno.readFile(path);
  await Deno.remove(path);
  return bytes;
}

/** Runs train.ts to its end. */
function trainProcess(flags: readonly string[], env: Readonly<Record<string, string>> = {}) {
  return runProcess(Deno.execPath(), ["run", "-A", "--quiet", "train.ts", ...flags], env);
}

/** Losses of all steps. */
function lossesOf(out: string): unknown[] {
  return metricsOf(out).flatMap(({ loss }) => loss === undefined ? [] : [loss]);
}

/** Flags of a run of 20 steps; an epoch has 30. */
function hubRun(dataset: string, out: string): string[] {
  const own = ["--set", "data_cutoff_idx=null", "--train-dataset", dataset];
  return [...resumableRun(out, 20), ...own, "--eval-dataset", dataset];
}

Deno.test({
  name:
    "a run that streams from the Hub, killed and resumed after the data there changed, ends as " +
    "an uninterrupted one, and can be made again from its checkpoint's configuration and revision",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const files = {
        "train/part.parquet": await parquet(0, 30),
        "validation/part.parquet": await parquet(100, 4),
      };
      await using scene = await setScene({ kind: "dataset", name: NAME, files });
      const env = {
        ...{ HF_ENDPOINT: scene.hub.endpoint, HF_HUB_CACHE: scene.cacheFolder },
        ...{ HF_HUB_OFFLINE: "", HF_TOKEN: "" },
      };
      const out = `${folder}/run`, expected = `${folder}/expected`;
      const start = async (...flags: string[]) => {
        const { code, stderr, stdout } = await trainProcess(flags, env);
        assertEquals(code, 0, stderr);
        return stdout;
      };
      const first = await start(...hubRun(NAME, out));
      const { commits: [{ oid } = { oid: "" }] } = scene.stored;
      assertStringIncludes(first, `Revision    ${oid.slice(0, 12)} of ${NAME}`);
      assertEquals(await namesIn(`${scene.cacheFolder}/datasets--someone--pictures/blobs`), []);
      await Deno.rename(out, expected);

      await kill(hubRun(NAME, out), { env, when: () => latestStep(out) >= 4 });
      assert(latestStep(out) < 20, "it was in the middle of its epoch");
      scene.store.commit(scene.stored, "other pictures", {
        "train/part.parquet": await parquet(50, 30),
      });
      await start(`--resume=${out}`);
      assertSameRun(out, expected);

      const { state } = savedRun(expected)!;
      assertEquals(state.data.revisions, { [NAME]: oid });
      const pinned = `${NAME}@${state.data.revisions[NAME]}`;
      const config = { ...state.config.vlm, ...state.config.train, train_dataset_path: pinned };
      await Deno.writeTextFile(`${folder}/config.json`, JSON.stringify(config));
      const again = ["--config", `${folder}/config.json`, "--out"];
      await start(...again, `${folder}/again`);
      assertEquals(lossesOf(`${folder}/again`), lossesOf(expected));
      const moved = ["--set", `train_dataset_path=${NAME}`];
      await start(...again, `${folder}/moved`, ...moved, "--max-steps", "2");
      assertNotEquals(lossesOf(`${folder}/moved`).slice(0, 2), lossesOf(expected).slice(0, 2));
    }),
});

/** Steps of the newest checkpoint; 0 where there is none. */
function latestStep(out: string): number {
  try {
    return Number(Deno.readTextFileSync(`${out}/latest`).trim().slice("step-".length));
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return 0;
    throw error;
  }
}

/** Starts a run and kills it by SIGKILL. */
async function kill(
  flags: readonly string[],
  { env, when }: { env: Record<string, string>; when: () => boolean },
): Promise<void> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "train.ts", ...flags],
    cwd: ROOT,
    env: { XDG_RUNTIME_DIR: "/tmp", ...env },
    ...{ stdin: "null", stdout: "null", stderr: "null" },
  }).spawn();
  let isOver = false;
  const status = process.status.finally(() => isOver = true);
  while (!isOver && !when()) await new Promise((resolve) => setTimeout(resolve, 1));
  process.kill("SIGKILL");
  assertEquals((await status).signal, "SIGKILL");
}

/** Trains for two steps in this process. */
async function run(out: string, hub: HubOptions, ...flags: string[]) {
  const args = [...resumableRun(out, 2), ...flags];
  return await train(await trainingRequest(parseFlags(args, TRAIN_FLAGS, []), hub), SILENT);
}

Deno.test({
  name: "train() pushes the best model with its card, and refuses at once where it could not",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const store = new HubStore();
      await using server = startHub(store, [uploadRoute]);
      const hub = { endpoint: server.endpoint, token: store.token, retry: QUICK };
      const { pushed, push_error } = await run(
        `${folder}/a`,
        hub,
        "--push-to",
        "me/a",
        "--private",
      );
      assertEquals([pushed, push_error], [`${server.endpoint}/me/a`, null]);
      const { isPrivate, commits } = store.find("model", "me/a")!;
      const names = [...commits.at(-1)!.files.keys()];
      assertEquals([isPrivate, names.includes("README.md")], [true, true]);
      assertEquals(names.includes("model.safetensors"), true);

      store.addRepository({ kind: "model", name: "me/public" });
      for (
        const [name, token, message, ...flags] of [
          ["others/a", store.token, 'a token of "me", who is not of "others"'],
          ["readers/a", store.token, 'may only read in "readers"'],
          ["a", store.token, "expected owner/name"],
          ["me/public", store.token, "found a public repository", "--private"],
          ["me/a", "hf_wrong", "status 401"],
          ["me/a", "", "found no token"],
        ] as const
      ) {
        const out = `${folder}/refused`;
        const attempt = () => run(out, { ...hub, token }, "--push-to", name, ...flags);
        await assertRejects(attempt, HubError, message);
        assertEquals(await namesIn(out), [], "nothing was begun");
      }
    }),
});

Deno.test({
  name: "train.ts whose push fails prints the report, says how to push by hand, and exits with 1",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const store = new HubStore();
      const refuse: Route = async (request) => {
        if (!request.url.includes("/commit/")) return undefined;
        await request.body?.cancel();
        return Response.json({ error: "over quota" }, { status: 403 });
      };
      await using server = startHub(store, [refuse, uploadRoute]);
      const out = `${folder}/run`;
      const env = { HF_ENDPOINT: server.endpoint, HF_TOKEN: store.token, HF_HUB_OFFLINE: "" };
      const flags = [...resumableRun(out, 2), "--push-to", "me/full", "--json"];
      const { code, stdout, stderr } = await trainProcess(flags, env);
      assertEquals(code, 1, stderr);
      const report = JSON.parse(stdout);
      assertEquals([report.steps, report.pushed], [2, null]);
      const command = `deno task push --checkpoint ${out} --to me/full`;
      assertStringIncludes(report.push_error, "over quota");
      assertMatch(stderr, new RegExp(`^Cannot push to "me/full".*: ${command}\n$`, "m"));
    }),
});

Deno.test("train.ts --print-config prints what --config takes, and trains nothing", async () => {
  await inTemporaryFolder(async (folder) => {
    const given = ["--set", 'eval_datasets=["a:b,c","d"]', "--out", `${folder}/run`];
    const flags = ["--preset", "tiny", ...given, "--push-to", "me/a", "--print-config"];
    const print = (...flags: string[]) => trainProcess(flags);
    const { code, stdout, stderr } = await print(...flags);
    assertEquals(code, 0, stderr);
    const { batch_size, lm_n_blocks, eval_datasets, push_to } = JSON.parse(stdout);
    assertEquals([batch_size, lm_n_blocks, push_to], [32, 2, "me/a"]);
    assertEquals(eval_datasets, ["a:b,c", "d"]);
    await Deno.writeTextFile(`${folder}/config.json`, stdout);
    const again = ["--config", `${folder}/config.json`, "--out", `${folder}/run`, "--print-config"];
    assertEquals((await print(...again)).stdout, stdout);
    assertEquals(await namesIn(`${folder}/run`), []);
  });
});
