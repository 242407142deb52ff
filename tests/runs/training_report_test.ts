// Tests of runs/training_report.ts: what a run says in the end.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { openDataset, Samples } from "../../data/datasets.ts";
import type { Run } from "../../runs/run.ts";
import { reportText, type TrainingReport, trainingReport } from "../../runs/training_report.ts";

const score = { accuracy: 0.5, correct: 1, total: 2 };
const report: TrainingReport = {
  ...{ out: "out", steps: 1, best_step: 1, seconds: 1, loss: 1, labels: 2, pictures: 1 },
  ...{ ...score, accuracy_interval: [0, 1], baseline_accuracy: 0, by_category: { a: score } },
  ...{ skipped: [], too_long: [], test_accuracy: null, test_accuracy_greedy: null, datasets: {} },
  ...{ pushed: null, push_error: null, planned_bytes: 1, peak_bytes: 1, examples: [] },
  command: "deno run -A generate.ts",
};

Deno.test("reportText() says last that nothing could be tested, and why", () => {
  const skipped = [0, 1].map((row) => ({
    row,
    imageName: `row ${row}`,
    reason: "found no picture",
  }));
  const untested = { accuracy: NaN, correct: 0, total: 0, labels: 0, loss: NaN, by_category: {} };
  const text = reportText({ ...report, ...untested, skipped });
  assertEquals(
    text.split("\n").at(-1),
    "Nothing could be tested: none of the 2 held-out rows can be read, the first of them row 0: found no picture",
  );
  assertStringIncludes(text, "Accuracy unknown, loss unknown (nothing was asked)");
});

Deno.test("reportText() claims no more of its examples than that they were held out", () => {
  const examples = [{ index: 0, question: "a", expected: "b", given: "c" }];
  assertStringIncludes(
    reportText({ ...report, examples }),
    "questions that it was not trained on:",
  );
});

Deno.test("trainingReport() asks a short question in its command, where there is one", async () => {
  const folder = await Deno.makeTempDir();
  const heldOut = await Samples.open(await openDataset("shapes", "validation", { rows: 4 }), "all");
  const answers = ["long ".repeat(300), "short?"].map((question, index) => ({
    ...{ index, question, expected: "a", given: "b", category: "c", isCorrect: false },
  }));
  const run = {
    ...{ steps: 1, data: { heldOut, indices: [0, 1] }, log: { seconds: 1 } },
    ...{ plan: { totalBytes: 1 }, best: { folder, step: 1 } },
  } as unknown as Run;
  const validation = { ...report, answers } as unknown as Parameters<
    typeof trainingReport
  >[1]["validation"];
  const results = { validation, test: undefined, sets: new Map() };
  const { command } = await trainingReport(run, results);
  assertStringIncludes(command, " 'short?' ");
  await Deno.remove(folder, { recursive: true });
});
