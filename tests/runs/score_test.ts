// Tests of runs/score.ts: what an accuracy is worth.
import { assert, assertAlmostEquals, assertEquals, assertStringIncludes } from "@std/assert";
import { intervalOf, isAboveBaseline, uncertaintyNote } from "../../runs/score.ts";

/** Correct, total and the interval that statsmodels 0.14 gives: proportion_confint(correct, total, method="wilson"). */
const WILSON = [
  [0, 1, 0, 0.7934506856227627],
  [1, 1, 0.2065493143772374, 1],
  [0, 10, 0, 0.27753279986288926],
  [1, 12, 0.014865094404917095, 0.35387991114111705],
  [3, 4, 0.30064184258240184, 0.9544127391902995],
  [7, 40, 0.0874541374603592, 0.3194999033178772],
  [50, 100, 0.4038315303659956, 0.5961684696340044],
  [125, 200, 0.5561430369897816, 0.6891456314159018],
  [1999, 2000, 0.9971731374967338, 0.9999117322692944],
  [2000, 2000, 0.9980829527187469, 1],
] as const;

Deno.test("intervalOf() gives Wilson's interval as statsmodels does, and all there is for no question", () => {
  for (const [correct, total, low, high] of WILSON) {
    const found = intervalOf({ correct, total });
    assertAlmostEquals(found[0], low, 1e-12);
    assertAlmostEquals(found[1], high, 1e-12);
  }
  assertEquals(intervalOf({ correct: 0, total: 0 }), [0, 1]);
});

Deno.test("uncertaintyNote() says below 200 questions or 30 pictures how little is known", () => {
  assertEquals(uncertaintyNote(200, 30), "");
  assertStringIncludes(uncertaintyNote(40, 40), "Only 40 questions about 40 pictures");
  assertStringIncludes(uncertaintyNote(40, 40), "about ±15 percentage points; smaller");
  assertStringIncludes(uncertaintyNote(3, 9), "Only 3 questions about 3 pictures");
  assertStringIncludes(uncertaintyNote(1, 1), "Only 1 question about 1 picture:");
  assertStringIncludes(
    uncertaintyNote(400, 10),
    "less well since those about one picture go wrong together",
  );
});

Deno.test("isAboveBaseline() asks for more than chance", () => {
  const score = (correct: number, baseline_accuracy?: number) => ({
    ...{ accuracy: correct / 100, correct, total: 100 },
    ...(baseline_accuracy === undefined ? {} : { baseline_accuracy }),
  });
  assert(isAboveBaseline(score(62, 0.5)));
  assert(!isAboveBaseline(score(55, 0.5)));
  assert(!isAboveBaseline(score(0, 0)));
  assert(isAboveBaseline(score(0)), "nothing is known of a baseline");
});
