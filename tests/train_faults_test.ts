// Tests of what ends a run from outside: a lost GPU, data that goes away. What was saved stays, and the error says so.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { parseFlags } from "../commands/flags.ts";
import { TRAIN_FLAGS, trainingRequest } from "../commands/training_config.ts";
import { encodePng } from "../data/png_encoder.ts";
import { Display } from "../runs/display.ts";
import { train } from "../train.ts";
import { assertSameRun, assertWhole, resumableRun } from "./resume_helpers.ts";
import { hasAdapter } from "./run_helpers.ts";

const ignore = !hasAdapter;

/** Runs in this process; `onLine` sees what is shown. */
async function run(flags: readonly string[], onLine: (line: string) => void = () => {}) {
  const display = new Display({
    isTerminal: () => false,
    writeSync: (bytes) => {
      onLine(new TextDecoder().decode(bytes));
      return bytes.length;
    },
  });
  return await train(await trainingRequest(parseFlags(flags, TRAIN_FLAGS, [])), display);
}

async function withFolder(use: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    await use(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

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
    withFolder((folder) =>
      withGpus(async (gpus) => {
        const [out, lost] = [`${folder}/run`, `${folder}/lost`]; // a checkpoint names its folder
        const error = await assertRejects(
          () =>
            run(resumableRun(out, 6), (line) => {
              if (line.startsWith("Step 3:")) gpus.at(-1)?.destroy();
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
    withFolder(async (folder) => {
      const [data, out] = [`${folder}/data`, `${folder}/run`];
      await writePictures(data);
      const flags = [...resumableRun(out, 40), "--train-dataset", data, "--workers", "0"];
      const settings = ["--set", "data_cutoff_idx=null", "--set", "val_ratio=0.2"];
      const error = await assertRejects(
        () =>
          run([...flags, ...settings], (line) => {
            if (line.startsWith("Step 3:")) {
              Deno.removeSync(`${data}/pictures`, { recursive: true });
            }
          }),
        RangeError,
      );
      assertStringIncludes(error.message, "rows that cannot be read");
      assertStringIncludes(error.message, "pictures/");
      assertStringIncludes(
        error.message,
        `with: deno task train --resume=${out}`,
      );
      assertEquals(assertWhole(out), true);
    }),
});
