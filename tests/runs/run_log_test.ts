// Tests of runs/run_log.ts: what a run leaves in its folder, and that it goes on there after an interruption.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { openDataset, Samples } from "../../data/datasets.ts";
import { decodeImage } from "../../data/image.ts";
import type { SetResult } from "../../runs/evaluations.ts";
import { readHistory } from "../../runs/run_history.ts";
import { RunLog } from "../../runs/run_log.ts";
import { withInterval } from "../../runs/score.ts";

const STEP = {
  ...{ step: 1, loss: 2, lr_mp: 1e-3, lr_backbones: 1e-4, gradient_norm: 3, loss_scale: null },
  ...{ samples_per_second: 10, tokens_per_second: 100, data_wait: 0 },
};
const REST = { labels: 9, skipped: [], too_long: [] };
const samples = await Samples.open(await openDataset("shapes", "validation"), "all");

/** An evaluation of `count` questions. */
async function resultOf(count: number, given = "red") {
  const answers = await Promise.all(Array.from({ length: count }, async (_, index) => {
    const { question, answer: expected, category } = await samples.at(index);
    return { index, category, question, expected, given, isCorrect: given === expected };
  }));
  const score = { accuracy: 0.25, correct: count / 4, total: count };
  const validation = { ...score, loss: 1.5, by_category: { color: score }, answers, ...REST };
  return { validation, test: undefined, sets: new Map<string, SetResult>() };
}

function linesOf(folder: string): Record<string, unknown>[] {
  const text = Deno.readTextFileSync(`${folder}/metrics.jsonl`);
  return text.trimEnd().split("\n").map((line) => JSON.parse(line));
}

/** Numbers of the questions that an evaluation's line shows. */
function shown(line: Record<string, unknown> | undefined): number[] {
  return (line!["examples"] as { index: number }[]).map(({ index }) => index);
}

Deno.test("a RunLog writes steps and evaluations, pictures, events and a page", async () => {
  const folder = Deno.makeTempDirSync();
  const log = RunLog.open(folder);
  log.step(STEP);
  await log.evaluation(1, await resultOf(64), { samples });
  await log.evaluation(1, await resultOf(200), { samples, isFinal: true });
  log.close();
  const [step, evaluation, final] = linesOf(folder);
  const { time: _, gpu_bytes, gpu_peak_bytes, ...rest } = step!;
  assertEquals(rest, STEP);
  assertEquals([gpu_bytes, gpu_peak_bytes], [null, null], "nobody said on what device");
  assertEquals([evaluation!["accuracy"], evaluation!["validation_loss"]], [0.25, 1.5]);
  assertEquals([evaluation!["final"], final!["final"]], [undefined, true]);
  assertEquals(shown(evaluation).length, 8);
  assertEquals(shown(final), shown(evaluation), "the same questions among more");
  for (const index of shown(evaluation)) {
    const bytes = await Deno.readFile(`${folder}/examples/${index}.png`);
    const picture = await decodeImage(bytes, "example");
    assertEquals([picture.width, picture.height], [128, 128]);
  }
  const names = [...Deno.readDirSync(folder)].map(({ name }) => name);
  assertEquals(names.filter((name) => name.includes("tfevents")).length, 1);
  assertStringIncludes(await Deno.readTextFile(`${folder}/report.html`), "Finished");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a RunLog that is closed early leaves a page with all steps", () => {
  const folder = Deno.makeTempDirSync();
  const log = RunLog.open(folder);
  log.step({ ...STEP, step: 12 });
  log.close();
  assertStringIncludes(Deno.readTextFileSync(`${folder}/report.html`), "12 steps");
  Deno.removeSync(folder, { recursive: true });
});

Deno.test("a RunLog goes on after a step as if nothing had come behind it, with the same questions", async () => {
  const folder = Deno.makeTempDirSync();
  const first = RunLog.open(folder);
  first.step(STEP);
  await first.evaluation(1, await resultOf(64), { samples });
  const metrics_bytes = await first.sync();
  first.step({ ...STEP, step: 2 });
  first.close();
  const second = RunLog.open(folder, { step: 1, metrics_bytes });
  second.step({ ...STEP, step: 2, loss: 0.5 });
  await second.evaluation(2, await resultOf(100), { samples });
  second.close();
  const lines = linesOf(folder);
  assertEquals(lines.map(({ step, loss }) => [step, loss]), [
    [1, 2],
    [1, undefined],
    [2, 0.5],
    [2, undefined],
  ]);
  assertEquals(shown(lines[3]), shown(lines[1]));
  RunLog.open(folder).close();
  assertEquals(Deno.readTextFileSync(`${folder}/metrics.jsonl`), "");
  await Deno.remove(folder, { recursive: true });
});

Deno.test("a RunLog notes the test and each further dataset, for people, tools and the page", async () => {
  const folder = Deno.makeTempDirSync();
  const results = await resultOf(8);
  const sampled = { accuracy: 0.125, correct: 1, total: 8 };
  const test = { ...results.validation, accuracy: 0.5, correct: 4, sampled };
  const other = { ...results.validation, accuracy: 0.75, correct: 6, loss: NaN };
  const sets = new Map<string, SetResult>([["owner/test", test], ["./other,one", other]]);
  const log = RunLog.open(folder);
  await log.evaluation(3, { ...results, test, sets }, { samples, isBest: true });
  log.close();
  const [line] = linesOf(folder);
  assertEquals([line!["test_accuracy"], line!["test_accuracy_greedy"]], [0.125, 0.5]);
  assertEquals([line!["accuracy"], line!["best"]], [0.25, true]);
  assertEquals(line!["datasets"], {
    "owner/test": {
      ...withInterval({ accuracy: 0.5, correct: 4, total: 8 }),
      ...{ loss: 1.5, sampled_accuracy: 0.125 },
    },
    "./other,one": { ...withInterval({ accuracy: 0.75, correct: 6, total: 8 }), loss: null },
  });
  const [{ datasets } = {}] = readHistory(folder).evaluations;
  assertEquals(
    Object.entries(datasets!).map((
      [name, set],
    ) => [name, set.accuracy, set.sampled_accuracy]),
    [["owner/test", 0.5, 0.125], ["./other,one", 0.75, NaN]],
  );
  const events = [...Deno.readDirSync(folder)].find(({ name }) => name.includes("tfevents"))!.name;
  const text = new TextDecoder("latin1").decode(Deno.readFileSync(`${folder}/${events}`));
  for (const tag of ["owner/test/sampled_accuracy", "./other,one/accuracy"]) {
    assertStringIncludes(text, tag);
  }
  const page = Deno.readTextFileSync(`${folder}/report.html`);
  assertStringIncludes(page, '"datasets":{"owner/test":[0.5],"owner/test, drawn":[0.125]');
  await Deno.remove(folder, { recursive: true });
});
