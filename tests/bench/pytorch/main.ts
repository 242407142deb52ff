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
  readonly figures: ReadonlyMap<string, Figures>;
}

/** What was measured of a workload. */
interface Figures {
  /** Milliseconds of a step, or tokens a second. */
  readonly speed: number;
  /** CPU time of a step or a token, milliseconds. */
  readonly cpu: number;
}

/** A process of each side, one after the other. */
interface Pair {
  readonly ours: Outcome;
  readonly theirs: Outcome;
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

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
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
  const pairs: Pair[] = [];
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
  const figures = lines.slice(1).map(({ workload, ms, tokens_per_second, cpu_ms }) => {
    const speed = Number(ms ?? tokens_per_second);
    return [String(workload), { speed, cpu: Number(cpu_ms) }] as const;
  });
  return { about: lines[0] ?? {}, figures: new Map(figures) };
}

/** @throws {Error} where the models differ, a workload is missing, or PyTorch computes without an optimized BLAS */
function checkSides(ours: Outcome, theirs: Outcome, device = "cpu"): void {
  if (ours.about.parameters !== theirs.about.parameters) {
    throw new Error(
      `Cannot compare: PyTorch's model has ${theirs.about.parameters} parameters, expected ${ours.about.parameters}`,
    );
  }
  const missing = [...ours.figures.keys()].find((workload) => {
    const { speed = NaN, cpu = NaN } = theirs.figures.get(workload) ?? {};
    return !(speed > 0 && cpu > 0);
  });
  if (missing !== undefined) {
    throw new Error(`Cannot compare: PyTorch measured no ${missing}, expected a time`);
  }
  if (device === "cpu" && !(Number(theirs.about.matmul_gflops) >= LEAST_BLAS)) {
    throw new Error(
      `Cannot compare: PyTorch multiplies matrices at ${theirs.about.matmul_gflops} GFLOP/s, expected at least ` +
        `${LEAST_BLAS}; on Debian: apt-get install libopenblas0`,
    );
  }
}

/** The medians over all pairs. Ratios are ours over PyTorch's. */
function report(pairs: readonly Pair[], isJson: boolean): void {
  const [first] = pairs;
  if (!first) return;
  const gflops = median(pairs.map(({ theirs }) => Number(theirs.about.matmul_gflops)));
  const about = {
    ours: first.ours.about,
    pytorch: { ...first.theirs.about, matmul_gflops: gflops },
  };
  console.log(isJson ? JSON.stringify(about) : header(first, gflops));
  for (const workload of first.ours.figures.keys()) {
    const of = (side: "ours" | "theirs", key: keyof Figures) =>
      median(pairs.map((pair) => pair[side].figures.get(workload)?.[key] ?? NaN));
    const [ours, pytorch] = [of("ours", "speed"), of("theirs", "speed")];
    const [ours_cpu_ms, pytorch_cpu_ms] = [of("ours", "cpu"), of("theirs", "cpu")];
    const line = {
      workload,
      unit: workload === "decode" ? "tokens/s" : "ms",
      ...{ ours, pytorch, ratio: ours / pytorch },
      ...{ ours_cpu_ms, pytorch_cpu_ms, cpu_ratio: ours_cpu_ms / pytorch_cpu_ms },
    };
    console.log(isJson ? JSON.stringify(line) : row(line));
  }
}

function header({ ours, theirs: { about } }: Pair, gflops: number): string {
  return `ours ${ours.about.dtype} on ${ours.about.device}; PyTorch ${about.pytorch} on ${about.device}, ` +
    `${about.threads} threads, products at ${gflops.toFixed(0)} GFLOP/s\n` +
    "workload               ours    PyTorch    ratio             ours CPU ms  PyTorch CPU ms    ratio";
}

function row(line: Readonly<Record<string, string | number>>): string {
  const number = (key: string, width: number, digits: number) =>
    Number(line[key]).toFixed(digits).padStart(width);
  return `${line.workload}`.padEnd(16) + number("ours", 11, 1) + number("pytorch", 11, 1) +
    number("ratio", 9, 2) + `  ${line.unit}`.padEnd(10) + number("ours_cpu_ms", 14, 1) +
    number("pytorch_cpu_ms", 16, 1) + number("cpu_ratio", 9, 2);
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
