/**
 * Evaluates a model: asks it every question of a dataset, counts right answers by kind of question, and measures the loss.
 *
 * Last stop of the data's way. `deno task eval --help` shows the command's flags.
 */
import { openDevice } from "./commands/device.ts";
import { checkpointFolder, openTokenizer, tokenizerOf } from "./commands/checkpoints.ts";
import { type Command, Interrupted, runCommand } from "./commands/command.ts";
import { badRowsShare, requireColumns } from "./commands/dataset_flags.ts";
import { EVAL_FLAGS, SPLITS } from "./commands/eval_flags.ts";
import { type Arguments, DTYPE_FLAG, UsageError } from "./commands/flags.ts";
import { noteModel } from "./commands/run_folders.ts";
import { requireFewBad, type SkippedRow } from "./data/bad_rows.ts";
import { openDataset, Samples } from "./data/datasets.ts";
import type { HubOptions } from "./data/hub.ts";
import { folded, printable, printLine } from "./data/terminal.ts";
import { LossMeter } from "./model/evaluation_step.ts";
import { Generator } from "./model/generator.ts";
import { chooseDtype } from "./model/precision.ts";
import { savedRun } from "./model/trainer_state.ts";
import { VisionLanguageModel } from "./model/vision_language_model.ts";
import type { Answer, Evaluation, Task } from "./runs/answers.ts";
import type { FrequentAnswers } from "./runs/baseline.ts";
import { evaluate, type EvaluateOptions, type Subject } from "./runs/evaluate.ts";
import { Display, showAsked } from "./runs/display.ts";
import { downloadDisplay } from "./runs/download_display.ts";
import { baselineNote, lossText, scoreTable, scoreText, short } from "./runs/report.ts";
import { type Score, uncertaintyNote, withInterval } from "./runs/score.ts";
import { EXIT_STATUS, StopSignals } from "./runs/stop_signals.ts";
import { openHeldOut } from "./runs/training_data.ts";

export { type Answer, evaluate, type EvaluateOptions, type Evaluation, type Subject, type Task };

/** Rows and questions that are named, of those that were not asked. */
const MOST_NAMED = 10;

/** The command. */
export const COMMAND: Command<typeof EVAL_FLAGS> = {
  call: "deno task eval",
  summary: "Evaluates a model: accuracy by kind of question, and loss.",
  positionals: [],
  flags: EVAL_FLAGS,
  run,
};

async function run(args: Arguments<typeof EVAL_FLAGS>): Promise<void> {
  const checkpoint = args.text("checkpoint");
  if (checkpoint === undefined) throw new UsageError("Cannot evaluate: expected --checkpoint DIR");
  if (args.has("seed") && !args.has("sample")) {
    throw new UsageError(
      "Cannot use --seed without --sample: only drawing needs it, expected both",
    );
  }
  const hub = downloadDisplay();
  const dir = await checkpointFolder(checkpoint, hub);
  noteModel(checkpoint, dir, { isNamed: true, isVerified: args.has("verify") });
  const { samples, baseline, ...all } = await openQuestions(args, dir, hub);
  const indices = all.indices.slice(0, args.number("limit"));
  const device = await openDevice(!args.has("no-tune"));
  const dtype = await chooseDtype(device, args.choice("dtype", DTYPE_FLAG.choices) ?? "auto");
  const model = await VisionLanguageModel.fromPretrained(device, dir, { dtype });
  const name = args.text("tokenizer") ?? tokenizerOf(dir, model.config);
  const tokenizer = await openTokenizer(name, model.config);
  const subject = { generator: new Generator(model), meter: new LossMeter(model), tokenizer };
  const task = args.text("task");
  const display = new Display(Deno.stderr);
  const count = indices.length.toLocaleString("en");
  display.print(folded(`Asking it ${count} questions of ${all.what}`, display.columns, 2));
  using stop = new StopSignals((name) => display.print(`${name}: stopping after this batch`));
  let soFar: (() => Evaluation) | undefined;
  const show = showAsked(display);
  try {
    const result = await evaluate(subject, samples, {
      ...(task === "vqa" || task === "mmstar" ? { task } : {}),
      batchSize: Math.min(args.number("batch-size") ?? 32, indices.length),
      ...{ indices, baseline },
      ...(args.has("sample") ? { sampleSeed: args.number("seed") ?? 0 } : {}),
      signal: stop.asked,
      onAsked: (asked, of, result) => {
        soFar = result;
        show(asked, of);
      },
    });
    soFar = () => result;
  } catch (error) {
    if (stop.signal) {
      const asked = indices.length - (soFar?.().unasked ?? indices.length);
      const what = `after ${asked} of ${count} questions`;
      throw new Interrupted(`Stopped by ${stop.signal} ${what}`, EXIT_STATUS[stop.signal]);
    }
    throw error;
  } finally {
    // Whatever ended it: the score that there is.
    display.clear();
    if (soFar) print(soFar(), samples.picturesOf(indices).size, args.has("json"));
  }
  const result = soFar();
  const allowed = badRowsShare(args);
  const rows = new Set(indices.map((index) => samples.locate(index).row)).size;
  requireFewBad(result.skipped, rows, allowed === undefined ? {} : { allowed });
  requireFinite(result);
}

/** What to ask, and each kind's most frequent answer where it is known from the training data. */
interface Questions {
  readonly samples: Samples;
  readonly indices: readonly number[];
  readonly baseline?: FrequentAnswers;
  /** For people. */
  readonly what: string;
}

/** Opens what the flags name; `dir` is the model's folder. */
async function openQuestions(
  args: Arguments<typeof EVAL_FLAGS>,
  dir: string,
  hub: HubOptions,
): Promise<Questions> {
  const dataset = args.text("dataset");
  const split = args.choice("split", SPLITS) ??
    (dataset === undefined ? "held-out" : "validation");
  if (split === "held-out") {
    if (dataset === undefined) return await openRunsQuestions(dir, hub);
    throw new UsageError(
      "Cannot use --dataset with --split held-out: it asks what the model's run held out of its own data; leave one out",
    );
  }
  if (dataset === undefined) {
    throw new UsageError(`Cannot evaluate: expected --dataset D with --split ${split}`);
  }
  const columns = requireColumns(args.text("columns"));
  const samples = await Samples.open(await openDataset(dataset, split, { columns, hub }), "all");
  const indices = Array.from({ length: samples.length }, (_, i) => i);
  const what = `${dataset} (${split})${
    trainedNote(dir, { dataset, split, questions: samples.length })
  }`;
  return { samples, indices, what };
}

/** Whether the model's run trained on some of so many questions of a dataset, or all: it held out fewer of the same one. */
function trainedNote(
  dir: string,
  { dataset, split, questions }: { dataset: string; split: string; questions: number },
): string {
  const { config, data } = savedRun(dir)?.state ?? {};
  const isSame = config?.train.train_dataset_path === dataset &&
    config.train.val_dataset_path === null;
  if (!isSame || !data) return "";
  const all = split === "train" && data.samples === questions;
  return all || data.held_out < questions
    ? `, on ${
      all ? "all" : "some"
    } of which it was trained; for what was held out leave --dataset out`
    : "";
}

/** Opens what the run held out that left the model in folder `dir`. @throws {Error} where no run is known, or its data changed */
async function openRunsQuestions(dir: string, hub: HubOptions): Promise<Questions> {
  const run = savedRun(dir);
  if (!run) {
    throw new Error(
      `Cannot tell what was held out of the data that "${dir}" was trained on: there is no checkpoint of a run in it, ` +
        `expected a folder that training wrote. Say what to ask with --dataset D.`,
    );
  }
  const { config: { train }, data: { held_out: then, revisions } } = run.state;
  const { heldOut, indices, frequent } = await openHeldOut(train, { hub, revisions });
  if (indices.length === then) {
    const what = `${train.val_dataset_path ?? train.train_dataset_path} (held out)`;
    return { samples: heldOut, indices, baseline: await frequent(), what };
  }
  throw new RangeError(
    `Cannot ask what the run of "${dir}" held out: found ${indices.length} held-out questions, expected ${then} as then. ` +
      `The data has changed; say what to ask with --dataset D.`,
  );
}

/** Prints the result, to people or as a JSON document. */
function print({ answers: _, ...result }: Evaluation, pictures: number, isJson: boolean): void {
  const known = (score: Score) => withInterval(score);
  if (isJson) {
    const { by_category: kinds, sampled, ...rest } = result;
    return printLine(JSON.stringify({
      ...known(rest),
      by_category: Object.fromEntries(
        Object.entries(kinds).map(([name, score]) => [name, known(score)]),
      ),
      ...(sampled ? { sampled: known(sampled) } : {}),
    }));
  }
  const { columns } = new Display(Deno.stdout);
  const lines = (rows: readonly SkippedRow[], what: string) => [
    ...(rows.length === 0 ? [] : [`${what}, ${rows.length.toLocaleString("en")}:`]),
    ...rows.slice(0, MOST_NAMED).map(({ imageName, reason }) =>
      `  ${printable(imageName)}: ${printable(reason)}`
    ),
    ...(rows.length > MOST_NAMED ? ["  … all of them: --json"] : []),
  ];
  const text = [
    ...lines(result.skipped, "Left out, since they cannot be read: rows"),
    ...lines(result.too_long, "Counted as wrong, since too long for the model: questions"),
    scoreTable(result, result.by_category),
    "",
    ...(result.unasked === 0 ? [] : [
      `Only a part was asked: ${result.unasked.toLocaleString("en")} questions were not`,
    ]),
    `Accuracy ${scoreText(result)}, loss ${lossText(result)}, ` +
    `${short(result.samples_per_second)} questions/s`,
    ...(result.sampled ? [`Accuracy by drawing ${scoreText(result.sampled)}`] : []),
    uncertaintyNote(result.total, pictures),
    baselineNote(result),
  ];
  printLine(folded(text.filter((line, i) => line !== "" || i === 1).join("\n"), columns, 2));
}

/** @throws {RangeError} where the loss is no number, which tells that the model's are none */
function requireFinite({ loss, labels }: Evaluation): void {
  if (labels === 0 || Number.isFinite(loss)) return;
  throw new RangeError(
    `Cannot measure the loss: found ${loss}, expected a number. The model's weights are damaged, or its numbers are too ` +
      `large for f16: try --dtype f32.`,
  );
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
