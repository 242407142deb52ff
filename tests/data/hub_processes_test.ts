// Tests of downloads among others: several processes, killed ones, full disks, disks without
// symlinks and those that may only be read.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { HubError } from "../../data/hub.ts";
import { createDownloadRoute, sha256 } from "../hub/download_routes.ts";
import { faulty, slowly, stalledAfter } from "../hub/faults.ts";
import { assertSound, contentRequests, type Scene, setScene, someBytes } from "../hub/scene.ts";

const WEIGHTS = someBytes(200_000);
const FILES = { "config.json": "{}", "model.safetensors": WEIGHTS };
const PATHS = Object.keys(FILES);
const SCRIPT = new URL("../hub/fetch_files.ts", import.meta.url).pathname;

/** A process that downloads; it has these permissions besides the network and its environment. */
function process(
  { hub, cacheFolder }: Scene,
  paths: string[],
  permissions = ["--allow-read", "--allow-write"],
) {
  return new Deno.Command(Deno.execPath(), {
    args: [
      "run",
      "--no-prompt",
      "--no-check",
      "--allow-env",
      "--allow-net",
      ...permissions,
      SCRIPT,
      hub.endpoint,
      cacheFolder,
      "someone/small",
      ...paths,
    ],
    stdout: "piped",
    stderr: "piped",
  }).spawn();
}

async function output(child: Deno.ChildProcess): Promise<string> {
  const { stdout, stderr } = await child.output();
  assertEquals(new TextDecoder().decode(stderr), "");
  return new TextDecoder().decode(stdout).trim();
}

function snapshot({ cacheFolder, stored }: Scene): string {
  return `${cacheFolder}/models--someone--small/snapshots/${stored.commits[0]!.oid}`;
}

Deno.test("two processes at once download once", async () => {
  // Two seconds for one body: the second process has come long before.
  const slow = faulty(createDownloadRoute(), slowly(2000, 10));
  await using scene = await setScene({ files: FILES }, [slow.route]);
  const children = [process(scene, PATHS), process(scene, PATHS)];
  const folders = await Promise.all(children.map(output));
  assertEquals(folders, [snapshot(scene), snapshot(scene)]);
  assertEquals(contentRequests(scene.hub), ["model.safetensors"]);
  const infos = scene.hub.seen.filter(({ path }) => path.startsWith("/api/models/"));
  assertEquals(infos.length, 4); // both did ask
  await assertSound(scene.cacheFolder, scene.stored);
});

Deno.test("a killed process leaves a part that the next continues", async () => {
  const stalled = faulty(createDownloadRoute(), stalledAfter(120_000), { times: 1 });
  await using scene = await setScene({ files: FILES }, [stalled.route]);
  const child = process(scene, PATHS);
  const partial = `${scene.cacheFolder}/models--someone--small/blobs/${sha256(WEIGHTS)}.incomplete`;
  const size = () => Deno.stat(partial).then(({ size }) => size, () => 0);
  for (let waited = 0; await size() < 120_000; waited += 5) {
    assert(waited < 20_000, "nothing came");
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  child.kill("SIGKILL");
  await child.output();
  await assertRejects(
    () => Deno.stat(`${snapshot(scene)}/model.safetensors`),
    Deno.errors.NotFound,
  );
  await (await scene.open()).download(PATHS);
  const ranges = scene.hub.seen.filter(({ path }) => path.startsWith("/cdn/"))
    .map(({ headers }) => headers.get("Range"));
  assertEquals(ranges.at(-1), "bytes=120000-");
  await assertSound(scene.cacheFolder, scene.stored);
});

Deno.test("without symlinks files are moved into the snapshot, or copied", async () => {
  await using scene = await setScene({ files: FILES });
  const blobs = `${scene.cacheFolder}/models--someone--small/blobs`;
  await Deno.mkdir(blobs, { recursive: true });
  await Deno.writeFile(`${blobs}/${sha256(WEIGHTS)}`, WEIGHTS);
  // Deno makes symlinks only for those who may read and write everywhere.
  const permissions = ["--allow-read", `--allow-write=${scene.cacheFolder}`];
  const folder = await output(process(scene, PATHS, permissions));
  assertEquals(folder, snapshot(scene));
  for (const path of PATHS) assert((await Deno.lstat(`${folder}/${path}`)).isFile);
  assertEquals(await Deno.readFile(`${folder}/model.safetensors`), WEIGHTS);
  assertEquals([...Deno.readDirSync(blobs)].map(({ name }) => name), [sha256(WEIGHTS)]);
  const before = contentRequests(scene.hub).length;
  await (await scene.open()).download(PATHS);
  assertEquals(contentRequests(scene.hub).length, before);
});

Deno.test("a cache that may only be read serves what it has", async () => {
  await using scene = await setScene({ files: FILES });
  await (await scene.open()).download(PATHS);
  await Deno.remove(`${scene.cacheFolder}/models--someone--small/refs/main`);
  assertEquals(await output(process(scene, PATHS, ["--allow-read"])), snapshot(scene));
});

/** Runs a command; what it says where it fails. */
async function run(command: string, ...args: string[]): Promise<string | undefined> {
  try {
    const { success, stderr } = await new Deno.Command(command, { args }).output();
    return success ? undefined : new TextDecoder().decode(stderr);
  } catch (error) {
    return String(error);
  }
}

Deno.test("a full disk is reported, and the download goes on when there is room", async () => {
  await using scene = await setScene({ files: FILES });
  const disk = `${scene.cacheFolder}/disk`;
  await Deno.mkdir(disk);
  const refusal = await run("mount", "-t", "tmpfs", "-o", "size=96k", "tmpfs", disk);
  if (refusal !== undefined) {
    console.log(`skipped: a full disk, because no small one can be mounted: ${refusal}`);
    return;
  }
  try {
    const open = () => scene.open({ cacheFolder: disk });
    const repository = await open();
    const { message } = await assertRejects(() => repository.download(PATHS), HubError);
    assertStringIncludes(message, `"${disk}/models--someone--small": found no space left`);
    assertStringIncludes(message, "HF_HOME");
    await assertSound(disk, scene.stored);
    assertEquals(await run("mount", "-o", "remount,size=1m", disk), undefined);
    await (await open()).download(PATHS);
    const last = scene.hub.seen.filter(({ path }) => path.startsWith("/cdn/")).at(-1);
    assert(Number(last?.headers.get("Range")?.match(/\d+/)?.[0]) > 10_000);
    await assertSound(disk, scene.stored);
  } finally {
    assertEquals(await run("umount", disk), undefined);
  }
});
