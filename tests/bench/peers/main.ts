/**
 * `deno task bench:peers`: our kernels and our training step against other WebGPU libraries, on the same adapter.
 *
 * Every library runs in a process of its own (ours.ts, and the scripts of the peers' harness), ours right before each of
 * the others, so that both meet the same machine. Ratios are the peer's time over ours.
 */
import { type Command, runCommand } from "../../../commands/command.ts";
import { type Arguments, type Flags, UsageError, wholeNumber } from "../../../commands/flags.ts";
import { openHarness } from "./harness.ts";
import { type Outcome, readOutcome, type Workload } from "./outcome.ts";
import { median } from "./timing.ts";

const ROOT = new URL("../../../", import.meta.url).pathname;
const OURS = new URL("./ours.ts", import.meta.url).pathname;

/** The peers: what they are called, their scripts, what follows the workload's name, and what they have. */
const PEERS = [
  { name: "jax-js", script: "jaxjs.ts", args: ["webgpu"], trains: true, masks: true },
  { name: "tfjs", script: "tfjs.ts", args: ["webgpu"], trains: true, masks: true },
  { name: "ort", script: "ort.ts", args: ["webgpu", "jspi"], trains: false, masks: false },
] as const;
type Peer = typeof PEERS[number];

/** What --only names, what the scripts call it, and what they measure. */
const GROUPS = {
  matmul: { script: "matmul", workloads: ["matmul"] },
  attention: { script: "attn", workloads: ["attention", "attention_causal"] },
  train: { script: "train", workloads: ["train"] },
} as const satisfies Record<string, { script: string; workloads: readonly Workload[] }>;
type Group = keyof typeof GROUPS;
const GROUP_NAMES = Object.keys(GROUPS) as Group[];

/** A process that takes longer than this, in milliseconds, hangs. */
const LONGEST_RUN = 20 * 60_000;

/** One line of the report. */
interface Comparison {
  readonly workload: Workload;
  readonly peer: Peer["name"];
  readonly ours_cpu_ms: number;
  readonly peer_cpu_ms: number;
  readonly ours_wall_ms: number;
  readonly peer_wall_ms: number;
  readonly cpu_ratio: number;
  readonly wall_ratio: number;
}

const FLAGS = {
  "json": { help: "print a line of JSON for each workload and peer; progress goes to stderr" },
  "only": { value: "NAMES", help: `some of ${GROUP_NAMES.join(",")}, with commas between` },
  "runs": {
    value: "N",
    number: wholeNumber(1),
    help: "processes of each library (default: 2), of whose medians the median counts",
  },
  "peers": {
    value: "DIR",
    help: "the peers' harness (default: ../shared/peers beside this repository)",
  },
  "install": {
    help:
      "install the peers' libraries anew in the user's cache; missing ones are installed anyway",
  },
} as const satisfies Flags;

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno task bench:peers",
  summary:
    "Compares with other WebGPU libraries: a matrix product, attention, and a training step.\n" +
    "Exits with 1 where a peer fails or its numbers are wrong, with 2 where the peers are not there.",
  positionals: [],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const groups = chosenGroups(args.text("only"));
  const source = args.text("peers") ?? `${ROOT}../shared/peers`;
  const folder = await openHarness(source, args.has("install"));
  const runs = args.number("runs") ?? 2;
  const isJson = args.has("json");
  const failures: string[] = [];
  if (!isJson) console.log(header());
  for (const group of groups) {
    for (const peer of PEERS.filter(({ trains }) => trains || group !== "train")) {
      try {
        for (const line of compare(group, peer, await runPairs({ folder, group, peer, runs }))) {
          console.log(isJson ? JSON.stringify(line) : row(line));
        }
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error);
        failures.push(`${group}, ${peer.name}: ${reason}`);
        if (isJson) {
          console.log(JSON.stringify({ workload: group, peer: peer.name, error: reason }));
        } else console.log(`${group.padEnd(18)}${peer.name.padEnd(8)}FAILED`);
      }
    }
  }
  if (failures.length > 0) throw new Error(`Cannot compare everything: ${failures.join("; ")}`);
}

function chosenGroups(names: string | undefined): readonly Group[] {
  if (names === undefined) return GROUP_NAMES;
  const chosen = names.split(",");
  const unknown = chosen.find((name) => !GROUP_NAMES.some((known) => known === name));
  if (unknown === undefined) return GROUP_NAMES.filter((name) => chosen.includes(name));
  throw new UsageError(
    `Cannot compare "${unknown}": expected some of ${GROUP_NAMES.join(",")}, with commas between.`,
  );
}

/** What our process and a peer's printed. */
interface Pair {
  readonly ours: Outcome;
  readonly theirs: Outcome;
}

/** Runs ours and the peer in turn, `runs` times. @throws {Error} where one fails, is wrong, or has another adapter */
async function runPairs(
  { folder, group, peer, runs }: { folder: string; group: Group; peer: Peer; runs: number },
): Promise<Pair[]> {
  const { script, workloads } = GROUPS[group];
  const masked = (workload: Workload) => workload === "attention_causal";
  const theirWorkloads = workloads.filter((workload) => peer.masks || !masked(workload));
  const pairs: Pair[] = [];
  for (let i = 1; i <= runs; i++) {
    console.error(`${group}, ${peer.name}: run ${i} of ${runs}`);
    const ours = readOutcome(await runScript([OURS, script], ROOT, "ours"), workloads);
    const command = [peer.script, script, ...peer.args];
    const theirs = readOutcome(await runScript(command, folder, peer.name), theirWorkloads);
    if (ours.adapter !== theirs.adapter) {
      throw new Error(`ran on "${theirs.adapter}", expected our adapter "${ours.adapter}"`);
    }
    pairs.push({ ours, theirs });
  }
  return pairs;
}

/** Runs a script in a new process and gives its standard output. @throws {Error} where it fails */
async function runScript(command: readonly string[], cwd: string, name: string): Promise<string> {
  const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", ...command],
    cwd,
    stdin: "null",
    env: { NO_COLOR: "1" },
    signal: AbortSignal.timeout(LONGEST_RUN),
  }).output();
  if (code === 0) return new TextDecoder().decode(stdout);
  const last = new TextDecoder().decode(stderr).trim().split("\n").slice(-3).join(" ");
  throw new Error(`${name} ended with exit status ${code}: ${last}`);
}

/** The medians over all pairs, a line for each workload that the peer has. */
function compare(group: Group, peer: Peer, pairs: readonly Pair[]): Comparison[] {
  return GROUPS[group].workloads.flatMap((workload) => {
    const of = (side: keyof Pair, key: "ms" | "cpu_ms") =>
      median(
        pairs.flatMap((pair) =>
          pair[side].measurements.filter((found) => found.workload === workload)
            .map((found) => found[key])
        ),
      );
    const [ours_cpu_ms, peer_cpu_ms] = [of("ours", "cpu_ms"), of("theirs", "cpu_ms")];
    const [ours_wall_ms, peer_wall_ms] = [of("ours", "ms"), of("theirs", "ms")];
    if (Number.isNaN(peer_cpu_ms)) return [];
    return [{
      workload,
      peer: peer.name,
      ...{ ours_cpu_ms, peer_cpu_ms, ours_wall_ms, peer_wall_ms },
      cpu_ratio: peer_cpu_ms / ours_cpu_ms,
      wall_ratio: peer_wall_ms / ours_wall_ms,
    }];
  });
}

function header(): string {
  const columns = ["ours CPU ms", "peer CPU ms", "ratio", "ours wall ms", "peer wall ms", "ratio"];
  return "workload          peer    " + columns.map((name) => name.padStart(13)).join("");
}

function row(line: Comparison): string {
  const { ours_cpu_ms, peer_cpu_ms, cpu_ratio, ours_wall_ms, peer_wall_ms, wall_ratio } = line;
  const numbers = [ours_cpu_ms, peer_cpu_ms, cpu_ratio, ours_wall_ms, peer_wall_ms, wall_ratio];
  return line.workload.padEnd(18) + line.peer.padEnd(8) +
    numbers.map((number) => number.toFixed(1).padStart(13)).join("");
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
