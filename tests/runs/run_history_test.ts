// Tests of runs/run_history.ts: what is read of a run's folder, whole, cut short, damaged, old, or absent.
import { assertEquals, assertThrows } from "@std/assert";
import { readHistory } from "../../runs/run_history.ts";

const root = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

function folderWith(text: string): string {
  const folder = `${Deno.makeTempDirSync({ dir: root })}/my run`;
  Deno.mkdirSync(folder);
  Deno.writeTextFileSync(`${folder}/metrics.jsonl`, text);
  return folder;
}

const RUN = { run: { steps: 4, config: { train: { seed: 1 } } }, time: 100 };
const EXAMPLE = { index: 3, question: "What?", expected: "a", given: "b", correct: false };

Deno.test("readHistory() sorts lines into steps, evaluations and the final one", () => {
  const lines = [
    RUN,
    { step: 1, loss: 2, time: 101 },
    { step: 2, loss: null, time: 103 },
    { step: 2, accuracy: 0.5, correct: 1, total: 2, validation_loss: null, examples: [EXAMPLE] },
    { skipped: "row 1", reason: "damaged" },
    { step: 2, accuracy: 0.75, correct: 3, total: 4, validation_loss: 0.5, final: true },
  ];
  const history = readHistory(
    folderWith(lines.map((line) => JSON.stringify(line) + "\n").join("")),
  );
  assertEquals(history.name, "my run");
  assertEquals(history.description, RUN.run);
  assertEquals(history.steps.map(({ step, loss }) => [step, loss]), [[1, 2], [2, null]]);
  assertEquals(history.evaluations, [{
    ...{ step: 2, accuracy: 0.5, correct: 1, total: 2, loss: NaN, by_category: {} },
    examples: [EXAMPLE],
    datasets: {},
    isBest: false,
  }]);
  assertEquals([history.final?.accuracy, history.final?.loss], [0.75, 0.5]);
});

Deno.test("readHistory() counts no time between a run's end and where it goes on", () => {
  const times = [RUN, { step: 1, loss: 1, time: 110 }, { ...RUN, time: 9000 }, {
    step: 2,
    time: 9005,
  }];
  const text = times.map((line) => JSON.stringify(line) + "\n").join("");
  assertEquals(readHistory(folderWith(text)).seconds, 15);
});

Deno.test("readHistory() leaves out a last line that was cut short, and takes files without a description", () => {
  const { steps, description, seconds } = readHistory(
    folderWith('{"step":1,"loss":2}\n{"step":2,"lo'),
  );
  assertEquals([steps, description, seconds], [[{ step: 1, loss: 2 }], {}, 0]);
});

Deno.test("readHistory() names a damaged line and a folder without metrics.jsonl", () => {
  const damaged = folderWith('{"step":1}\nnonsense\n{"step":2}\n');
  assertThrows(() => readHistory(damaged), SyntaxError, 'Cannot read line 2 of "');
  assertThrows(() => readHistory(folderWith("[1]\n")), SyntaxError, 'found "[1]"');
  const empty = Deno.makeTempDirSync({ dir: root });
  for (const folder of [empty, `${empty}/absent`]) {
    assertThrows(() => readHistory(folder), Error, `Cannot read the run "${folder}": there is no`);
  }
});
