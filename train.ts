/**
 * Trains a model: batches from the loader, one recorded step for each, an evaluation now and then, the best model kept.
 *
 * Start reading here: `train()` composes everything else. `deno task train --help` shows the command's flags.
 * Source: train() of nanoVLM v0.1, train.py.
 */
import { openDevice } from "./commands/device.ts";
import { copyTokenizer, localTokenizer, openTokenizer } from "./commands/checkpoints.ts";
import { type Command, runCommand } from "./commands/command.ts";
import type { Arguments } from "./commands/flags.ts";
import { TRAIN_FLAGS, type TrainingRequest, trainingRequest } from "./commands/training_config.ts";
import { openDataset, Samples } from "./data/datasets.ts";
import { evaluate, type Evaluation, type Subject } from "./eval.ts";
import type { Config } from "./model/config.ts";
import { LossMeter } from "./model/evaluation_step.ts";
import { Generator } from "./model/generator.ts";
import { imageTokens } from "./model/inputs.ts";
import { AdamW } from "./model/optimizer.ts";
import { ratesAt } from "./model/schedule.ts";
import type { TrainingPlan } from "./model/training_plan.ts";
import { Trainer } from "./model/training_step.ts";
import { chooseDtype } from "./model/precision.ts";
import { VisionLanguageModel } from "./model/vision_language_model.ts";
import { baselineAccuracy } from "./runs/baseline.ts";
import { BestModel } from "./runs/best_model.ts";
import { Display } from "./runs/display.ts";
import { chooseExamples, type Example, generateCommand, savePicture } from "./runs/examples.ts";
import { megabytes, planReport, planText, requirePlan } from "./runs/plan_report.ts";
import { folded, percent, type Score, scoreTable } from "./runs/report.ts";
import { RunLog } from "./runs/run_log.ts";
import { StepLog } from "./runs/step_log.ts";
import {
  openTrainingData,
  requireLocal,
  sampleOf,
  type TrainingData,
} from "./runs/training_data.ts";
import { openWeights } from "./runs/weights.ts";
import { Device } from "./shaders/runtime/device.ts";

/** What came of a run. Scores and loss are the saved model's, on all held-out questions. */
export interface TrainingReport extends Score {
  /** The folder with the model, metrics.jsonl and report.html. */
  readonly out: string;
  /** Steps taken. */
  readonly steps: number;
  /** The step after which the saved model was the best one. */
  readonly best_step: number;
  /** Mean over the labels of the held-out questions. */
  readonly loss: number;
  /** By kind of question. */
  readonly by_category: Readonly<Record<string, Score>>;
  /** Accuracy of always giving each kind of question's most frequent answer; null for multiple choice. */
  readonly baseline_accuracy: number | null;
  /** On `test_dataset_path`, where there is one. */
  readonly test_accuracy: number | null;
  /** What the plan said that training takes on the GPU. */
  readonly planned_bytes: number;
  /** The most that it took there before the first evaluation. */
  readonly peak_bytes: number;
  /** From the first step to the last evaluation while training. */
  readonly seconds: number;
  /** Questions about five held-out pictures. */
  readonly examples: readonly Example[];
  /** A command to try next. */
  readonly command: string;
}

/** Held-out questions that are asked while training, at most; in the end all are. */
const MOST_WHILE_TRAINING = 512;

interface Run {
  readonly config: Config;
  readonly steps: number;
  readonly device: Device;
  readonly data: TrainingData;
  readonly test: Samples | undefined;
  readonly runLog: RunLog;
  readonly model: VisionLanguageModel;
  readonly plan: TrainingPlan;
  readonly trainer: Trainer;
  readonly subject: Subject;
  readonly best: BestModel;
}

/**
 * Trains a model and leaves the best one in the output folder.
 *
 * @throws {DeviceError} {ShaderError} where the device cannot do it
 * @throws {RangeError} where the loss is no number any more, or sizes do not fit
 * @throws {Error} {SyntaxError} {TypeError} where a file is missing, damaged or of no known kind
 */
export async function train(
  request: TrainingRequest,
  display: Display = new Display(Deno.stdout),
): Promise<TrainingReport> {
  const run = await prepare(request);
  const { steps, data, runLog, model, trainer, subject, best } = run;
  const { vlm, train } = run.config;
  display.print(folded(describe(run), display.columns));
  const log = new StepLog(display, runLog, steps);
  let peakBytes: number | undefined;
  try {
    for (let step = 1; step <= steps; step++) {
      const batch = await data.loader.next();
      const rates = ratesAt(step - 1, steps, train);
      await trainer.step(batch, rates); // does not wait for the GPU

      const tokens = batch.realTokens + batch.size * imageTokens(vlm);
      log.take({ step, samples: batch.size, tokens, rates, cut: batch.cutRows });
      const isDue = step === steps || train.eval_in_epochs && step % train.eval_interval === 0;
      if (log.isFull || isDue) log.settle(await trainer.results(), data.loader);

      if (isDue) {
        peakBytes ??= run.device.peakBytes;
        const indices = sampleOf(data.indices, MOST_WHILE_TRAINING);
        const batchSize = train.mmstar_batch_size;
        const result = await evaluate(subject, data.heldOut, { batchSize, indices });
        const isSaved = await best.consider(model, step, result);
        await runLog.evaluation(step, result, { samples: data.heldOut });
        display.print(evaluationLine(step, result) + (isSaved ? ", saved" : ""));
        log.resume(data.loader);
      }
    }
    if (log.cutNote) display.print(log.cutNote);
    best.restore(model);
    return await finish(run, { seconds: log.seconds, peakBytes: peakBytes ?? 0 });
  } finally {
    display.clear();
    await release(run);
  }
}

/** Opens data, device and model; what can fail for want of a file does so before the GPU is asked for anything. */
async function prepare(
  { config: { vlm: asked, train }, checkpoint, out, memory, tuned = false }: TrainingRequest,
): Promise<Run> {
  using weights = openWeights({ vlm: asked, train }, checkpoint);
  const { vlm, sources: backbones } = weights;
  const tokenizerName = localTokenizer(vlm.lm_tokenizer);
  const tokenizer = await openTokenizer(tokenizerName, vlm);
  const test = await openTest(train.test_dataset_path);
  const data = await openTrainingData({ vlm, train });
  try {
    const runLog = RunLog.open(out);
    await copyTokenizer(tokenizerName, out);
    const device = await openDevice(tuned);
    const dtype = await chooseDtype(device, train.dtype);
    const plan = await requirePlan(device, { vlm, train }, { memory, dtype });
    const { seed, initialization } = train;
    const options = { training: true, dtype, seed, initialization, backbones };
    const model = await VisionLanguageModel.fromScratch(device, vlm, options);
    const subject = { generator: new Generator(model), meter: new LossMeter(model), tokenizer };
    const trainer = new Trainer(model, new AdamW(model.store), plan);
    const steps = train.max_training_steps ?? train.epochs * data.loader.batchesPerEpoch;
    const best = new BestModel(out);
    runLog.begin({ config: { vlm, train }, steps, plan, device });
    return {
      config: { vlm, train },
      ...{ steps, device, data, test, runLog, model, plan, trainer, subject, best },
    };
  } catch (error) {
    data.loader.close();
    throw error;
  }
}

async function openTest(path: string | null): Promise<Samples | undefined> {
  if (path === null) return undefined;
  requireLocal(path, "--val-dataset D, or --set test_dataset_path=null to do without that test");
  return await Samples.open(await openDataset(path, "validation"), "all");
}

/** Frees the GPU's memory and ends the loader. */
async function release({ data, runLog, subject, trainer, model, device }: Run): Promise<void> {
  data.loader.close();
  runLog.close();
  for (const part of [subject.generator, subject.meter, trainer]) await part.destroy();
  trainer.optimizer.destroy();
  model.destroy();
  device.destroy();
}

/** What is known before the first step. */
function describe({ config: { vlm, train }, steps, device, data, model, plan }: Run): string {
  const count = (prefix: string) =>
    model.store.shapes.filter(({ name }) => name.startsWith(prefix))
      .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
  const parts = ["vision_encoder.", "MP.", "decoder."].map((name) =>
    count(name).toLocaleString("en")
  );
  const { samples, batchesPerEpoch } = data.loader;
  const asked = Math.min(data.indices.length, MOST_WHILE_TRAINING);
  return [
    `Device      ${device.description}, ${
      model.dtype === "f16" ? "mixed precision (f16)" : "float32"
    }`,
    `Parameters  ${model.store.count.toLocaleString("en")}: ` +
    `${parts[0]} vision encoder, ${parts[1]} projector, ${parts[2]} language model`,
    `Training    ${samples.toLocaleString("en")} questions of ${train.train_dataset_path}`,
    `Held out    ${data.indices.length.toLocaleString("en")} questions` +
    (train.eval_in_epochs ? `, ${asked} of them every ${train.eval_interval} steps` : ""),
    `Steps       ${steps} of ${train.batch_size} questions, ${
      (steps / batchesPerEpoch).toFixed(2)
    } epochs, ${imageTokens(vlm) + vlm.lm_max_length} tokens a question`,
    planText(plan),
  ].join("\n");
}

function evaluationLine(step: number, { accuracy, correct, total, loss }: Evaluation): string {
  return `Step ${step}: accuracy ${percent(accuracy)} (${correct} of ${total}), validation loss ${
    loss.toFixed(4)
  }`;
}

/** Scores the saved model, which `run.model` is by now, on everything. */
async function finish(
  { config: { train }, steps, data, test, runLog, plan, best, subject }: Run,
  { seconds, peakBytes }: { seconds: number; peakBytes: number },
): Promise<TrainingReport> {
  const { dataset, rows, heldOut, indices } = data;
  const batchSize = train.mmstar_batch_size;
  const result = await evaluate(subject, heldOut, { batchSize, indices });
  const tested = test && await evaluate(subject, test, { batchSize });
  const { answers, by_category, accuracy, correct, total, loss } = result;
  await runLog.evaluation(best.step, result, { samples: heldOut, isFinal: true });
  const examples = chooseExamples(answers);
  const picture = await savePicture(heldOut, examples[0]?.index ?? 0, best.folder);
  const question = examples[0]?.question ?? "";
  return {
    out: best.folder,
    steps,
    best_step: best.step,
    ...{ accuracy, correct, total, loss, by_category },
    baseline_accuracy: result.task === "vqa"
      ? await baselineAccuracy(dataset, rows, answers)
      : null,
    test_accuracy: tested?.accuracy ?? null,
    planned_bytes: plan.totalBytes,
    peak_bytes: peakBytes,
    seconds,
    examples,
    command: generateCommand(picture, question, best.folder),
  };
}

/** The report for people. */
function reportText(report: TrainingReport): string {
  const { baseline_accuracy: baseline, test_accuracy: test } = report;
  const lines = report.examples.map(({ question, expected, given }) =>
    `  ${question.replaceAll(/\s+/g, " ")}  model: ${JSON.stringify(given)}  true: ${
      JSON.stringify(expected)
    }`
  );
  return [
    `\nThe best model, after step ${report.best_step}, on all held-out questions:\n`,
    scoreTable(report, report.by_category),
    `\nAccuracy ${percent(report.accuracy)}, loss ${report.loss.toFixed(4)}`,
    `GPU memory of training: ${megabytes(report.peak_bytes)}, planned ${
      megabytes(report.planned_bytes)
    }`,
    ...(baseline === null
      ? []
      : [`Always each kind of question's most frequent answer: ${percent(baseline)}`]),
    ...(test === null ? [] : [`Multiple-choice test: ${percent(test)}`]),
    `\nFive held-out pictures:`,
    ...lines,
    `\nSaved in ${report.out}, with curves and answers in report.html. Try it:\n  ${report.command}`,
  ].join("\n");
}

/** Prints what a run would take: where the precision is left open, in f16 if the GPU has it, for nothing is measured. */
async function showPlan({ config, memory }: TrainingRequest, isJson: boolean) {
  const device = await Device.open();
  const { dtype: asked } = config.train;
  const dtype = asked !== "auto" ? asked : device.f16 ? "f16" : "f32";
  console.log(await planReport(device, config, { memory, dtype, isJson }));
  device.destroy();
}

const COMMAND: Command<typeof TRAIN_FLAGS> = {
  call: "deno task train",
  summary: "Trains a vision-language model and keeps the best one.",
  positionals: [],
  flags: TRAIN_FLAGS,
  run: async (args: Arguments<typeof TRAIN_FLAGS>) => {
    const isJson = args.has("json");
    const request = await trainingRequest(args);
    if (args.has("plan")) return await showPlan(request, isJson);
    const display = new Display(isJson ? Deno.stderr : Deno.stdout);
    const report = await train(request, display);
    console.log(isJson ? JSON.stringify(report) : reportText(report));
  },
};

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
