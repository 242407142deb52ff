// Tests of commands/run_folders.ts: no run is replaced by default, and which one is meant where none is named.
import { assertEquals, assertRejects, assertStringIncludes, assertThrows } from "@std/assert";
import { parseFlags } from "../../commands/flags.ts";
import { newestCheckpoint, newestUnfinished } from "../../commands/run_folders.ts";
import { TRAIN_FLAGS, trainingRequest } from "../../commands/training_config.ts";
import { presets } from "../../model/config.ts";
import { requireFree } from "../../runs/resumption.ts";
import { inTemporaryFolder } from "../data/helpers.ts";

/** Calls `use` in an empty folder. */
function elsewhere(use: () => Promise<void>): Promise<void> {
  return inTemporaryFolder(async (folder) => {
    const before = Deno.cwd();
    Deno.chdir(folder);
    try {
      await use();
    } finally {
      Deno.chdir(before);
    }
  });
}

let seconds = 1e9;

/** A file, written later than all others. */
async function write(path: string, text: string): Promise<void> {
  await Deno.writeTextFile(path, text);
  await Deno.utime(path, ++seconds, seconds);
}

/** What a run of 9 steps leaves after step `step` under checkpoints/. */
async function leaveRun(name: string, step: number, hasModel: boolean): Promise<void> {
  const dir = `checkpoints/${name}`;
  const checkpoint = `step-${String(step).padStart(6, "0")}`;
  await Deno.mkdir(`${dir}/${checkpoint}`, { recursive: true });
  await write(`${dir}/metrics.jsonl`, "");
  const best = hasModel ? { step, accuracy: 1, loss: 1 } : null;
  const [config, plan] = [presets.quickstart, { micro_batch_size: 1, recompute: "off" }];
  const state = { format: 1, step, steps: 9, is_evaluated: true, best, config, plan };
  await write(`${dir}/${checkpoint}/trainer_state.json`, JSON.stringify(state));
  await write(`${dir}/latest`, `${checkpoint}\n`);
  if (!hasModel) return;
  for (const file of ["config.json", "model.safetensors"]) await write(`${dir}/${file}`, "");
}

async function outOf(...flags: string[]): Promise<string> {
  return (await trainingRequest(parseFlags(flags, TRAIN_FLAGS, []))).out;
}

Deno.test("a run gets a folder of its own, and an unfinished one is not passed over", () =>
  elsewhere(async () => {
    assertEquals(await outOf(), "checkpoints/quickstart");
    await leaveRun("quickstart", 9, true);
    assertEquals(await outOf(), "checkpoints/quickstart-2");
    assertEquals(await outOf("--force"), "checkpoints/quickstart-2", "nothing has to be replaced");
    await Deno.mkdir("checkpoints/quickstart-2");
    await write("checkpoints/quickstart-2/model.safetensors", ""); // of whatever origin
    assertEquals(await outOf(), "checkpoints/quickstart-3");
    await leaveRun("quickstart-3", 4, false);
    assertEquals(await outOf(), "checkpoints/quickstart-3");
    assertThrows(
      () => requireFree("checkpoints/quickstart-3"),
      Error,
      "an unfinished run is there, after step 4 of 9",
    );
    assertThrows(() => requireFree("checkpoints/quickstart"), Error, "a finished run is there");
    assertThrows(() => requireFree("checkpoints/quickstart-2"), Error, "a model is there");
    assertEquals(await outOf("--preset", "tiny"), "checkpoints/tiny");
    await write("checkpoints/quickstart-3/step-000004/trainer_state.json", "{");
    assertEquals(await outOf(), "checkpoints/quickstart-4", "a damaged one is not replaced either");
    assertThrows(() => requireFree("checkpoints/quickstart-3"), Error, "cannot be read");
  }));

Deno.test("--resume without a name finds the newest run that is not finished", () =>
  elsewhere(async () => {
    assertThrows(() => newestUnfinished(undefined), Error, `there is none under "checkpoints/"`);
    await leaveRun("tiny", 4, true);
    await leaveRun("mine", 5, true);
    await leaveRun("tiny-2", 3, false);
    await leaveRun("quickstart", 9, true);
    assertEquals(newestUnfinished(undefined).out, "checkpoints/tiny-2");
    await leaveRun("mine", 6, true);
    assertEquals(await outOf("--resume", "--out", "checkpoints/tiny"), "checkpoints/tiny");
    assertEquals(newestUnfinished(undefined).out, "checkpoints/mine");
    assertEquals(newestUnfinished("tiny").out, "checkpoints/tiny-2");
    {
      using lock = await Deno.open("checkpoints/tiny-2/.lock", { write: true, create: true });
      await lock.lock(true);
      assertEquals(newestUnfinished("tiny").out, "checkpoints/tiny", "the other is under way");
      assertEquals(await outOf("--preset", "tiny"), "checkpoints/tiny-3", "beside it");
    }
    assertEquals(await outOf("--preset", "tiny"), "checkpoints/tiny-2");
    await assertRejects(
      () => outOf("--resume", "--preset", "quickstart"),
      Error,
      `none of quickstart under "checkpoints/" that is unfinished; the newest, "checkpoints/quickstart", has`,
    );
  }));

Deno.test("the newest model answers, and a newer run without one is named", () =>
  elsewhere(async () => {
    assertEquals(newestCheckpoint(), undefined);
    await leaveRun("tiny", 9, true);
    await leaveRun("quickstart", 4, true);
    await leaveRun("tiny-2", 2, false);
    assertEquals(newestCheckpoint(), "checkpoints/quickstart");
    await Deno.writeFile("a.png", new Uint8Array());
    const script = new URL("../../generate.ts", import.meta.url).pathname;
    const process = (...flags: string[]) =>
      new Deno.Command(Deno.execPath(), {
        args: ["run", "-A", "--quiet", script, "a.png", "what?", ...flags],
        cwd: Deno.cwd(),
        env: { XDG_RUNTIME_DIR: "/tmp", NO_COLOR: "1" },
      }).output();
    const picture = new URL("../../docs/report_page.png", import.meta.url).pathname;
    await Deno.copyFile(picture, "a.png");
    const found = new TextDecoder().decode((await process()).stderr);
    assertStringIncludes(
      found,
      "Model: checkpoints/quickstart, after step 4 of 9, saved 2001-09-09 ",
    );
    assertStringIncludes(found, "The run in checkpoints/tiny-2 is newer, but was stopped before");
    assertStringIncludes(found, "deno task train --resume=checkpoints/tiny-2");
    const named = await process("--checkpoint", "checkpoints/tiny-2");
    assertStringIncludes(
      new TextDecoder().decode(named.stderr),
      `its newest checkpoint is "checkpoints/tiny-2/step-000002"`,
    );
  }));
