// Kills a training run at random moments, the writing of checkpoints included, resumes it each time, and compares what it
// leaves with an uninterrupted run: deno run -A tests/kill.ts --kills 50
// Not part of the suite, since it takes minutes; train_resume_test.ts does the same with a few kills.
import { type Command, runCommand } from "../commands/command.ts";
import { type Arguments, type Flags, wholeNumber } from "../commands/flags.ts";
import { Random } from "../data/random.ts";
import { assertSameRun, assertWhole, resumableRun } from "./resume_helpers.ts";

const ROOT = new URL("../", import.meta.url).pathname;

/** What a kill interrupted. */
export interface Kill {
  readonly run: number;
  /** Steps that the newest checkpoint had taken. */
  readonly step: number;
  readonly millisecondsAfterStart: number;
  /** What the process was at, by what it left. */
  readonly moment: string;
}

/** How to kill. */
export interface KillOptions {
  readonly kills: number;
  /** Of a run. */
  readonly steps: number;
  readonly seed: number;
  readonly onKill?: (kill: Kill) => void;
}

/**
 * Kills runs until there were `kills` of them. A run that comes to its end before is compared with an uninterrupted one, and
 * another one begins; the last one is resumed to its end and compared too.
 *
 * @throws {AssertionError} where a run ends otherwise, or leaves a checkpoint that is not whole
 */
export async function killRuns({ kills, steps, seed, onKill }: KillOptions): Promise<Kill[]> {
  const folder = await Deno.makeTempDir();
  const random = new Random(seed);
  const out = `${folder}/run`, expected = `${folder}/expected`;
  const done: Kill[] = [];
  try {
    const milliseconds = await finish(out, resumableRun(out, steps));
    await Deno.rename(out, expected);
    for (let run = 1; done.length < kills; run++) {
      let isOver = false;
      let newest = 0;
      while (!isOver && done.length < kills) {
        const isSaved = await exists(out) && assertWhole(out);
        const flags = isSaved ? [`--resume=${out}`] : resumableRun(out, steps);
        const killed = await kill(out, flags, { random, milliseconds });
        if (!killed) isOver = true;
        else {
          const step = assertWholeIfThere(out);
          if (step < newest) {
            throw new Error(`Cannot go on from step ${newest}: only ${step} is left`);
          }
          newest = step;
          const left = { run, step, ...killed };
          done.push(left);
          onKill?.(left);
        }
      }
      const isSaved = await exists(out) && assertWhole(out);
      if (!isOver) await finish(out, isSaved ? [`--resume=${out}`] : resumableRun(out, steps));
      assertSameRun(out, expected);
      await Deno.remove(out, { recursive: true });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
  return done;
}

function start(flags: readonly string[]): Deno.ChildProcess {
  return new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", "train.ts", ...flags],
    cwd: ROOT,
    env: { XDG_RUNTIME_DIR: "/tmp" },
    stdin: "null",
    stdout: "null",
    stderr: "piped",
  }).spawn();
}

/** Runs to the end; the time it took. */
async function finish(out: string, flags: readonly string[]): Promise<number> {
  const begin = performance.now();
  const process = start(flags);
  const { code, stderr } = await process.output();
  if (code === 0) return performance.now() - begin;
  throw new Error(`Cannot finish the run in "${out}": ${new TextDecoder().decode(stderr)}`);
}

/** What a checkpoint's way to the disk consists of, as momentOf() tells it. */
const MOMENTS = [
  ...["writing config.json", "writing model.safetensors", "writing training_state.safetensors"],
  ...[
    "writing trainer_state.json",
    "writing, 4 files done",
    "a checkpoint renamed, latest not yet",
  ],
  ...["replacing latest", "removing an old checkpoint", "replacing model.safetensors"],
];

const CALM = ["between checkpoints", "before the first checkpoint"];

/** Kills a run at a random moment, every other time at one of those; undefined where it was over before. */
async function kill(
  out: string,
  flags: readonly string[],
  { random, milliseconds }: { random: Random; milliseconds: number },
) {
  // What an earlier kill has left says nothing about this process, until it is gone.
  const before = momentOf(out);
  let isFresh = CALM.includes(before);
  const begin = performance.now();
  const process = start(flags);
  const status = process.status;
  let isOver = false;
  status.then(() => isOver = true);
  const moment = MOMENTS[random.below(2 * MOMENTS.length)];
  const from = random.below(Math.ceil(milliseconds));
  while (!isOver && performance.now() - begin < from) {
    isFresh ||= momentOf(out) !== before;
    await delay(1);
  }
  while (moment && !isOver && !(isFresh && isSoon(out, moment))) {
    isFresh ||= momentOf(out) !== before;
    await delay(0);
  }
  if (moment) await delay(random.below(3));
  const after = Math.round(performance.now() - begin);
  if (!isOver) process.kill("SIGKILL");
  const { signal, code } = await status;
  const stderr = new TextDecoder().decode((await process.stderr.bytes()).slice());
  const left = isFresh ? momentOf(out) : "starting again";
  if (signal === "SIGKILL") return { millisecondsAfterStart: after, moment: left };
  if (code !== 0) throw new Error(`Cannot go on with the run in "${out}": ${stderr}`);
  return undefined;
}

function delay(milliseconds: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, milliseconds));
}

async function exists(path: string): Promise<boolean> {
  return await Deno.stat(path).then(() => true, () => false);
}

function namesIn(folder: string): string[] {
  try {
    return [...Deno.readDirSync(folder)].map(({ name }) => name);
  } catch {
    return []; // not yet, or no more
  }
}

/** Whether the run is at that moment; looks for up to 5 ms, for some take less than one. */
function isSoon(out: string, moment: string): boolean {
  for (const end = performance.now() + 5; performance.now() < end;) {
    if (momentOf(out) === moment) return true;
  }
  return false;
}

function assertWholeIfThere(out: string): number {
  if (!namesIn(out).includes("latest") || !assertWhole(out)) return 0;
  return Number(Deno.readTextFileSync(`${out}/latest`).trim().slice("step-".length));
}

function readLatest(out: string): string {
  try {
    return Deno.readTextFileSync(`${out}/latest`).trim();
  } catch {
    return ""; // it is removed, or replaced just now
  }
}

/** What is interrupted, by what is there. */
function momentOf(out: string): string {
  const names = namesIn(out);
  const partial = names.find((name) => name.endsWith(".partial"));
  const steps = names.filter((name) => name.startsWith("step-")).sort();
  const latest = names.includes("latest") ? readLatest(out) : "";
  if (partial?.startsWith(".step-")) {
    const files = namesIn(`${out}/${partial}`).sort();
    const isOld = steps.some((name) => name > partial.slice(1));
    if (isOld) return "removing an old checkpoint";
    const open = files.find((name) => name.endsWith(".partial"));
    return open
      ? `writing ${open.slice(0, -".partial".length)}`
      : `writing, ${files.length} files done`;
  }
  if (partial) return `replacing ${partial.slice(0, -".partial".length)}`;
  const newest = steps.at(-1) ?? "";
  if (newest > latest) return "a checkpoint renamed, latest not yet";
  return latest === "" ? "before the first checkpoint" : "between checkpoints";
}

const FLAGS = {
  "kills": { value: "N", number: wholeNumber(1), help: "how many (default: 50)" },
  "steps": { value: "N", number: wholeNumber(3), help: "steps of a run (default: 24)" },
  "seed": {
    value: "N",
    number: wholeNumber(0),
    help: "another one kills at other moments (default: 0)",
  },
} as const satisfies Flags;

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno run -A tests/kill.ts",
  summary: "Kills training runs at random moments, resumes them, and compares what they leave.",
  positionals: [],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const begin = performance.now();
  const done = await killRuns({
    kills: args.number("kills") ?? 50,
    steps: args.number("steps") ?? 24,
    seed: args.number("seed") ?? 0,
    onKill: ({ run, step, millisecondsAfterStart, moment }) =>
      console.log(`run ${run}, ${millisecondsAfterStart} ms, saved step ${step}: ${moment}`),
  });
  const counts = Map.groupBy(done, ({ moment }) => moment);
  console.log("\n| killed while | times |\n| --- | ---: |");
  for (const [moment, { length }] of [...counts].sort(([, a], [, b]) => b.length - a.length)) {
    console.log(`| ${moment} | ${length} |`);
  }
  const runs = done.at(-1)?.run;
  console.log(
    `\n${done.length} kills in ${runs} runs, all ended as an uninterrupted one, byte for byte; ` +
      `${Math.round((performance.now() - begin) / 1000)} s`,
  );
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
