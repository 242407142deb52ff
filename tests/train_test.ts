// Tests of train.ts: a run of three steps on a few pictures, in this process and as a command.
import {
  assertAlmostEquals,
  assertEquals,
  assertMatch,
  assertNotEquals,
  assertStringIncludes,
} from "@std/assert";
import { parseFlags } from "../commands/flags.ts";
import { TRAIN_FLAGS, trainingRequest } from "../commands/training_config.ts";
import { decodeImage } from "../data/image.ts";
import { openDataset, Samples } from "../data/datasets.ts";
import { tokenizerFor } from "../data/tokenizer.ts";
import { evaluate } from "../eval.ts";
import { LossMeter } from "../model/evaluation_step.ts";
import { Generator } from "../model/generator.ts";
import { savedRun } from "../model/trainer_state.ts";
import { VisionLanguageModel } from "../model/vision_language_model.ts";
import { Display } from "../runs/display.ts";
import { readHistory } from "../runs/run_history.ts";
import { Device } from "../shaders/runtime/device.ts";
import { train } from "../train.ts";
import { hasAdapter, runProcess, runScript, smallRun, writeDataset } from "./run_helpers.ts";

const SILENT = new Display({ isTerminal: () => false, writeSync: (bytes) => bytes.length });

interface Line {
  readonly step: number;
  readonly loss?: number;
  readonly lr_mp?: number;
  readonly gradient_norm?: number;
  readonly loss_scale?: number;
  readonly skipped_steps?: number;
  readonly accuracy?: number;
  readonly test_accuracy?: number;
  readonly test_accuracy_greedy?: number;
  readonly datasets?: Record<
    string,
    { accuracy: number; total: number; sampled_accuracy?: number }
  >;
}

async function run(...args: string[]) {
  const request = await trainingRequest(parseFlags(args, TRAIN_FLAGS, []));
  const report = await train(request, SILENT);
  const text = await Deno.readTextFile(`${request.out}/metrics.jsonl`);
  const lines: Line[] = text.trimEnd().split("\n").map((line) => JSON.parse(line));
  return { report, lines };
}

/** Losses and norms of all steps. */
function curve(lines: readonly Line[]) {
  return lines.filter(({ loss }) => loss !== undefined)
    .map(({ step, loss, gradient_norm }) => ({ step, loss, gradient_norm }));
}

const ignore = !hasAdapter;
const data = await writeDataset();
const out = await Deno.makeTempDir();
const device = hasAdapter ? await Device.open() : undefined;

Deno.test({
  name: "train() gives the same losses for the same seed, bit for bit, and others for another seed",
  ignore,
  fn: async () => {
    const first = curve((await run(...smallRun(data, out))).lines);
    assertEquals(first.map(({ step }) => step), [1, 2, 3]);
    assertEquals(curve((await run(...smallRun(data, out))).lines), first);
    const other = curve((await run(...smallRun(data, out), "--seed", "1")).lines);
    assertNotEquals(other[0]?.loss, first[0]?.loss);
  },
});

Deno.test({
  name: "train() writes every step and evaluation to metrics.jsonl",
  ignore,
  fn: async () => {
    const { lines, report } = await run(...smallRun(data, out), "--lr-mp", "0.5");
    const steps = lines.filter(({ loss }) => loss !== undefined);
    assertEquals(
      Object.keys(steps[0]!).sort(),
      ("data_wait gpu_bytes gpu_peak_bytes gradient_norm loss loss_scale lr_backbones lr_mp " +
        "samples_per_second step time tokens_per_second").split(" "),
    );
    assertEquals(steps[0]!.lr_mp!, 0.5, "a warm-up of a tenth of a step is none");
    const evaluations = lines.filter(({ accuracy }) => accuracy !== undefined);
    assertEquals(evaluations.map(({ step }) => step), [2, 3, report.best_step]);
    const { description, steps: read, final } = readHistory(out);
    assertEquals([description["steps"], read.length, final?.accuracy], [3, 3, report.accuracy]);
    const page = await Deno.readTextFile(`${out}/report.html`);
    assertStringIncludes(page, `Finished · 3 of 3 steps`);
    assertEquals(page.match(/<img src="data:image\/png/g)?.length, 7);
  },
});

Deno.test({
  name:
    "train() asks the test and further datasets at every evaluation, and the test says what is best",
  ignore,
  fn: async () => {
    const { lines, report } = await run(
      ...smallRun(data, out),
      ...["--set", `test_dataset_path=${data}`, "--eval-dataset", "shapes", "--eval-limit", "8"],
    );
    const evaluations = lines.filter(({ accuracy }) => accuracy !== undefined);
    assertEquals(evaluations.map(({ step }) => step), [2, 3, report.best_step]);
    for (const { datasets, ...line } of evaluations) {
      assertEquals(Object.keys(datasets!), [data, "shapes"]);
      const test = datasets![data]!;
      assertEquals(line.test_accuracy, test.sampled_accuracy);
      assertEquals([line.test_accuracy_greedy, test.total], [test.accuracy, 8]);
      // The test is the validation part here, so the same questions were asked.
      assertEquals(test.accuracy, line.accuracy);
    }
    const best = Math.max(...evaluations.slice(0, 2).map(({ test_accuracy }) => test_accuracy!));
    assertEquals(savedRun(out)!.state.best!.accuracy, best);
    assertEquals([report.test_accuracy, report.datasets["shapes"]?.total], [best, 8]);
  },
});

Deno.test({
  name: "train() in f16 writes the loss scale and the steps skipped, and nearly float32's losses",
  ignore: ignore || !device?.f16,
  fn: async () => {
    const flags = smallRun(data, out).map((flag) => flag === "f32" ? "f16" : flag);
    const { lines } = await run(...flags);
    const steps = lines.filter(({ loss }) => loss !== undefined);
    assertEquals(steps.map(({ loss_scale, skipped_steps }) => [loss_scale, skipped_steps]), [
      [65536, 0],
      [65536, 0],
      [65536, 0],
    ]);
    const exact = curve((await run(...smallRun(data, out))).lines);
    assertAlmostEquals(steps[0]!.loss!, exact[0]!.loss!, 0.02 * exact[0]!.loss!);
    assertNotEquals(steps[0]!.loss, exact[0]!.loss);
  },
});

Deno.test({
  name: "train() leaves the model that its report is about, and a picture to ask it about",
  ignore,
  fn: async () => {
    const { report } = await run(...smallRun(data, out));
    const model = await VisionLanguageModel.fromPretrained(device!, out);
    const tokenizer = await tokenizerFor("bytes");
    const samples = await Samples.open(await openDataset(data, "validation"), "all");
    const subject = { generator: new Generator(model), meter: new LossMeter(model), tokenizer };
    const { accuracy, loss, total } = await evaluate(subject, samples, { batchSize: 8 });
    assertEquals([report.accuracy, report.total, total], [accuracy, 20, 20]);
    assertAlmostEquals(report.loss, loss, 1e-9);
    const picture = await decodeImage(await Deno.readFile(`${out}/example.png`), "example");
    assertEquals([picture.width, picture.height], [32, 32]);
    assertEquals(new Set(report.examples.map(({ index }) => Math.floor(index / 4))).size, 5);
    model.destroy();
  },
});

Deno.test({
  name: "train.ts --json prints one document, and the command in it answers as the model did",
  ignore,
  fn: async () => {
    const { code, stdout, stderr } = await runScript("train.ts", ...smallRun(data, out), "--json");
    assertEquals(code, 0, stderr);
    assertMatch(stderr, /^3\/3 loss \d/m);
    const report = JSON.parse(stdout);
    assertEquals([report.steps, report.total, report.out], [3, 20, out]);
    const command = report.command.replace(/^(deno|npx -y deno@2) /, `${Deno.execPath()} `);
    const answer = await runProcess("sh", ["-c", `${command} --json`]);
    assertEquals(answer.code, 0, answer.stderr);
    const { answers: [given], checkpoint } = JSON.parse(answer.stdout);
    assertEquals(checkpoint, out);
    // Evaluation stops after as many tokens as true answers have.
    assertEquals(given.startsWith(report.examples[0].given), true);
  },
});

Deno.test({
  name:
    "train.ts --plan tells what 222m at batch 256 takes, without data, weights or memory for it",
  ignore,
  fn: async () => {
    const flags = ["--plan", "--preset", "222m", "--batch-size", "256", "--recompute", "off"];
    const { code, stdout, stderr } = await runScript("train.ts", ...flags, "--json");
    assertEquals(code, 0, stderr);
    const plan = JSON.parse(stdout);
    const parts = ["parameters", "gradients", "moments", "activations", "workspace"];
    const sum = parts.reduce((total, part) => total + plan[`${part}_bytes`], 0);
    assertEquals(plan.total_bytes, sum);
    assertEquals([plan.batch_size, plan.micro_batch_size, plan.recompute], [256, 256, "off"]);
    assertEquals(["f16", "f32"].includes(plan.dtype), true, "auto is one of them");
    const { stdout: f32 } = await runScript("train.ts", ...flags, "--json", "--dtype", "f32");
    assertEquals(JSON.parse(f32).dtype, "f32");
    assertEquals(plan.flops_per_step > 5e13 && plan.dispatches_per_step > 1000, true);
    const text = await runScript("train.ts", ...flags, "--memory-limit", "20GB");
    assertEquals(text.code, 0, text.stderr);
    assertMatch(text.stdout, /^Total +[\d,.]+ MB$/m);
    assertMatch(text.stdout, /^Fits +no: .*--micro-batch-size \d+ --recompute off/m);
  },
});

Deno.test({
  name: "train.ts refuses what does not fit, and says what would",
  ignore,
  fn: async () => {
    const limited = [...smallRun(data, out), "--recompute", "off", "--memory-limit", "3.5MB"];
    const { code, stdout, stderr } = await runScript("train.ts", ...limited);
    assertEquals([code, stdout], [1, ""], stderr);
    assertMatch(
      stderr,
      /^Cannot train on batches of 4: it takes [\d.]+ MB, expected at most 3\.5 MB, as asked; --micro-batch-size/,
    );
  },
});

Deno.test({
  name:
    "train() takes as much memory as planned, and micro-batches change losses by roundings only",
  ignore,
  fn: async () => {
    const whole = await run(...smallRun(data, out));
    const parts = await run(...smallRun(data, out), "--micro-batch-size", "3", "--recompute", "on");
    for (const { report } of [whole, parts]) {
      assertEquals(Math.abs(report.peak_bytes / report.planned_bytes - 1) < 0.01, true);
    }
    assertEquals(parts.report.planned_bytes < whole.report.planned_bytes, true);
    const [expected] = curve(whole.lines);
    assertAlmostEquals(curve(parts.lines)[0]!.loss!, expected!.loss!, 1e-5);
  },
});

Deno.test({
  name: "train.ts stops with one line when the loss is no number any more, and names the tensor",
  ignore,
  fn: async () => {
    const flags = [...smallRun(data, out), "--lr-mp", "1e30", "--lr-backbones", "1e30"];
    const { code, stdout, stderr } = await runScript("train.ts", ...flags);
    assertEquals(code, 1);
    assertMatch(stdout, /^Cannot go on training: the loss of step 2 is NaN.*--lr-mp/m);
    const tensor =
      "vision_encoder\\.blocks\\.0\\.\\S+ \\+ x of row 0 is the first tensor that is not finite";
    assertMatch(stderr, new RegExp(`^Cannot go on training: at step 2, ${tensor}.*--lr-mp.*\n$`));
  },
});

Deno.test({
  name: "train() goes on from a checkpoint, whose loss it begins with",
  ignore,
  fn: async () => {
    await run(...smallRun(data, out));
    const before = curve((await run(...smallRun(data, `${out}/a`))).lines);
    const { lines } = await run(...smallRun(data, `${out}/b`), "--checkpoint", `${out}/a`);
    assertNotEquals(curve(lines)[0]?.loss, before[0]?.loss);
    assertEquals(curve(lines)[0]!.loss! < before[0]!.loss!, true);
  },
});
