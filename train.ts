/**
 * Trains a model: batches from the loader, one recorded step for each, an evaluation now and then, the best model kept.
 *
 * Start reading here: `train()` composes everything else. `deno task train --help` shows the command's flags.
 * Source: train() of nanoVLM v0.1, train.py.
 */
import { openDevice } from "./commands/device.ts";
import { copyTokenizer, openTokenizer, tokenizerFolder } from "./commands/checkpoints.ts";
import { type Command, Interrupted, runCommand } from "./commands/command.ts";
import type { Arguments } from "./commands/flags.ts";
import { memoryAsBefore } from "./commands/resume_flags.ts";
import {
  configJson,
  TRAIN_FLAGS,
  type TrainingRequest,
  trainingRequest,
} from "./commands/training_config.ts";
import { folded, printLine } from "./data/terminal.ts";
import { frozenParts } from "./model/config.ts";
import { LossMeter } from "./model/evaluation_step.ts";
import { Generator } from "./model/generator.ts";
import { imageTokens } from "./model/inputs.ts";
import { AdamW } from "./model/optimizer.ts";
import { chooseDtype } from "./model/precision.ts";
import { ratesAt } from "./model/schedule.ts";
import { savedRun } from "./model/trainer_state.ts";
import { Trainer } from "./model/training_step.ts";
import { VisionLanguageModel } from "./model/vision_language_model.ts";
import { type Pushed, pushTrained, requirePushAccess } from "./push.ts";
import { BestModel } from "./runs/best_model.ts";
import {
  bestOf,
  Checkpoints,
  KEPT_CHECKPOINTS,
  requireWhole,
  restoreRun,
} from "./runs/checkpoints.ts";
import { describe, NAME_COLUMNS } from "./runs/description.ts";
import { Display, showAsked } from "./runs/display.ts";
import { downloadDisplay } from "./runs/download_display.ts";
import { askAll, evaluationLine, qualityOf } from "./runs/evaluations.ts";
import { evaluate, type Subject } from "./runs/evaluate.ts";
import { NotFinite, requireFinite } from "./runs/not_finite.ts";
import { planReport, requirePlan } from "./runs/plan_report.ts";
import { requireFree, requireSame, stoppedText, withAdvice } from "./runs/resumption.ts";
import type { Run } from "./runs/run.ts";
import { RunLog } from "./runs/run_log.ts";
import { StepLog } from "./runs/step_log.ts";
import { EXIT_STATUS, NEVER, type Stop, StopSignals } from "./runs/stop_signals.ts";
import { openTrainingData, settledConfig } from "./runs/training_data.ts";
import { reportText, type TrainingReport, trainingReport } from "./runs/training_report.ts";
import { openWeights } from "./runs/weights.ts";
import { Device } from "./shaders/runtime/device.ts";

export type { TrainingReport };

/** A run with what evaluate() needs. */
interface EvaluatedRun extends Run {
  readonly subject: Subject;
  readonly checkpoints: Checkpoints;
  /** Frees the GPU's memory and the run's folder, and ends the loader. */
  readonly opened: AsyncDisposableStack;
}

/**
 * Trains a model and leaves the best one in the output folder, with checkpoints to resume the run from. Where the loss is no
 * number any more, the steps since the newest checkpoint are taken again, to tell which tensor went bad first.
 *
 * @param stop is looked at after each step, and closed behind the last one
 * @throws {Interrupted} where `stop` asked for it, after saving
 * @throws {DeviceError} {ShaderError} where the device cannot do it
 * @throws {RangeError} where the loss is no number any more, or sizes do not fit
 * @throws {Error} {SyntaxError} {TypeError} where a file is missing, damaged or of no known kind
 */
export async function train(
  request: TrainingRequest,
  display: Display = new Display(Deno.stdout),
  stop: Stop = NEVER,
): Promise<TrainingReport> {
  try {
    return await trainOnce(request, display, stop);
  } catch (error) {
    if (!(error instanceof NotFinite) || request.checked !== undefined) throw error;
    display.print(`${error.message}\nLooking for the tensor that went bad first`);
    const resume = savedRun(request.out);
    const again = resume && {
      ...{ resume, config: resume.state.config, open: [] },
      memory: memoryAsBefore(request.memory, resume),
    };
    return await trainOnce({ ...request, ...again, checked: error.step }, display, stop);
  }
}

async function trainOnce(
  request: TrainingRequest,
  display: Display,
  stop: Stop,
): Promise<TrainingReport> {
  const run = await prepare(request, display);
  const { steps, stepsBefore, data, log, model, trainer, checkpoints } = run;
  const { train } = run.config;
  const every = train.checkpoint_every ?? train.eval_interval;
  // A run that was stopped while it evaluated goes on with that.
  const first = request.resume?.state.is_evaluated === false ? stepsBefore : stepsBefore + 1;
  try {
    display.print(folded(describe(run), display.columns, NAME_COLUMNS));
    if (first > stepsBefore) display.update("Compiling shaders for the first step");
    for (let step = first; step <= steps; step++) {
      if (step > stepsBefore) await takeStep(run, step, request.checked);
      const isLast = step === steps;
      const isEvaluated = isLast || train.eval_in_epochs && step % train.eval_interval === 0;
      const isDue = isEvaluated || step % every === 0;
      if (log.isFull || isDue || stop.signal) log.settle(await trainer.results(), data.loader);
      if (isDue) run.peakBytes ??= model.device.peakBytes;

      // First of all what was trained is saved, whatever becomes of the evaluation.
      if (isEvaluated && (isLast || step % every === 0 || checkpoints.newest === 0)) {
        await checkpoints.save(run, step, false);
      }
      const evaluation = isEvaluated ? await evaluateNow(run, step, { display, stop }) : "none";
      const isSaved = isLast || step % every === 0 || evaluation === "best" || stop.signal;
      if (isSaved) await checkpoints.save(run, step, evaluation !== "stopped");
      if (stop.signal) {
        throw new Interrupted(
          stoppedText(stop.signal, request.out, step),
          EXIT_STATUS[stop.signal],
        );
      }
      if (isDue) log.resume(data.loader);
    }
    for (const note of [log.cutNote, log.waitNote]) if (note) display.print(note);
    run.best.restore(model);
    const report = await finish(run, display, stop.asked);
    stop.close(); // all is done
    return { ...report, ...await pushTrained(report.out, train, { ...request, display }) };
  } catch (error) {
    run.runLog.badRows("training", data.loader.skipped);
    if (stop.signal && error === stop.asked.reason) {
      throw new Interrupted(stoppedText(stop.signal, request.out, steps), EXIT_STATUS[stop.signal]);
    }
    throw error instanceof Interrupted ? error : withAdvice(error, request.out, checkpoints.newest);
  } finally {
    display.clear();
    await run.opened.disposeAsync();
  }
}

/** Takes a step; does not wait for the GPU. */
async function takeStep(
  { config: { vlm, train }, steps, data, log, model, trainer }: Run,
  step: number,
  checked: TrainingRequest["checked"],
): Promise<void> {
  const batch = await data.loader.next();
  const rates = ratesAt(step - 1, steps, train);
  if (checked === "all" || checked === step) await requireFinite(model, batch, step);
  await trainer.step(batch, rates);
  const tokens = batch.realTokens + batch.size * imageTokens(vlm);
  const skippedRows = data.loader.skipped.length;
  log.take({ step, samples: batch.size, tokens, rates, cut: batch.cutRows, skippedRows });
}

/** Asks questions of all datasets; whether none of the models before was better, or that was stopped. */
async function evaluateNow(
  run: EvaluatedRun,
  step: number,
  { display, stop }: { display: Display; stop: Stop },
): Promise<"best" | "other" | "stopped"> {
  let results: Awaited<ReturnType<typeof askRun>>;
  try {
    results = await askRun(run, { isFinal: false, signal: stop.asked });
  } catch (error) {
    if (stop.signal) return "stopped";
    throw error;
  }
  const isBest = run.best.consider(step, qualityOf(results));
  await run.runLog.evaluation(step, results, { samples: run.data.heldOut, isBest });
  display.print(folded(evaluationLine(step, results, isBest), display.columns, 2));
  return isBest ? "best" : "other";
}

function askRun(
  { data, subject, log, config: { train } }: EvaluatedRun,
  { isFinal, signal }: { isFinal: boolean; signal: AbortSignal },
) {
  return askAll(data, async (samples, how) => {
    const baseline = samples === data.heldOut ? await data.frequent() : undefined;
    const onAsked = showAsked(log.display);
    return await evaluate(subject, samples, { ...how, baseline, signal, onAsked });
  }, { train, isFinal });
}

/** Opens what a run is made from; what can fail for want of a file does so before the GPU is asked for anything. */
async function openInputs(request: TrainingRequest) {
  const { config, checkpoint, out, hub, resume, force = false, open = [] } = request;
  if (resume) requireWhole(resume, force);
  else if (!force) requireFree(out);
  await requirePushAccess(config.train, hub);
  using onError = new DisposableStack();
  const weights = onError.use(await openWeights(config, resume?.folder ?? checkpoint, hub));
  const tokenizerName = await tokenizerFolder(weights.vlm.lm_tokenizer);
  const tokenizer = await openTokenizer(tokenizerName, weights.vlm);
  const ours = { vlm: { ...weights.vlm, lm_tokenizer: tokenizerName }, train: config.train };
  const data = await openTrainingData(ours, {
    ...(hub ? { hub } : {}),
    ...{ tokenizer, revisions: resume?.state.data.revisions },
    open,
  });
  onError.move(); // nothing went wrong
  return { weights, tokenizerName, tokenizer, data };
}

/** Opens data, device and model. */
async function prepare(request: TrainingRequest, display: Display): Promise<EvaluatedRun> {
  const inputs = await openInputs(request);
  using _weights = inputs.weights;
  return await start(request, inputs, display);
}

/** Makes the model and all that trains it, or goes on with what a checkpoint says. */
async function start(
  request: TrainingRequest,
  { weights, tokenizerName, tokenizer, data }: Awaited<ReturnType<typeof openInputs>>,
  display: Display,
): Promise<EvaluatedRun> {
  const { checkpoint, out, memory, tuned = false, resume, force = false } = request;
  await using opened = new AsyncDisposableStack(); // closed here where anything fails
  opened.use(data.loader);
  const { sources: backbones } = weights;
  const asked = { vlm: weights.vlm, train: request.config.train };
  const { config, steps } = settledConfig(asked, data, request.open);
  const { vlm, train } = config;
  const device = opened.use(await openDevice(tuned, resume?.state.device.tuning));
  const dtype = await chooseDtype(device, train.dtype);
  const plan = await requirePlan(device, config, { memory, dtype });
  const stepsBefore = resume?.state.step ?? 0;
  const parts = { config, checkpoint, steps, data, plan };
  if (resume) requireSame(resume, { ...parts, device }, force);
  const { keep = KEPT_CHECKPOINTS } = request;
  const newest = { newest: stepsBefore, files: resume?.state.files };
  const checkpoints = opened.use(await Checkpoints.open(out, { keep, ...newest }));
  const runLog = opened.use(RunLog.open(out, resume?.state));
  runLog.begin({ ...parts, device });
  await copyTokenizer(tokenizerName, out);
  const { seed, initialization } = train;
  const options = { training: true, frozen: frozenParts(train), dtype, seed, initialization };
  const model = opened.use(
    await VisionLanguageModel.fromScratch(device, vlm, { ...options, backbones }),
  );
  const generator = opened.use(new Generator(model));
  const subject = { generator, meter: opened.use(new LossMeter(model)), tokenizer };
  const trainer = opened.use(new Trainer(model, opened.use(new AdamW(model.store)), plan));
  const log = new StepLog(display, runLog, steps);
  const best = new BestModel(out, bestOf(resume, force));
  const run: EvaluatedRun = {
    ...{ ...parts, stepsBefore, runLog, log, model, trainer, best, peakBytes: undefined },
    ...{ subject, checkpoints, opened },
  };
  if (resume) await restoreRun(run, resume);
  return { ...run, opened: opened.move() };
}

/** Scores the saved model, which `run.model` is by now, on everything. */
async function finish(
  run: EvaluatedRun,
  display: Display,
  signal: AbortSignal,
): Promise<Omit<TrainingReport, keyof Pushed>> {
  const { data: { heldOut, indices }, best } = run;
  display.print(`Asking the best model all ${indices.length} held-out questions`);
  const results = await askRun(run, { isFinal: true, signal });
  await run.runLog.evaluation(best.step, results, { samples: heldOut, isFinal: true });
  return await trainingReport(run, results);
}

export const COMMAND: Command<typeof TRAIN_FLAGS> = {
  call: "deno task train",
  summary: "Trains a vision-language model and keeps the best one.",
  positionals: [],
  flags: TRAIN_FLAGS,
  run: async (args: Arguments<typeof TRAIN_FLAGS>) => {
    const isJson = args.has("json");
    const request = await trainingRequest(args, downloadDisplay());
    if (args.has("print-config")) return printLine(configJson(request));
    if (args.has("plan")) {
      using device = await Device.open();
      const { config, memory } = request;
      return printLine(await planReport(device, config, { memory, isJson }));
    }
    const display = new Display(isJson ? Deno.stderr : Deno.stdout);
    const stop = new StopSignals((name) =>
      display.print(`${name}: saving after this step; a second one stops at once`)
    );
    const report = await train(request, display, stop);
    printLine(isJson ? JSON.stringify(report) : reportText(report, display.columns));
    if (report.push_error !== null) throw new Error(report.push_error);
  },
};

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
