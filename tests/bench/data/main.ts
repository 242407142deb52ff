/**
 * `deno task bench:data`: how many samples the loader makes a second and a core, how that grows
 * with its workers, and whether its memory stays flat.
 *
 * Every measurement runs in a process of its own (load.ts) on files written by pictures.ts, with a
 * shuffle buffer smaller than them and without keeping decoded pictures.
 */
import { type Command, runCommand } from "../../../commands/command.ts";
import { type Arguments, type Flags, UsageError, wholeNumber } from "../../../commands/flags.ts";
import { commit } from "../header.ts";
import type { Load, Loaded } from "./load.ts";
import { writePictures } from "./pictures.ts";

const SHARED_TOKENIZER = new URL("../../../../shared/data/smollm2-tokenizer", import.meta.url);
const MEBIBYTE = 2 ** 20;
const BATCH_SIZE = 20;

const FLAGS = {
  "json": { help: "print one JSON object; progress goes to stderr" },
  "samples": {
    value: "N",
    number: wholeNumber(BATCH_SIZE),
    help: "samples for each number of workers (default: 1000)",
  },
  "workers": { value: "LIST", help: "numbers of workers, with commas between (default: 0,1,2,4)" },
  "memory-samples": {
    value: "N",
    number: wholeNumber(0),
    help: "small pictures to load while watching the memory (default: 50000); 0 leaves that out",
  },
  "tokenizer": {
    value: "DIR",
    help: "its folder (default: SmolLM2's beside this repository where it is, else bytes)",
  },
} as const satisfies Flags;

/** One line of the table of throughput. */
interface Throughput extends Loaded {
  readonly workers: number;
  readonly samples_per_second: number;
  readonly samples_per_cpu_second: number;
}

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno task bench:data",
  summary:
    "Measures loading: JPEG files of 640x480 in Parquet files to pixels of 224x224 and tokens.",
  positionals: [],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const tokenizer = args.text("tokenizer") ?? await defaultTokenizer();
  const folder = await Deno.makeTempDir();
  try {
    const throughput: Throughput[] = [];
    for (const workers of workersOf(args.text("workers") ?? "0,1,2,4")) {
      throughput.push(await measureThroughput({ folder, tokenizer, workers, args }));
    }
    const samples = args.number("memory-samples") ?? 50_000;
    const memory = samples === 0 ? [] : await measureMemory({ folder, tokenizer, samples });
    const name = tokenizer.split("/").at(-1);
    const header = await headerLine();
    if (args.has("json")) {
      console.log(JSON.stringify({ header, tokenizer: name, throughput, memory }));
    } else console.log(report({ header, tokenizer: name, throughput, memory }));
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

async function defaultTokenizer(): Promise<string> {
  try {
    await Deno.stat(SHARED_TOKENIZER);
    return SHARED_TOKENIZER.pathname;
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
    return "bytes";
  }
}

function workersOf(list: string): number[] {
  const numbers = list.split(",").map(Number);
  if (numbers.every((number) => Number.isInteger(number) && number >= 0)) return numbers;
  throw new UsageError(`Cannot measure with "${list}" workers: expected whole numbers from 0 on`);
}

/** Runs load.ts. @throws {Error} where it fails */
async function inProcess(load: Load): Promise<Loaded> {
  const script = new URL("./load.ts", import.meta.url).pathname;
  const { success, stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", script, JSON.stringify(load)],
    stderr: "inherit",
  }).output();
  if (!success) throw new Error("Cannot measure loading: its process failed");
  return JSON.parse(new TextDecoder().decode(stdout));
}

async function measureThroughput(
  { folder, tokenizer, workers, args }: {
    folder: string;
    tokenizer: string;
    workers: number;
    args: Arguments<typeof FLAGS>;
  },
): Promise<Throughput> {
  const dataset = `${folder}/640x480`;
  await writeOnce(dataset, { rows: 800, size: { width: 640, height: 480 }, groupRows: 50 });
  console.error(`${workers} workers`);
  const warmUp = BATCH_SIZE * (3 + 2 * workers);
  const samples = args.number("samples") ?? 1000;
  const loaded = await inProcess({
    ...{ dataset, tokenizer, workers, batchSize: BATCH_SIZE, pictures: { vit_img_size: 224 } },
    bufferBytes: 16 * MEBIBYTE,
    cacheBytes: 0,
    ...{ warmUp, samples, looks: [warmUp + samples] },
  });
  return {
    workers,
    samples_per_second: loaded.samples / loaded.seconds,
    samples_per_cpu_second: loaded.samples / loaded.cpuSeconds,
    ...loaded,
  };
}

/** Resident memory after a tenth, half and all of the samples, in the default setting. */
async function measureMemory(
  { folder, tokenizer, samples }: { folder: string; tokenizer: string; samples: number },
): Promise<{ samples: number; residentBytes: number }[]> {
  const dataset = `${folder}/160x120`;
  const rows = Math.ceil(samples / 5);
  await writeOnce(dataset, { rows, size: { width: 160, height: 120 }, groupRows: 100 });
  console.error(`memory over ${samples} samples`);
  const looks = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1].map((share) => share * samples);
  const { residentBytes } = await inProcess({
    ...{ dataset, tokenizer, workers: 1, batchSize: BATCH_SIZE, pictures: { vit_img_size: 64 } },
    bufferBytes: 16 * MEBIBYTE,
    cacheBytes: 16 * MEBIBYTE,
    warmUp: 0,
    ...{ samples, looks },
  });
  return residentBytes.map((bytes, i) => ({ samples: looks[i] ?? 0, residentBytes: bytes }));
}

async function writeOnce(folder: string, what: Parameters<typeof writePictures>[1]): Promise<void> {
  try {
    await Deno.mkdir(folder);
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return;
    throw error;
  }
  const bytes = await writePictures(folder, what);
  console.error(`${what.rows} pictures, ${(bytes / MEBIBYTE).toFixed(0)} MiB`);
}

async function headerLine(): Promise<string> {
  const threads = `${Deno.build.os} ${Deno.build.arch}, ${navigator.hardwareConcurrency} threads`;
  const date = new Date().toISOString().slice(0, 10);
  return `${await processor()}, ${threads}; Deno ${Deno.version.deno}; commit ${await commit()}; ${date}`;
}

async function processor(): Promise<string> {
  if (Deno.build.os !== "linux") return "processor unknown";
  const facts = await Deno.readTextFile("/proc/cpuinfo");
  return /^model name\s*:\s*(.*)$/m.exec(facts)?.[1] ?? "processor unknown";
}

function report(
  { header, tokenizer, throughput, memory }: {
    header: string;
    tokenizer: string | undefined;
    throughput: readonly Throughput[];
    memory: readonly { samples: number; residentBytes: number }[];
  },
): string {
  const lines = throughput.map((row) =>
    [
      row.workers,
      row.samples_per_second.toFixed(0),
      row.samples_per_cpu_second.toFixed(0),
      (row.cpuSeconds / row.seconds).toFixed(2),
      ((row.residentBytes[0] ?? 0) / MEBIBYTE).toFixed(0),
    ].join(" | ")
  );
  return [
    `${header}; tokenizer ${tokenizer}`,
    "",
    "| workers | samples/s | samples per CPU second | cores in use | resident MiB |",
    "| ---: | ---: | ---: | ---: | ---: |",
    ...lines.map((line) => `| ${line} |`),
    ...(memory.length === 0 ? [] : ["", "| samples | resident MiB |", "| ---: | ---: |"]),
    ...memory.map(({ samples, residentBytes }) =>
      `| ${samples} | ${(residentBytes / MEBIBYTE).toFixed(0)} |`
    ),
  ].join("\n");
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
