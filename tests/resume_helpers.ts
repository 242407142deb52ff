// Shared by the tests of resuming: a run small enough to be stopped often, and whether two runs left the same.
import { assertEquals } from "@std/assert";
import { parseFlags } from "../commands/flags.ts";
import { TRAIN_FLAGS, trainingRequest } from "../commands/training_config.ts";
import { openSafetensors } from "../model/safetensors.ts";
import type { TrainerState } from "../model/trainer_state.ts";
import { Display } from "../runs/display.ts";
import type { Stop } from "../runs/stop_signals.ts";
import { train, type TrainingReport } from "../train.ts";

/** Flags for a run of a few thousand parameters on drawn shapes; epochs end after 3 steps. */
export function resumableRun(out: string, steps: number): string[] {
  const flags = `--out ${out} --max-steps ${steps} --batch-size 4 --eval-every 3 ` +
    "--checkpoint-every 2 --eval-limit 12 --dtype f32 --no-tune";
  const settings = "lm_n_blocks=1 vit_n_blocks=1 mmstar_batch_size=4 data_cutoff_idx=3 " +
    "lm_hidden_dim=16 lm_inter_dim=16 vit_hidden_dim=16 vit_inter_dim=16 lm_n_heads=2 vit_n_heads=2";
  return [...flags.split(" "), ...settings.split(" ").flatMap((setting) => ["--set", setting])];
}

/** Trains in this process. @param options `onLine` sees what is shown, `stop` may end it */
export async function run(
  flags: readonly string[],
  { onLine = () => {}, stop }: { onLine?: (line: string) => void; stop?: Stop } = {},
): Promise<TrainingReport> {
  const display = new Display({
    isTerminal: () => false,
    writeSync: (bytes) => {
      onLine(new TextDecoder().decode(bytes));
      return bytes.length;
    },
  });
  return await train(await trainingRequest(parseFlags(flags, TRAIN_FLAGS, [])), display, stop);
}

/** What differs from run to run: times, and memory by the plans that a process has recorded. */
const VARYING = new Set(
  "samples_per_second tokens_per_second data_wait time gpu_bytes gpu_peak_bytes".split(" "),
);

/** The lines of a run's metrics.jsonl, but for what varies and for what each start says of the run. */
export function metricsOf(out: string): Record<string, unknown>[] {
  const lines = Deno.readTextFileSync(`${out}/metrics.jsonl`).trimEnd().split("\n")
    .map((line): Record<string, unknown> => JSON.parse(line));
  return lines.filter((line) => !("run" in line)).map((line) =>
    Object.fromEntries(Object.entries(line).filter(([key]) => !VARYING.has(key)))
  );
}

function stateOf(folder: string) {
  const state: TrainerState = JSON.parse(Deno.readTextFileSync(`${folder}/trainer_state.json`));
  // Bytes differ by the digits of times, memory by the plans that a process has recorded.
  return {
    ...state,
    checksum: "",
    metrics_bytes: 0,
    peak_bytes: 0,
    log: { ...state.log, seconds: 0 },
  };
}

/** Fails unless both runs left the same bytes, metrics, and checkpoints of the same steps; only times may differ. */
export function assertSameRun(found: string, expected: string): void {
  assertEquals(metricsOf(found), metricsOf(expected));
  // Each start begins an event file.
  const names = (folder: string) =>
    [...Deno.readDirSync(folder)].map(({ name }) => name)
      .filter((name) => !name.startsWith("events.")).sort();
  const isCheckpoint = (name: string) => name.startsWith("step-");
  const rest = (folder: string) => names(folder).filter((name) => !isCheckpoint(name));
  assertEquals(rest(found), rest(expected));
  assertEquals(names(found).length >= names(expected).length, true, "as many checkpoints are kept");
  const checkpoints = names(found).filter((name) =>
    isCheckpoint(name) && names(expected).includes(name)
  );
  assertEquals(checkpoints.at(-1), names(expected).findLast(isCheckpoint));
  const files = ["latest", "config.json", "model.safetensors", "example.png"];
  for (const name of checkpoints) {
    assertEquals(stateOf(`${found}/${name}`), stateOf(`${expected}/${name}`));
    for (const file of ["config.json", "model.safetensors", "training_state.safetensors"]) {
      files.push(`${name}/${file}`);
    }
  }
  for (const file of files) {
    const [a, b] = [found, expected].map((folder) => Deno.readFileSync(`${folder}/${file}`));
    assertEquals(a!.length === b!.length && a!.every((byte, i) => byte === b![i]), true, file);
  }
}

/** Fails unless the checkpoint that `latest` names is whole; says whether there is one. */
export function assertWhole(out: string): boolean {
  const names = [...Deno.readDirSync(out)].map(({ name }) => name);
  if (!names.includes("latest")) return false;
  const folder = `${out}/${Deno.readTextFileSync(`${out}/latest`).trim()}`;
  stateOf(folder);
  for (const file of ["model.safetensors", "training_state.safetensors"]) {
    openSafetensors(`${folder}/${file}`).close(); // checks the length
  }
  return true;
}
