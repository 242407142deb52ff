/**
 * `deno task bench:pytorch`: our training step and decoding against PyTorch's, same model, same sizes, same machine.
 *
 * Each side runs in a process of its own (ours.ts and nanovlm.py), in turn. On the processor PyTorch gets the settings
 * that make it fastest here, see TUNING.
 */
import { type Command, runCommand } from "../../../commands/command.ts";
import { type Arguments, type Flags, UsageError, wholeNumber } from "../../../commands/flags.ts";
import { median } from "../peers/timing.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const OURS = new URL("./ours.ts", import.meta.url).pathname;
const THEIRS = new URL("./nanovlm.py", import.meta.url).pathname;

/**
 * Debian's PyTorch runs its own loops on OpenMP threads, which by default spin between them, and matrix products on
 * OpenBLAS's threads, which then find no free core; and glibc hands large tensors back to the system each time. With these
 * settings, which never replace the user's own, a step at batch 1 took 2.0 s instead of 6.6 on two cores of an AMD EPYC.
 */
const TUNING: Readonly<Record<string, string>> = {
  OMP_WAIT_POLICY: "PASSIVE",
  MALLOC_MMAP_THRESHOLD_: String(2 ** 32),
  MALLOC_TRIM_THRESHOLD_: String(2 ** 33),
  MALLOC_TOP_PAD_: String(2 ** 28),
};
/** GFLOP/s of a product of 1024 x 1024 matrices, below which PyTorch has a plain BLAS. */
const LEAST_BLAS = 20;

/** What a process printed. */
interface Outcome {
  /** Its first line. */
  readonly about: Readonly<Record<string, unknown>>;
  /** Milliseconds of a step, or tokens a second, by workload. */
  readonly figures: ReadonlyMap<string, number>;
}

const FLAGS = {
  "json": { help: "print a line of JSON for each workload; progress goes to stderr" },
  "python": { value: "FILE", help: "Python with PyTorch (default: /usr/bin/python3)" },
  "batch": { value: "N,N", help: "batches of the training step (default: 1,2)" },
  "runs": { value: "N", number: wholeNumber(1), help: "processes of each side (default: 2)" },
  "threads": { value: "N", number: wholeNumber(1), help: "PyTorch's threads (default: 2)" },
  "device": { value: "NAME", choices: ["cpu", "cuda"], help: "PyTorch's device (default: cpu)" },
  "dtype": {
    value: "NAME",
    choices: ["f32", "f16", "bf16"],
    help: "precision, PyTorch's by autocast (default: f32); beside bf16 ours is f16",
  },
} as const satisfies Flags;

const COMMAND: Command<typeof FLAGS> = {
  call: "deno task bench:pytorch",
  summary: "Compares with PyTorch: nanoVLM's 222M model, a training step and greedy decoding.\n" +
    "Exits with 1 where a side fails, with 2 where there is no Python with PyTorch.",
  positionals: [],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const python = args.text("python") ?? "/usr/bin/python3";
  await requirePytorch(python);
  const batches = chosenBatches(args.text("batch") ?? "1,2");
  const dtype = args.text("dtype") ?? "f32";
  const flags = ["threads", "device", "dtype"].flatMap((name) => {
    const value = args.text(name as "threads" | "device" | "dtype");
    return value === undefined ? [] : [`--${name}`, value];
  });
  const pairs: { ours: Outcome; theirs: Outcome }[] = [];
  const runs = args.number("runs") ?? 2;
  for (let i = 1; i <= runs; i++) {
    console.error(`Run ${i} of ${runs}`);
    const script = ["run", "-A", "--no-check", OURS, dtype === "f32" ? "f32" : "f16", batches];
    const ours = await outcomeOf(Deno.execPath(), script);
    const theirs = await outcomeOf(python, [THEIRS, "--batch", batches, ...flags]);
    checkSides(ours, theirs, args.text("device"));
    pairs.push({ ours, theirs });
  }
  report(pairs, args.has("json"));
}

function chosenBatches(text: string): string {
  if (/^[1-9]\d*(,[1-9]\d*)*$/.test(text)) return text;
  throw new UsageError(
    `Cannot use --batch ${text}: expected whole numbers of at least 1 with commas between.`,
  );
}

async function requirePytorch(python: string): Promise<void> {
  let code: number;
  try {
    const args = ["-c", "import torch"];
    ({ code } = await new Deno.Command(python, { args, stdout: "null", stderr: "null" }).output());
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    code = 127;
  }
  if (code === 0) return;
  throw new UsageError(
    `Cannot compare: "${python}" has no PyTorch, expected one; on Debian: apt-get install python3-torch ` +
      `libopenblas0, elsewhere give a Python by --python FILE.`,
  );
}

/** Runs one side and reads its lines. @throws {Error} where it fails */
async function outcomeOf(command: string, args: readonly string[]): Promise<Outcome> {
  const { code, stdout, stderr } = await new Deno.Command(command, {
    args: [...args],
    cwd: ROOT,
    stdin: "null",
    env: { ...TUNING, ...Deno.env.toObject(), NO_COLOR: "1", PYTHONDONTWRITEBYTECODE: "1" },
  }).output();
  if (code !== 0) {
    const last = new TextDecoder().decode(stderr).trim().split("\n").slice(-3).join(" ");
    throw new Error(`Cannot compare: ${command} ended with exit status ${code}: ${last}`);
  }
  const lines = new TextDecoder().decode(stdout).trim().split("\n")
    .map((line): Record<string, unknown> => JSON.parse(line));
  const figures = lines.slice(1).map(({ workload, ms, tokens_per_second }) =>
    [String(workload), Number(ms ?? tokens_per_second)] as const
  );
  return { about: lines[0] ?? {}, figures: new Map(figures) };
}

/** @throws {Error} where the models differ, or PyTorch computes without an optimized BLAS */
function checkSides({ about: ours }: Outcome, { about: theirs }: Outcome, device = "cpu"): void {
  if (ours.parameters !== theirs.parameters) {
    throw new Error(
      `Cannot compare: PyTorch's model has ${theirs.parameters} parameters, expected ${ours.parameters}`,
    );
  }
  if (device === "cpu" && !(Number(theirs.matmul_gflops) >= LEAST_BLAS)) {
    throw new Error(
      `Cannot compare: PyTorch multiplies matrices at ${theirs.matmul_gflops} GFLOP/s, expected at least ` +
        `${LEAST_BLAS}; on Debian: apt-get install libopenblas0`,
    );
  }
}

/** The medians over all pairs. */
function report(pairs: readonly { ours: Outcome; theirs: Outcome }[], isJson: boolean): void {
  const [first] = pairs;
  if (!first) return;
  const { about } = first.theirs;
  const sides = { ours: first.ours.about.device, pytorch: about.pytorch, device: about.device };
  const gflops = median(pairs.map(({ theirs }) => Number(theirs.about.matmul_gflops)));
  if (isJson) {
    console.log(
      JSON.stringify({ ...sides, threads: about.threads, pytorch_matmul_gflops: gflops }),
    );
  } else {
    console.log(
      `ours on ${sides.ours}, PyTorch ${sides.pytorch} on ${sides.device}, ${about.threads} threads, ` +
        `${gflops.toFixed(0)} GFLOP/s\nworkload                ours      PyTorch    ratio`,
    );
  }
  for (const workload of first.ours.figures.keys()) {
    const of = (side: "ours" | "theirs") =>
      median(pairs.map((pair) => pair[side].figures.get(workload) ?? NaN));
    const [ours, pytorch] = [of("ours"), of("theirs")];
    const unit = workload === "decode" ? "tokens_per_second" : "ms";
    if (isJson) {
      console.log(JSON.stringify({ workload, unit, ours, pytorch, ratio: ours / pytorch }));
    } else {
      console.log(
        workload.padEnd(14) + [ours, pytorch].map((x) => x.toFixed(1).padStart(13)).join("") +
          (ours / pytorch).toFixed(2).padStart(9) + (unit === "ms" ? "  ms" : "  tokens/s"),
      );
    }
  }
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
