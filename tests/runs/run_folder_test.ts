// Tests of runs/run_folder.ts: at every moment `latest` names a whole checkpoint, and old ones go.
import { assertEquals, assertRejects } from "@std/assert";
import { RunFolder } from "../../runs/run_folder.ts";

async function withFolder(test: (folder: RunFolder) => Promise<void>): Promise<void> {
  const path = await Deno.makeTempDir();
  try {
    await test(new RunFolder(path, 2));
  } finally {
    await Deno.remove(path, { recursive: true });
  }
}

const names = ({ path }: RunFolder) => [...Deno.readDirSync(path)].map(({ name }) => name).sort();
const latest = ({ path }: RunFolder) => Deno.readTextFileSync(`${path}/latest`);
const write = (folder: RunFolder, step: number) =>
  folder.write(step, (path) => Deno.writeTextFile(`${path}/model`, `${step}`));

Deno.test("a RunFolder keeps the newest checkpoints, and latest names the last one", () =>
  withFolder(async (folder) => {
    assertEquals(await write(folder, 9), `${folder.path}/step-000009`);
    for (const step of [10, 250, 1_000_000]) await write(folder, step);
    assertEquals(names(folder), ["latest", "step-000250", "step-1000000"]);
    assertEquals(latest(folder), "step-1000000\n");
    assertEquals(Deno.readTextFileSync(`${folder.path}/step-000250/model`), "250");
  }));

Deno.test("a RunFolder keeps what it has where a checkpoint cannot be written", () =>
  withFolder(async (folder) => {
    await write(folder, 1);
    const fail = async (path: string) => {
      await Deno.writeTextFile(`${path}/model`, "half");
      throw new Error("No space left on device");
    };
    await assertRejects(() => folder.write(2, fail), Error, "No space left");
    assertEquals([names(folder), latest(folder)], [["latest", "step-000001"], "step-000001\n"]);
  }));

Deno.test("a RunFolder writes a checkpoint over one that latest never named, and drops those of later steps", () =>
  withFolder(async (folder) => {
    for (const step of [1, 2, 3]) await write(folder, step);
    await folder.goOnFrom(2);
    assertEquals([names(folder), latest(folder)], [
      ["latest", "step-000002", "step-000003"],
      "step-000002\n",
    ]);
    await folder.write(3, (path) => Deno.writeTextFile(`${path}/model`, "again"));
    assertEquals(Deno.readTextFileSync(`${folder.path}/step-000003/model`), "again");
    await write(folder, 5);
    await write(folder, 4);
    assertEquals(names(folder), ["latest", "step-000003", "step-000004"]);
  }));

Deno.test("a RunFolder is cleaned of what killed processes leave, and for a new run of all", () =>
  withFolder(async (folder) => {
    for (const step of [2, 3]) await write(folder, step);
    for (const name of [".step-000001.partial", "step-000001", "step-000004"]) {
      await Deno.mkdir(`${folder.path}/${name}`);
      await Deno.writeTextFile(`${folder.path}/${name}/model`, "");
    }
    for (const name of ["model.safetensors", "model.safetensors.partial"]) {
      await Deno.writeTextFile(`${folder.path}/${name}`, "");
    }
    await folder.goOnFrom(3);
    const kept = ["latest", "model.safetensors", "step-000002", "step-000003", "step-000004"];
    assertEquals(names(folder), kept);
    folder.clear();
    assertEquals(names(folder), [], "nothing of a run before passes for the new one's");
  }));
