// Shared by the tests of the three commands: a tiny dataset on disk, a run in a second, commands as processes.
import { Shapes } from "../data/shapes.ts";
import { encodePng } from "../data/png_encoder.ts";
import type { RgbImage } from "../data/rgb_image.ts";
import { writeCauldron } from "./data/helpers.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** Whether there is something to compute on; says so where not. */
export const hasAdapter: boolean = await navigator.gpu?.requestAdapter() != null;
if (!hasAdapter) console.log("tests that compute are skipped: no WebGPU adapter was found");

/** Writes 12 rows to train on and 5 to hold out, of four questions each, and returns their folder. */
export async function writeDataset(): Promise<string> {
  const folder = await Deno.makeTempDir();
  for (const [split, rows] of [["train", 12], ["validation", 5]] as const) {
    const shapes = new Shapes(split, { rows });
    const written = Array.from({ length: rows }, (_, i) => {
      const { image, turns } = shapes.row(i);
      return {
        image: encodePng(image as RgbImage),
        turns: turns.map(({ question, answer, category }): [string, string, string] => [
          question,
          answer,
          category,
        ]),
      };
    });
    writeCauldron(`${folder}/${split}.parquet`, written);
  }
  return folder;
}

/** Flags for a run of three steps on such data. */
export function smallRun(data: string, out: string): string[] {
  const flags =
    `--train-dataset ${data} --out ${out} --force --max-steps 3 --batch-size 4 --eval-every 2 --dtype f32`;
  const settings = "lm_n_blocks=1 vit_n_blocks=1 mmstar_batch_size=8".split(" ");
  return [...flags.split(" "), ...settings.flatMap((setting) => ["--set", setting])];
}

/** What a process left. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  /** Without what graphics drivers say. */
  readonly stderr: string;
}

/** Runs one of the scripts; it does not reach the Hub. */
export async function runScript(script: string, ...args: string[]): Promise<Outcome> {
  return await runScriptWith({}, script, ...args);
}

/** Runs one of the scripts with more environment variables, such as HF_ENDPOINT. */
export async function runScriptWith(
  env: Readonly<Record<string, string>>,
  script: string,
  ...args: string[]
): Promise<Outcome> {
  const command = ["run", "-A", "--quiet", script, ...args, "--no-tune"];
  return await runProcess(Deno.execPath(), command, env);
}

/** Runs any command in the project's folder. */
export async function runProcess(
  command: string,
  args: string[],
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  const output = await new Deno.Command(command, {
    args,
    cwd: ROOT,
    env: { XDG_RUNTIME_DIR: "/tmp", NO_COLOR: "1", HF_HUB_OFFLINE: "1", ...env },
  }).output();
  const [stdout, stderr] = [output.stdout, output.stderr].map((bytes) =>
    new TextDecoder().decode(bytes)
  );
  return { code: output.code, stdout: stdout!, stderr: stderr! };
}
