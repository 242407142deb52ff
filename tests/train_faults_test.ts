// Tests of what ends a run from outside: a lost GPU, data that goes away. What was saved stays, and the error says so.
import {
  assert,
  assertEquals,
  assertMatch,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import { existsSync } from "node:fs";
import { encodePng } from "../data/png_encoder.ts";
import { savedRun } from "../model/trainer_state.ts";
import { readHistory } from "../runs/run_history.ts";
import { OutOfMemoryError } from "../shaders/runtime/device.ts";
import { inTemporaryFolder, writeCauldron } from "./data/helpers.ts";
import { assertSameRun, assertWhole, metricsOf, resumableRun, run } from "./resume_helpers.ts";
import { hasAdapter } from "./run_helpers.ts";

const ignore = !hasAdapter;

/** Calls `use` while every GPU that is opened is noted. */
async function withGpus(use: (gpus: GPUDevice[]) => Promise<void>): Promise<void> {
  const { requestDevice } = GPUAdapter.prototype;
  const gpus: GPUDevice[] = [];
  GPUAdapter.prototype.requestDevice = async function (descriptor) {
    const gpu = await requestDevice.call(this, descriptor);
    gpus.push(gpu);
    return gpu;
  };
  try {
    await use(gpus);
  } finally {
    GPUAdapter.prototype.requestDevice = requestDevice;
  }
}

Deno.test({
  name: "a run whose GPU is lost says how to go on, and goes on as if it had not been",
  ignore,
  fn: () =>
    inTemporaryFolder((folder) =>
      withGpus(async (gpus) => {
        const [out, lost] = [`${folder}/run`, `${folder}/lost`]; // a checkpoint names its folder
        const error = await assertRejects(
          () =>
            run(resumableRun(out, 6), {
              onLine: (line) => {
                if (line.startsWith("Step 3:")) gpus.at(-1)?.destroy();
              },
            }),
          Error,
        );
        assertStringIncludes(error.message, "the GPU was lost");
        assertStringIncludes(error.message, `deno task train --resume=${out}`);
        assert(assertWhole(out));
        await run([`--resume=${out}`]);
        await Deno.rename(out, lost);
        await run(resumableRun(out, 6));
        assertSameRun(lost, out);
      })
    ),
});

/** Calls `use` with a GPU that says at every new buffer, once `isFull`, that its memory is full. */
async function withFullGpu(isFull: () => boolean, use: () => Promise<void>): Promise<void> {
  const { popErrorScope, pushErrorScope } = GPUDevice.prototype;
  const scopes: GPUErrorFilter[] = [];
  GPUDevice.prototype.pushErrorScope = function (filter) {
    scopes.push(filter);
    return pushErrorScope.call(this, filter);
  };
  GPUDevice.prototype.popErrorScope = async function () {
    const filter = scopes.pop();
    const error = await popErrorScope.call(this);
    return filter === "out-of-memory" && isFull() ? new GPUOutOfMemoryError("full") : error;
  };
  try {
    await use();
  } finally {
    Object.assign(GPUDevice.prototype, { popErrorScope, pushErrorScope });
  }
}

Deno.test({
  name: "a run whose GPU is out of memory says what takes less and how to go on, and then does",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const [out, full] = [`${folder}/run`, `${folder}/full`];
      // Step 2 is saved; then there is no room for the evaluation after step 3.
      const isSaved = () => existsSync(`${out}/step-000002`);
      await withFullGpu(isSaved, async () => {
        const error = await assertRejects(() => run(resumableRun(out, 4)), OutOfMemoryError);
        assertStringIncludes(error.message, "out of GPU memory");
        assertStringIncludes(error.message, "--recompute on");
        assertStringIncludes(error.message, `deno task train --resume=${out}`);
      });
      assert(assertWhole(out));
      await run([`--resume=${out}`, "--recompute", "on"]);
      await Deno.rename(out, full);
      await run(resumableRun(out, 4));
      assertEquals(metricsOf(full), metricsOf(out));
    }),
});

Deno.test({
  name: "a start that fails behind the lock gives the folder free",
  ignore,
  fn: () =>
    inTemporaryFolder(async (out) => {
      await Deno.mkdir(`${out}/metrics.jsonl`); // which is to be a file
      await assertRejects(() => run(resumableRun(out, 1)), Error, "Cannot write to the output");
      await Deno.remove(`${out}/metrics.jsonl`);
      assertEquals((await run(resumableRun(out, 1))).steps, 1);
    }),
});

Deno.test({
  name: "a run is saved before it evaluates, whatever becomes of that",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const out = `${folder}/run`;
      const flags = resumableRun(out, 6);
      flags[flags.indexOf("--checkpoint-every") + 1] = "3"; // with each evaluation
      const isSaved = () => existsSync(`${out}/step-000003`);
      await withFullGpu(isSaved, async () => {
        const error = await assertRejects(() => run(flags), OutOfMemoryError);
        assertStringIncludes(error.message, "go on from step 3 with");
      });
      assertEquals(savedRun(out)?.state.is_evaluated, false);
    }),
});

Deno.test({
  name:
    "held-out questions that are too long, and rows that cannot be read, end no run; all are listed",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const data = `${folder}/data`;
      Deno.mkdirSync(data);
      const picture = encodePng({ width: 8, height: 8, data: new Uint8Array(192) });
      const row = (question: string, answer: string, image = picture) => ({
        image,
        turns: [[question, answer, "k"]] as [string, string, string][],
      });
      const good = Array.from({ length: 9 }, (_, i) => row(`${i}?`, "a"));
      writeCauldron(`${data}/train.parquet`, good);
      const broken = new TextEncoder().encode("no picture");
      writeCauldron(`${data}/validation.parquet`, [
        ...good.slice(0, 2),
        row("b?", "b", broken),
        row("word ".repeat(3000), "c"),
        row("d?", "word ".repeat(3000)),
      ]);
      const out = `${folder}/run`;
      const flags = [...resumableRun(out, 3), "--train-dataset", data];
      const flagsOfAll = [...flags, "--set", "data_cutoff_idx=null", "--set", "lm_max_length=40"];
      const { total, correct, skipped, too_long, pictures } = await run(flagsOfAll);
      assertEquals([total, skipped.length, too_long.length, pictures], [4, 1, 2, 5]);
      assert(correct <= 2);
      const evaluations = metricsOf(out).filter(({ accuracy }) => accuracy !== undefined);
      assertEquals(
        evaluations.map(({ too_long, left_out }) => [too_long, left_out]),
        [[2, 1], [2, 1]],
      );
      const lines = Deno.readTextFileSync(`${out}/bad_rows.jsonl`).trimEnd().split("\n");
      const places = lines.map((line) => JSON.parse(line)).map(({ part, place }) => [
        part,
        place.replace(/.*row /, "row "),
      ]);
      assertEquals(places.sort(), [["held out", "row 2"], ["held out", "row 3"], [
        "held out",
        "row 4",
      ]]);
      assert(assertWhole(out));
    }),
});

Deno.test({
  name: "a run that meets too many bad rows lists them, and goes on where they are allowed",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const [data, out] = [`${folder}/data.parquet`, `${folder}/run`];
      const picture = encodePng({ width: 8, height: 8, data: new Uint8Array(192) });
      const broken = new TextEncoder().encode("no picture");
      writeCauldron(
        data,
        Array.from({ length: 24 }, (_, i) => ({
          image: i % 2 === 0 ? picture : broken,
          turns: [[`${i}?`, "a", "k"]] as [string, string, string][],
        })),
      );
      const flags = [
        ...[...resumableRun(out, 6), "--train-dataset", data, "--val-dataset", "shapes"],
        ...["--set", "data_cutoff_idx=null", "--set", "lm_max_length=46"],
      ];
      const error = await assertRejects(() => run(flags), RangeError);
      assertMatch(error.message, /\d+ of \d+ rows cannot be read, .*--allow-bad-rows \d+%/);
      assertStringIncludes(error.message, `all that were found are in ${out}/bad_rows.jsonl`);
      const [, count] = /: (\d+) of/.exec(error.message)!;
      const text = Deno.readTextFileSync(`${out}/bad_rows.jsonl`);
      assertEquals(text.trimEnd().split("\n").length, Number(count));
      assertEquals((await run([...flags, "--force", "--allow-bad-rows", "50%"])).steps, 6);
    }),
});

Deno.test({
  name: "a second run in the folder of one is refused, and harms nothing",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const [out, alone] = [`${folder}/run`, `${folder}/alone`];
      const refused: unknown[] = [];
      let others: Promise<void>[] = [];
      await run(resumableRun(out, 6), {
        onLine: (line) => {
          if (!line.startsWith("Step 3:")) return;
          const second = [[`--resume=${out}`], [...resumableRun(out, 6), "--force"]];
          others = second.map((flags) =>
            assertRejects(() => run(flags), Error).then((error) => void refused.push(error.message))
          );
        },
      });
      await Promise.all(others);
      assertEquals(refused.length, 2);
      for (const message of refused) {
        assertStringIncludes(String(message), "another process is training there");
      }
      await Deno.rename(out, alone);
      await run(resumableRun(out, 6));
      assertSameRun(alone, out);
    }),
});

Deno.test({
  name: "a run whose clock jumps, by a year and back, is the same run",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const [out, jumped] = [`${folder}/run`, `${folder}/jumped`];
      const { now } = Date;
      const year = 365 * 24 * 3600 * 1000;
      let seen = "";
      try {
        const { seconds } = await run(resumableRun(out, 6), {
          onLine: (line) => {
            seen += line;
            Date.now = line.startsWith("Step 3:") ? () => now() - year : () => now() + year;
          },
        });
        assert(seconds >= 0 && seconds < 3600, `${seconds} s`);
      } finally {
        Date.now = now;
      }
      assert(readHistory(out).seconds < 3600);
      for (const [, left] of seen.matchAll(/ (\S+) left/g)) assertMatch(left!, /^\d?\d:\d\d$/);
      await Deno.rename(out, jumped);
      await run(resumableRun(out, 6));
      assertSameRun(jumped, out);
    }),
});

Deno.test({
  name: "a run whose file of data is cut short under it says so, and goes on with the whole one",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const [data, out, cut] = [`${folder}/train.parquet`, `${folder}/run`, `${folder}/cut`];
      const png = encodePng({ width: 8, height: 8, data: new Uint8Array(8 * 8 * 3) });
      const rows = Array.from({ length: 40 }, (_, i) => ({
        image: png,
        turns: [["what?", `${i}`]] as [string, string][],
      }));
      writeCauldron(data, rows, 2);
      const bytes = await Deno.readFile(data);
      const flags = [...resumableRun(out, 40), "--train-dataset", data, "--workers", "0"];
      const settings = "data_cutoff_idx=null val_ratio=0.2 shuffle_buffer_megabytes=0".split(" ")
        .flatMap((setting) => ["--set", setting]);
      const error = await assertRejects(
        () =>
          run([...flags, ...settings], {
            onLine: (line) => {
              if (line.startsWith("Step 3:")) Deno.truncateSync(data, 100);
            },
          }),
        RangeError,
      );
      assertStringIncludes(error.message, "rows cannot be read");
      assertStringIncludes(error.message, `deno task train --resume=${out}`);
      assert(assertWhole(out));
      await Deno.writeFile(data, bytes);
      await run([`--resume=${out}`, "--workers", "0"]);
      await Deno.rename(out, cut);
      await run([...flags, ...settings]);
      assertSameRun(cut, out);
    }),
});

/** A folder with 8 pictures and a question about each. */
async function writePictures(folder: string): Promise<void> {
  const data = new Uint8Array(8 * 8 * 3);
  const png = encodePng({ width: 8, height: 8, data });
  await Deno.mkdir(`${folder}/pictures`, { recursive: true });
  const lines = Array.from({ length: 8 }, (_, i) => {
    Deno.writeFileSync(`${folder}/pictures/${i}.png`, png);
    return JSON.stringify({ image: `pictures/${i}.png`, question: "what?", answer: `${i}` });
  });
  await Deno.writeTextFile(`${folder}/metadata.jsonl`, lines.join("\n"));
}

Deno.test({
  name: "a run whose pictures go away names them and says how to go on",
  ignore,
  fn: () =>
    inTemporaryFolder(async (folder) => {
      const [data, out] = [`${folder}/data`, `${folder}/run`];
      await writePictures(data);
      const flags = [...resumableRun(out, 40), "--train-dataset", data, "--workers", "0"];
      const settings = ["--set", "data_cutoff_idx=null", "--set", "val_ratio=0.2"];
      const error = await assertRejects(
        () =>
          run([...flags, ...settings], {
            onLine: (line) => {
              if (line.startsWith("Step 3:")) {
                Deno.removeSync(`${data}/pictures`, { recursive: true });
              }
            },
          }),
        RangeError,
      );
      assertStringIncludes(error.message, "rows cannot be read");
      assertStringIncludes(error.message, "pictures/");
      assertStringIncludes(
        error.message,
        `with: deno task train --resume=${out}`,
      );
      assertEquals(assertWhole(out), true);
    }),
});
