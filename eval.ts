/**
 * Evaluates a model: asks it every question of a dataset, counts right answers by kind of question, and measures the loss.
 *
 * Last stop of the data's way. `deno task eval --help` shows the command's flags.
 */
import { openDevice } from "./commands/device.ts";
import { checkpointFolder, openTokenizer, tokenizerOf } from "./commands/checkpoints.ts";
import { type Command, Interrupted, runCommand } from "./commands/command.ts";
import { requireColumns } from "./commands/dataset_flags.ts";
import { EVAL_FLAGS } from "./commands/eval_flags.ts";
import { type Arguments, DTYPE_FLAG, UsageError } from "./commands/flags.ts";
import { noteModel } from "./commands/run_folders.ts";
import { requireFewBad, type SkippedRow } from "./data/bad_rows.ts";
import { openDataset, Samples } from "./data/datasets.ts";
import { folded, printable, printLine } from "./data/terminal.ts";
import { LossMeter } from "./model/evaluation_step.ts";
import { Generator } from "./model/generator.ts";
import { chooseDtype } from "./model/precision.ts";
import { VisionLanguageModel } from "./model/vision_language_model.ts";
import type { Answer, Evaluation, Task } from "./runs/answers.ts";
import { evaluate, type EvaluateOptions, type Subject } from "./runs/evaluate.ts";
import { Display, showAsked } from "./runs/display.ts";
import { downloadDisplay } from "./runs/download_display.ts";
import { baselineNote, lossText, scoreTable, scoreText, short } from "./runs/report.ts";
import { type Score, uncertaintyNote, withInterval } from "./runs/score.ts";
import { EXIT_STATUS, StopSignals } from "./runs/stop_signals.ts";

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
  const [checkpoint, dataset] = [args.text("checkpoint"), args.text("dataset")];
  if (checkpoint === undefined || dataset === undefined) {
    throw new UsageError("Cannot evaluate: expected both --checkpoint DIR and --dataset D");
  }
  const hub = downloadDisplay();
  const dir = await checkpointFolder(checkpoint, hub);
  noteModel(checkpoint, dir, { isNamed: true, isVerified: args.has("verify") });
  const columns = requireColumns(args.text("columns"));
  const opened = await openDataset(dataset, "validation", { columns, hub });
  const samples = await Samples.open(opened, "all");
  const total = Math.min(samples.length, args.number("limit") ?? Infinity);
  const indices = Array.from({ length: total }, (_, i) => i);
  const device = await openDevice(!args.has("no-tune"));
  const dtype = await chooseDtype(device, args.choice("dtype", DTYPE_FLAG.choices) ?? "auto");
  const model = await VisionLanguageModel.fromPretrained(device, dir, { dtype });
  const name = args.text("tokenizer") ?? tokenizerOf(dir, model.config);
  const tokenizer = await openTokenizer(name, model.config);
  const subject = { generator: new Generator(model), meter: new LossMeter(model), tokenizer };
  const task = args.text("task");
  const display = new Display(Deno.stderr);
  using stop = new StopSignals((name) => display.print(`${name}: stopping after this batch`));
  let soFar: (() => Evaluation) | undefined;
  const show = showAsked(display);
  try {
    const result = await evaluate(subject, samples, {
      ...(task === "vqa" || task === "mmstar" ? { task } : {}),
      batchSize: Math.min(args.number("batch-size") ?? 32, total),
      indices,
      ...(args.has("sample") ? { sampleSeed: args.number("seed") ?? 0 } : {}),
      signal: stop.asked,
      onAsked: (asked, of, result) => {
        soFar = result;
        show(asked, of);
      },
    });
    soFar = () => result;
  } catch (error) {
    if (stop.signal) throw new Interrupted(`Stopped by ${stop.signal}`, EXIT_STATUS[stop.signal]);
    throw error;
  } finally {
    // Whatever ended it: the score that there is.
    display.clear();
    if (soFar) print(soFar(), samples.rowsOf(indices).size, args.has("json"));
  }
  const result = soFar();
  requireFewBad(result.skipped, samples.rowsOf(indices).size);
  requireFinite(result);
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
    ...(rows.length === 0 ? [] : [`${rows.length.toLocaleString("en")} ${what}:`]),
    ...rows.slice(0, MOST_NAMED).map(({ imageName, reason }) =>
      `  ${printable(imageName)}: ${printable(reason)}`
    ),
    ...(rows.length > MOST_NAMED ? ["  … all of them: --json"] : []),
  ];
  const text = [
    ...lines(result.skipped, "rows that cannot be read are left out"),
    ...lines(result.too_long, "questions that are too long for the model count as wrong"),
    scoreTable(result, result.by_category),
    "",
    ...(result.unasked === 0 ? [] : [
      `Only the first part was asked: ${result.unasked.toLocaleString("en")} questions were not`,
    ]),
    `Accuracy ${scoreText(result)}, loss ${lossText(result.loss, result.labels)}, ` +
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
