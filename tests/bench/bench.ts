/**
 * Measures kernels and whole steps on this machine's GPU: `deno task bench --help`.
 *
 * The command line; peaks.ts, kernels.ts and steps.ts measure, report.ts prints. Ours; no upstream.
 */
import { type Command, runCommand } from "../../commands/command.ts";
import { NO_TUNE_FLAG, openDevice } from "../../commands/device.ts";
import { type Arguments, type Flags, wholeNumber } from "../../commands/flags.ts";
import { presets, type VLMConfig } from "../../model/config.ts";
import { expectedParameters } from "../../model/checkpoint.ts";
import { type Device, DeviceError } from "../../shaders/runtime/device.ts";
import { type Activation, elements } from "../../shaders/runtime/tensor.ts";
import { attentionCases } from "./attention_cases.ts";
import { writeDocument } from "./document.ts";
import { describe, headerOf } from "./header.ts";
import { type KernelCase, type KernelRow, measureCase } from "./kernels.ts";
import { linearCases, squareCase } from "./linear_cases.ts";
import { memoryCases } from "./memory_cases.ts";
import { optimizerCases } from "./optimizer_cases.ts";
import { higher, measurePeaks, type Peaks } from "./peaks.ts";
import {
  describePeaks,
  KERNEL_COLUMNS,
  line,
  PROFILE_COLUMNS,
  type Results,
  STEP_COLUMNS,
} from "./report.ts";
import {
  makeModel,
  measureSteps,
  type ProfileRow,
  profileStep,
  type StepRow,
  type StepSubject,
} from "./steps.ts";
import type { Budget } from "./timing.ts";

const FLAGS = {
  "filter": {
    value: "TEXT",
    many: true,
    help:
      'only what has TEXT in its section and name, such as linear, "222m vision fc1" or "steps 222m training, batch 1"; ' +
      "sections are linear, attention, memory and steps; may be given several times",
  },
  "preset": {
    value: "NAME",
    choices: ["222m", "tiny"],
    help: "only this model's shapes (default: both)",
  },
  "dtype": {
    value: "TYPE",
    choices: ["f32", "f16"],
    help: "f32, the default, or f16: mixed precision",
  },
  "quick": { help: "one batch size and few repetitions: a first look" },
  "no-tune": NO_TUNE_FLAG,
  "profile": { help: "instead: where a training step's time goes, kernel by kernel" },
  "batch-size": {
    value: "N",
    number: wholeNumber(1),
    help: "for --profile (default: 1, or tiny's 64)",
  },
  "json": { help: "print a line of JSON for every row instead of tables" },
  "output": {
    value: "FILE",
    help:
      "also write the measured sections into this Markdown file, and the plot beside it, such as docs/benchmarks.md",
  },
} as const satisfies Flags;

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno task bench",
  summary:
    "Measures kernels and whole steps on this machine's GPU: first what the device reaches, " +
    "then every kernel at the\nmodels' shapes, checked and beside a naive one, then whole steps.",
  positionals: [],
  flags: FLAGS,
  run,
};

/** What is measured; `tiny` as it learns easy-VQA, with SmolLM2's vocabulary. */
const MODELS: Readonly<Record<"222m" | "tiny", VLMConfig>> = {
  "222m": presets["222m"].vlm,
  tiny: { ...presets.tiny.vlm, lm_vocab_size: 49152, lm_max_length: 17 },
};
type Preset = keyof typeof MODELS;

/** How long a kernel, and a step, is measured. */
const KERNEL_BUDGET: Budget = { milliseconds: 300, runs: 15 };
const STEP_BUDGET: Budget = { milliseconds: 1000, runs: 10 };
const QUICK_BUDGET: Budget = { milliseconds: 60, runs: 5 };
/** A step of a larger batch is measured if it should take less than this, in milliseconds. */
const LONGEST_STEP = 40_000;
/** A device this fast also gets products and attention of a batch that fills it, in GFLOP/s. */
const FAST = 2000;

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const bench = await Bench.open(args);
  for (const preset of bench.presets) {
    if (args.has("profile")) await bench.profile(preset);
    else await bench.kernels(preset);
  }
  if (!args.has("profile")) {
    for (const preset of bench.presets) await bench.steps(preset);
  }
  const output = args.text("output");
  if (output !== undefined) await bench.write(output);
}

/** A run of the command. */
class Bench {
  readonly kernelRows: KernelRow[] = [];
  readonly stepRows: StepRow[] = [];
  readonly profileRows: ProfileRow[] = [];
  readonly presets: readonly Preset[];
  readonly dtype: Activation;
  readonly #printed = new Set<unknown>();

  private constructor(
    readonly device: Device,
    readonly args: Arguments<typeof FLAGS>,
    readonly header: Results["header"],
    readonly peaks: Peaks,
  ) {
    const preset = args.text("preset");
    this.dtype = args.choice("dtype", ["f32", "f16"]) ?? "f32";
    this.presets = preset === "222m" || preset === "tiny" ? [preset] : ["tiny", "222m"];
  }

  /** Opens the device, measures its peaks and prints what stands on top. */
  static async open(args: Arguments<typeof FLAGS>): Promise<Bench> {
    const device = await openDevice(!args.has("no-tune"));
    const header = await headerOf(device, Deno.args);
    if (!args.has("json")) console.log(describe(header));
    const peaks = await measurePeaks(device);
    if (args.has("json")) {
      console.log(JSON.stringify({ bench: "header", ...header }));
      console.log(JSON.stringify({ bench: "peaks", ...peaks }));
    } else console.log(`${describePeaks(peaks)}\n`);
    return new Bench(device, args, header, peaks);
  }

  /** Whether a name passes the filters. */
  wants(section: string, name: string): boolean {
    const filters = this.args.texts("filter");
    const text = `${section} ${name}`;
    return filters.length === 0 || filters.some((filter) => text.includes(filter));
  }

  /** Every kernel at a preset's shapes. */
  async kernels(preset: Preset): Promise<void> {
    const budget = this.args.has("quick") ? QUICK_BUDGET : KERNEL_BUDGET;
    const wanted = this.#cases(preset, MODELS[preset])
      .filter(({ section, name }) => this.wants(section, name));
    for (const kernelCase of wanted) {
      const rows = await measureCase(this.device, kernelCase, { peaks: this.peaks, budget });
      for (const row of rows) this.#print("kernel", KERNEL_COLUMNS, row);
      this.kernelRows.push(...rows);
    }
  }

  #cases(preset: Preset, config: VLMConfig): KernelCase[] {
    const { device, peaks, args, dtype } = this;
    const [quick, fast] = [args.has("quick"), peaks.f32.rate > FAST];
    const tiny = preset === "tiny";
    const batches = tiny ? [64] : quick ? [1] : [1, 2, ...(fast ? [32] : [])];
    const attended = tiny ? [64] : quick ? [1] : [1, 2, 8, ...(fast ? [32] : [])];
    const parameters = expectedParameters(config).reduce(
      (sum, { shape }) => sum + elements(shape),
      0,
    );
    return [
      ...(tiny ? [] : [squareCase(peaks, dtype)]),
      ...linearCases(preset, config, { batches, dtype }),
      ...attentionCases(preset, config, { batches: attended, dtype }),
      ...memoryCases(preset, config, { batch: batches.at(-1) ?? 1, dtype }),
      ...optimizerCases(preset, parameters, {
        limit: device.limits.maxStorageBufferBindingSize,
        dtype,
      }),
    ];
  }

  /** Whole steps of a preset, by batch size. */
  async steps(preset: Preset): Promise<void> {
    const [all, some] = this.#batches(preset);
    const kinds = ["forward", "training", "prefill", "decoding"] as const;
    const wanted = (batch: number) =>
      kinds.filter((kind) =>
        (kind === "training" || some.includes(batch)) &&
        this.wants("steps", `${preset} ${kind}, batch ${batch}`)
      );
    if (!all.some((batch) => wanted(batch).length > 0)) return;
    const budget = this.args.has("quick") ? QUICK_BUDGET : STEP_BUDGET;
    await this.#withModel(preset, budget, async (subject) => {
      let longest = 0;
      for (const batch of all) {
        if (2 * longest > LONGEST_STEP) break;
        const rows = await this.#stepsOrNone(subject, batch, wanted(batch));
        if (rows === undefined) break;
        for (const row of rows) this.#print("step", STEP_COLUMNS, row);
        this.stepRows.push(...rows);
        longest = Math.max(...rows.map(({ milliseconds }) => milliseconds));
      }
    });
  }

  /** The steps of a batch size; none, and a line that says why, where a batch after the first one does not fit. */
  async #stepsOrNone(
    subject: StepSubject,
    batch: number,
    kinds: readonly StepRow["step"][],
  ): Promise<StepRow[] | undefined> {
    try {
      return await measureSteps(subject, batch, kinds);
    } catch (error) {
      if (!(error instanceof DeviceError) || batch === 1) throw error;
      const { preset } = subject;
      if (this.args.has("json")) {
        console.log(JSON.stringify({ bench: "too large", preset, batch, reason: error.message }));
      } else console.log(`${preset}, batch ${batch}: ${error.message}`);
      return undefined;
    }
  }

  /** Batch sizes of training steps, and those of all kinds of steps. */
  #batches(preset: Preset): [readonly number[], readonly number[]] {
    const powers = (most: number) => Array.from({ length: Math.log2(most) + 1 }, (_, i) => 2 ** i);
    const quick = this.args.has("quick");
    if (preset === "tiny") return quick ? [[64], [64]] : [powers(128), [1, 64]];
    if (quick) return [[1], [1]];
    // A software driver takes the processor's memory, all of it, before it says no.
    return [powers(this.device.adapter.isFallbackAdapter ? 4 : 256), [1, 2]];
  }

  /** Where a training step's time goes. */
  async profile(preset: Preset): Promise<void> {
    const batch = this.args.number("batch-size") ?? (preset === "tiny" ? 64 : 1);
    await this.#withModel(preset, STEP_BUDGET, async (subject) => {
      const rows = await profileStep(subject, batch);
      if (!this.args.has("json")) console.log(`${preset}, batch ${batch}:`);
      for (const row of rows) this.#print("profile", PROFILE_COLUMNS, row);
      this.profileRows.push(...rows);
    });
  }

  async #withModel(
    preset: Preset,
    budget: Budget,
    work: (subject: StepSubject) => Promise<void>,
  ): Promise<void> {
    const { model, optimizer } = await makeModel(
      this.device,
      MODELS[preset],
      this.dtype,
    );
    await work({ preset, model, optimizer, peaks: this.peaks, budget });
    optimizer.destroy();
    model.destroy();
  }

  #print<R>(bench: string, columns: Parameters<typeof line<R>>[0], row: R): void {
    if (this.args.has("json")) return console.log(JSON.stringify({ bench, ...row }));
    if (!this.#printed.has(columns)) {
      this.#printed.add(columns);
      console.log(line(columns));
    }
    console.log(line(columns, row));
  }

  /** Writes the measured sections into a Markdown file, and the plot beside it, by the better of two measured peaks. */
  async write(file: string): Promise<void> {
    const { header, kernelRows: kernels, stepRows: steps, profileRows: profiles } = this;
    const peaks = higher(this.peaks, await measurePeaks(this.device));
    await writeDocument(file, { header, peaks, kernels, steps, profiles });
  }
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
