// Tests of resuming a run: whatever stopped it, in the end nothing tells it from one that was never stopped.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { existsSync } from "node:fs";
import { Interrupted } from "../commands/command.ts";
import { savedRun } from "../model/trainer_state.ts";
import { VisionLanguageModel } from "../model/vision_language_model.ts";
import { NEVER, type Stop } from "../runs/stop_signals.ts";
import { Device } from "../shaders/runtime/device.ts";
import { encodePng } from "../data/png_encoder.ts";
import { inTemporaryFolder, writeCauldron } from "./data/helpers.ts";
import { killRuns } from "./kill.ts";
import { assertSameRun, metricsOf, resumableRun, run } from "./resume_helpers.ts";
import { hasAdapter, runScript } from "./run_helpers.ts";

const ignore = !hasAdapter;
const hasF16 = hasAdapter && (await Device.open()).f16;
const ROOT = new URL("../", import.meta.url).pathname;

/** Asks to stop after the first step. */
const AT_ONCE: Stop = { signal: "SIGTERM", asked: AbortSignal.abort(), close: () => {} };

/** Stops a run after every step and compares it with one that was not stopped. */
function stopAfterEveryStep(flags: (out: string) => string[], steps: number): Promise<void> {
  return inTemporaryFolder(async (folder) => {
    const out = `${folder}/run`;
    const expected = await run(flags(out));
    await Deno.rename(out, `${folder}/expected`);
    const stopped = async (
      step: number,
      flags: string[],
      how: { stop: Stop; onLine?: (line: string) => void },
    ) => {
      const error = await assertRejects(() => run(flags, how), Interrupted);
      assertEquals(error.status, 143);
      assertStringIncludes(error.message, `after step ${step}, which is saved; go on with: deno`);
      return savedRun(out)?.state.is_evaluated;
    };
    for (let step = 1; step <= steps; step++) {
      const isEvaluated = step % 3 === 0 || step === steps;
      const begun = step === 1 ? flags(out) : [`--resume=${out}`];
      if (!isEvaluated) {
        assertEquals(await stopped(step, begun, { stop: AT_ONCE }), true);
        continue;
      }
      // Once while it evaluates, and once right after that.
      const controller = new AbortController();
      const during: { -readonly [K in keyof Stop]: Stop[K] } = {
        ...NEVER,
        asked: controller.signal,
      };
      const ask = () => {
        during.signal = "SIGTERM";
        controller.abort();
      };
      const whenTaken = (line: string) => {
        if (line.startsWith(`${step}/`)) setTimeout(ask);
      };
      assertEquals(await stopped(step, begun, { stop: during, onLine: whenTaken }), false);
      const after: { -readonly [K in keyof Stop]: Stop[K] } = { ...NEVER };
      const whenEvaluated = (line: string) => {
        if (line.startsWith(`Step ${step}:`)) after.signal = "SIGTERM";
      };
      assertEquals(
        await stopped(step, [`--resume=${out}`], { stop: after, onLine: whenEvaluated }),
        true,
      );
    }
    // And while the best model is asked at the end.
    const controller = new AbortController();
    const last: { -readonly [K in keyof Stop]: Stop[K] } = { ...NEVER, asked: controller.signal };
    const whenFinal = (line: string) => {
      if (!line.startsWith("Asking the best model")) return;
      last.signal = "SIGTERM";
      controller.abort();
    };
    assertEquals(
      await stopped(steps, [`--resume=${out}`], { stop: last, onLine: whenFinal }),
      true,
    );
    const report = await run([`--resume=${out}`]);
    // Time and memory are the machine's.
    const { seconds, peak_bytes } = report;
    assertEquals(report, { ...expected, seconds, peak_bytes });
    assert(seconds > 0 && peak_bytes > 0);
    assertSameRun(out, `${folder}/expected`);
  });
}

Deno.test({
  name: "a run stopped after every step, through an epoch's end, ends as an uninterrupted one",
  ignore,
  fn: () => stopAfterEveryStep((out) => resumableRun(out, 4), 4),
});

Deno.test({
  name: "so does one in f16, in micro-batches",
  ignore: ignore || !hasF16,
  fn: () =>
    stopAfterEveryStep((out) => {
      const flags = resumableRun(out, 2).map((flag) => flag === "f32" ? "f16" : flag);
      return [...flags, "--micro-batch-size", "3"];
    }, 2),
});

Deno.test({
  name: "a run that is killed at random moments ends as an uninterrupted one",
  ignore,
  fn: async () => {
    assertEquals((await killRuns({ kills: 3, steps: 6, seed: 1 })).length, 3);
  },
});

Deno.test({
  name:
    "SIGINT and SIGTERM save the step under way and tell how to go on; a second one does not wait",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      for (const [signals, code] of [[["SIGINT"], 130], [["SIGTERM", "SIGTERM"], 143]] as const) {
        const out = `${folder}/${signals.length}`;
        const process = new Deno.Command(Deno.execPath(), {
          args: ["run", "-A", "--quiet", "train.ts", ...resumableRun(out, 100_000)],
          cwd: ROOT,
          env: { XDG_RUNTIME_DIR: "/tmp", NO_COLOR: "1" },
          stdout: "piped",
          stderr: "piped",
        }).spawn();
        let shown = "";
        for await (const text of process.stdout.pipeThrough(new TextDecoderStream())) {
          shown += text;
          if (!/^ *1\/100000 /m.test(shown)) continue;
          for (const signal of signals) process.kill(signal);
          break;
        }
        const stderr = await new Response(process.stderr).text();
        assertEquals((await process.status).code, code, stderr);
        if (signals.length > 1) continue;
        assertMatch(
          stderr,
          /^Stopped by SIGINT after step \d+, which is saved; go on with: deno .* --resume=\S+\/1\n$/m,
        );
        assertMatch(await Deno.readTextFile(`${out}/latest`), /^step-\d{6}\n$/);
      }
    }),
});

Deno.test({
  name: "a changed setting is named with both values, and needs --force; a checkpoint is a model",
  ignore,
  fn: () =>
    inTemporaryFolder(async (out) => {
      await assertRejects(() => run(resumableRun(out, 4), { stop: AT_ONCE }), Interrupted);
      const changes = ["--seed", "3", "--max-steps", "5", "--lr-mp", "0.1"];
      const resume = [`--resume=${out}`];
      const message = "lr_mp is 0.1, was 0.002; seed is 3, was 0; the number of steps is 5, was 4";
      await assertRejects(() => run([...resume, ...changes]), RangeError, message);
      const width = ["--set", "lm_n_blocks=2"];
      await assertRejects(
        () => run([...resume, ...width]),
        RangeError,
        "parameters of other shapes",
      );
      const begin = () => run(resumableRun(out, 4));
      await assertRejects(
        begin,
        Error,
        "an unfinished run is there, after step 1 of 4; expected a",
      );

      const device = await Device.open();
      (await VisionLanguageModel.fromPretrained(device, `${out}/step-000001`)).destroy();
      device.destroy();

      // Where files go and how the same is computed may change.
      const free = ["--recompute", "on", "--checkpoint-every", "1", "--keep", "1"];
      assertEquals((await run([...resume, ...changes, ...free, "--force"])).steps, 5);
      assertEquals(metricsOf(out).filter(({ loss }) => loss !== undefined).length, 5);
      const names = [...Deno.readDirSync(out)].map(({ name }) => name);
      assertEquals(names.filter((name) => name.startsWith("step-")), ["step-000005"]);
      const model = await Deno.readFile(`${out}/model.safetensors`);
      await assertRejects(begin, Error, "a finished run is there, after step 5 of 5; expected a");
      assertEquals(await Deno.readFile(`${out}/model.safetensors`), model);
      const anew = [...resumableRun(out, 3), "--force"];
      await assertRejects(() => run(anew, { stop: AT_ONCE }), Interrupted);
      assertEquals(existsSync(`${out}/model.safetensors`), false, "none of the run before is left");
    }),
});

Deno.test({
  name: "a part that was frozen does not begin to train in mid-run, not even by force",
  ignore,
  fn: () =>
    inTemporaryFolder(async (out) => {
      const frozen = [...resumableRun(out, 4), "--freeze", "vision"];
      await assertRejects(() => run(frozen, { stop: AT_ONCE }), Interrupted);
      const thawed = [`--resume=${out}`, "--set", "freeze=", "--force"];
      await assertRejects(
        () => run(thawed),
        RangeError,
        `with vision training: frozen until then, expected moments of it; begin a new run from that model with --init-from ${out}`,
      );
      // The other way round nothing is missing.
      const more = [`--resume=${out}`, "--freeze", "vision,language", "--force"];
      assertEquals((await run(more)).steps, 4);
    }),
});

Deno.test({
  name: "a run whose folder is removed says so and what to do",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const out = `${folder}/run`;
      const remove = (line: string) => {
        if (line.startsWith("1/")) Deno.removeSync(out, { recursive: true });
      };
      const message = `Cannot save step 2 in "${out}": No such file or directory`;
      await assertRejects(() => run(resumableRun(out, 4), { onLine: remove }), Error, message);
      const removeLater = (line: string) => {
        if (line.startsWith("Step 3:")) Deno.removeSync(out, { recursive: true });
      };
      const error = await assertRejects(
        () => run(resumableRun(out, 6), { onLine: removeLater }),
        Error,
      );
      assertMatch(
        error.message,
        /Cannot save step 3 .* what was saved up to step 2 is gone with the folder$/,
      );
    }),
});

/** Changes one bit in the middle of a file. */
function flip(path: string): void {
  const bytes = Deno.readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  Deno.writeFileSync(path, bytes);
}

Deno.test({
  name:
    "a flipped bit in a checkpoint or in the best model is noticed, and so is a file that is gone",
  ignore,
  fn: () =>
    inTemporaryFolder(async (out) => {
      const stopLater = (line: string) => {
        if (line.startsWith("Step 3:")) later.signal = "SIGTERM";
      };
      const later: { -readonly [K in keyof Stop]: Stop[K] } = { ...NEVER };
      await assertRejects(
        () => run(resumableRun(out, 6), { stop: later, onLine: stopLater }),
        Interrupted,
      );
      const folder = `${out}/step-000003`;
      const resume = () => run([`--resume=${out}`]);
      for (const name of ["model.safetensors", "training_state.safetensors", "config.json"]) {
        const path = `${folder}/${name}`;
        flip(path);
        const error = await assertRejects(resume, Error);
        assertStringIncludes(error.message, `Cannot read "${path}": the checksum of its bytes is`);
        flip(path);
      }
      const state = `${folder}/trainer_state.json`;
      const text = await Deno.readTextFile(state);
      await Deno.writeTextFile(state, text.replace(/"held_out": \d+/, '"held_out": 99'));
      await assertRejects(resume, Error, `Cannot read "${state}": the checksum of its content is`);
      await Deno.writeTextFile(state, text);

      await Deno.rename(folder, `${out}/step-000009`);
      await Deno.writeTextFile(`${out}/latest`, "step-000009\n");
      await assertRejects(resume, Error, "it is of step 3, expected 000009, as its folder's name");
      await Deno.rename(`${out}/step-000009`, folder);
      await Deno.writeTextFile(`${out}/latest`, "step-000003\n");

      await Deno.rename(`${folder}/training_state.safetensors`, `${out}/aside`);
      const isGone = `Cannot read "${folder}/training_state.safetensors": there is no such file`;
      await assertRejects(resume, Error, isGone);
      await assertRejects(() => run([`--resume=${out}`, "--force"]), Error, isGone);
      await Deno.rename(`${out}/aside`, `${folder}/training_state.safetensors`);

      // The best model is that of step 3; behind step 4 it is no longer written again.
      await assertRejects(() => run([`--resume=${out}`], { stop: AT_ONCE }), Interrupted);
      const best = `${out}/model.safetensors`;
      const verify = ["--dataset", "shapes", "--limit", "1", "--checkpoint", out, "--verify"];
      const checked = await runScript("eval.ts", ...verify);
      assertStringIncludes(checked.stderr, "each file as it was saved");
      flip(best);
      const damage = `Cannot read "${best}": the checksum of its bytes is`;
      await assertRejects(resume, Error, damage);
      const refused = await runScript("eval.ts", ...verify);
      assertEquals(refused.code, 1);
      assertStringIncludes(refused.stderr, damage);
      assertEquals((await run([`--resume=${out}`, "--force"])).best_step, 6, "by force without it");
    }),
});

Deno.test({
  name: "a resume after questions or pictures changed at the same count is noticed",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const [data, out] = [`${folder}/train.parquet`, `${folder}/run`];
      const png = encodePng({ width: 8, height: 8, data: new Uint8Array(8 * 8 * 3) });
      const write = (answer: string) => {
        const turns: [string, string][] = [["what?", answer]];
        writeCauldron(data, Array.from({ length: 20 }, () => ({ image: png, turns })), 4);
      };
      write("a");
      const flags = [...resumableRun(out, 2), "--train-dataset", data, "--workers", "0"];
      const all = ["--set", "data_cutoff_idx=null"];
      await assertRejects(() => run([...flags, ...all], { stop: AT_ONCE }), Interrupted);
      write("b");
      const changed = /the fingerprint of questions and pictures is "\w{8}", was "\w{8}"; expected/;
      const error = await assertRejects(() => run([`--resume=${out}`]), RangeError);
      assertMatch(error.message, changed);
      write("a");
      assertEquals((await run([`--resume=${out}`])).steps, 2);
    }),
});

Deno.test({
  name: "--resume without a run says where it looked",
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const { code, stderr } = await runScript("train.ts", `--resume=${folder}/none`);
      assertEquals(code, 1);
      assertMatch(stderr, /^Cannot resume the run in "\S+\/none": no such folder, expected/);
      const empty = await runScript("train.ts", "--resume", folder);
      assertStringIncludes(empty.stderr, "no checkpoint of a run is there");
      const named = await runScript("train.ts", "--resume", "--out", folder);
      assertStringIncludes(named.stderr, `the run in "${folder}": no checkpoint`);
    }),
});
