/** Tests of numbering single questions. */
import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import type { Dataset, Turn } from "../../data/datasets.ts";
import { Samples } from "../../data/samples.ts";

function fake(turnsPerRow: number[]): Dataset {
  const turn = (row: number, i: number): Turn => ({
    question: `q${row}.${i}`,
    answer: `a${row}.${i}`,
    category: "c",
  });
  return {
    name: "fake",
    rows: turnsPerRow.length,
    format: "vqa",
    turnCounts: () => Promise.resolve(Uint32Array.from(turnsPerRow)),
    allTurns: async function* () {},
    row: (row) => ({
      image: new Uint8Array(),
      imageName: `fake ${row}`,
      turns: Array.from({ length: turnsPerRow[row]! }, (_, i) => turn(row, i)),
    }),
  };
}

Deno.test("Samples numbers all questions in order, passing over rows without any", async () => {
  const samples = await Samples.open(fake([2, 0, 0, 3, 1]), "all");
  assertEquals(samples.length, 6);
  const questions = await Promise.all([0, 1, 2, 3, 4, 5].map((i) => samples.at(i)));
  assertEquals(questions.map(({ question }) => question), [
    "q0.0",
    "q0.1",
    "q3.0",
    "q3.1",
    "q3.2",
    "q4.0",
  ]);
  assertEquals(questions[3], {
    index: 3,
    row: 3,
    image: new Uint8Array(),
    imageName: "fake 3",
    question: "q3.1",
    answer: "a3.1",
    category: "c",
  });
});

Deno.test("Samples takes the first question of every row when asked to", async () => {
  const samples = await Samples.open(fake([2, 0, 3]), "first");
  assertEquals(samples.length, 3);
  assertEquals((await samples.at(2)).question, "q2.0");
  await assertRejects(() => samples.at(1), RangeError, "fake 1");
});

Deno.test("Samples finds each question's kind when asked to", async () => {
  const rows = [["a", "b", "a"], [], ["c"]];
  const dataset: Dataset = {
    ...fake(rows.map(({ length }) => length)),
    allTurns: async function* () {
      yield* rows.map((kinds) => kinds.map((category) => ({ question: "", answer: "", category })));
    },
  };
  const all = await Samples.openByKind(dataset, "all");
  assertEquals([all.kinds, all.starts], [Uint32Array.of(0, 1, 0, 2), Uint32Array.of(0, 3, 3, 4)]);
  const first = await Samples.openByKind(dataset, "first");
  assertEquals([first.kinds, first.starts], [Uint32Array.of(0, 1), Uint32Array.of(0, 1, 1, 2)]);
  assertEquals((await Samples.open(dataset, "all")).kinds, undefined);
});

Deno.test("Samples refuses numbers out of range and datasets without questions", async () => {
  const samples = await Samples.open(fake([1]), "all");
  for (const index of [-1, 1, 0.5]) assertThrows(() => samples.locate(index), RangeError);
  await assertRejects(() => Samples.open(fake([0, 0]), "all"), RangeError, "no questions");
  await assertRejects(() => Samples.openByKind(fake([]), "all"), RangeError, "no questions");
});
