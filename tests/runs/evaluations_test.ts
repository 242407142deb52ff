// Tests of runs/evaluations.ts: what is asked at an evaluation, and what says which model is best.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { openDataset, Samples } from "../../data/datasets.ts";
import { presets } from "../../model/config.ts";
import {
  askAll,
  type AskOptions,
  evaluationInterval,
  evaluationLine,
  openEvaluationSets,
  qualityOf,
  type SetResult,
  setsMetric,
} from "../../runs/evaluations.ts";
import { writeDataset } from "../run_helpers.ts";

const folder = await writeDataset(); // 5 rows to hold out, 4 questions each
addEventListener("unload", () => Deno.removeSync(folder, { recursive: true }));
const { train: initial } = presets.quickstart;

function resultOf(accuracy: number, loss: number, drawn?: number): SetResult {
  const score = (accuracy: number) => ({ accuracy, correct: 100 * accuracy, total: 100 });
  const rest = { loss, labels: 9, by_category: {}, answers: [], skipped: [], too_long: [] };
  return { ...score(accuracy), ...rest, ...(drawn === undefined ? {} : { sampled: score(drawn) }) };
}

Deno.test("askAll() asks all of the test by drawing too, and 512 of what is large, but all in the end", async () => {
  const train = {
    ...initial,
    test_dataset_path: folder,
    eval_datasets: ["shapes", folder],
    seed: 5,
  };
  const evaluationSets = await openEvaluationSets(train, {});
  assertEquals(evaluationSets.map(({ name, isTest }) => [name, isTest]), [
    [folder, true],
    ["shapes", false],
  ]);
  const heldOut = await Samples.open(await openDataset("shapes", "validation"), "all");
  const indices = Array.from({ length: 600 }, (_, i) => i);
  const asked = async (isFinal: boolean) => {
    const calls: [string, number, number, number | undefined][] = [];
    const ask = ({ dataset: { name } }: Samples, how: AskOptions) => {
      calls.push([name, how.batchSize, how.indices.length, how.sampleSeed]);
      return Promise.resolve(resultOf(0.5, 1, how.sampleSeed));
    };
    await askAll({ heldOut, indices, evaluationSets }, ask, { train, isFinal });
    return calls;
  };
  const all = evaluationSets[1]!.indices.length;
  assertEquals(all > 512, true);
  assertEquals(await asked(false), [
    ["shapes (validation)", 32, 512, undefined],
    [folder, 32, 20, 5],
    ["shapes (validation)", 32, 512, undefined],
  ]);
  assertEquals((await asked(true)).map(([, , count]) => count), [600, 20, all]);
});

Deno.test("evaluationInterval() gives about ten evaluations, but asks no more than it trains on", () => {
  const train = { ...initial, eval_interval: 200, batch_size: 32 };
  const of = (steps: number, heldOut: number) => evaluationInterval(train, steps, heldOut);
  assertEquals([of(20, 12), of(600, 120), of(5, 12), of(1, 1)], [2, 60, 1, 1]);
  assertEquals([of(20, 2000), of(100, 2000), of(4, 2000)], [16, 16, 4], "512 questions are asked");
  assertEquals([of(2000, 12), of(9000, 2000)], [200, 200], "the preset's is the most");
});

Deno.test("openEvaluationSets() asks at most eval_limit questions of each", async () => {
  const train = { ...initial, eval_datasets: ["shapes", folder], eval_limit: 7 };
  const sets = await openEvaluationSets(train, {});
  assertEquals(sets.map(({ indices }) => indices.length), [7, 7]);
});

Deno.test("qualityOf() goes by the test as it was drawn, else by held-out questions", () => {
  const validation = resultOf(0.9, 2);
  const test = resultOf(0.4, 3, 0.3);
  const sets = new Map([["test", test]]);
  assertEquals(qualityOf({ validation, test, sets }), { accuracy: 0.3, loss: 2 });
  const none = { validation, test: undefined, sets: new Map() };
  assertEquals(qualityOf(none), { accuracy: 0.9, loss: 2 });
  assertEquals(setsMetric(none), {});
  const line = evaluationLine(3, { validation, test, sets });
  assertStringIncludes(
    line,
    "Step 3: accuracy 90.0 % (90 of 100, 95 % interval 82.6–94.5 %), validation loss 2.0000",
  );
  assertStringIncludes(
    line,
    "; test 40.0 % (40 of 100, 95 % interval 30.9–49.8 %), by drawing 30.0 %",
  );
});

Deno.test("evaluationLine() says what was left out, what counts as wrong, and the first of each", () => {
  const result = { ...resultOf(0.5, 1), baseline_accuracy: 0.25 };
  const whole = { validation: result, test: undefined, sets: new Map() };
  const rows = [
    { row: 7, imageName: "row 7", reason: "cut short." },
    { row: 8, imageName: "b", reason: "c" },
  ];
  const line = "Step 3: accuracy 50.0 % (50 of 100, 95 % interval 40.4–59.6 %), baseline 25.0 %, " +
    "validation loss 1.0000";
  assertEquals(evaluationLine(3, whole), line);
  assertEquals(
    evaluationLine(3, { ...whole, validation: { ...result, skipped: rows, too_long: rows } }),
    `${line}; rows left out: 2, such as row 7: cut short; ` +
      "questions too long to ask, counted as wrong: 2, such as row 7: cut short",
  );
});
