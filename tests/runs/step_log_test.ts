// Tests of runs/step_log.ts: what of a step is shown and written, and when it is time to read.
import {
  assertEquals,
  assertGreaterOrEqual,
  assertMatch,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { Display } from "../../runs/display.ts";
import { RunLog } from "../../runs/run_log.ts";
import { StepLog } from "../../runs/step_log.ts";

const root = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

const RATES = { projector: 2e-3, backbones: 1e-4 };
const DATA = { waitMilliseconds: 0, skipped: [] };

function newLog(steps: number) {
  const folder = Deno.makeTempDirSync({ dir: root });
  const shown: string[] = [];
  const display = new Display({
    isTerminal: () => false,
    writeSync: (bytes) => {
      shown.push(new TextDecoder().decode(bytes).trimEnd());
      return bytes.length;
    },
  });
  const runLog = RunLog.open(folder);
  const log = new StepLog(display, runLog, steps);
  const written = () =>
    Deno.readTextFileSync(`${folder}/metrics.jsonl`).trimEnd().split("\n")
      .map((line): Record<string, unknown> => JSON.parse(line));
  return { log, shown, written, runLog };
}

Deno.test("a StepLog writes every step, and shows the last one", () => {
  const { log, shown, written, runLog } = newLog(1600);
  log.take({ step: 8, samples: 64, tokens: 4000, rates: RATES, cut: 0 });
  log.take({ step: 9, samples: 64, tokens: 4000, rates: RATES, cut: 0 });
  const results = [{ loss: 0.5, gradientNorm: 1.5 }, { loss: 0.25, gradientNorm: 2.5 }];
  log.settle(results, DATA);
  const lines = written();
  assertEquals(
    lines.map(({ step, loss, gradient_norm, lr_mp, lr_backbones }) => [
      ...[step, loss, gradient_norm],
      ...[lr_mp, lr_backbones],
    ]),
    [[8, 0.5, 1.5, 2e-3, 1e-4], [9, 0.25, 2.5, 2e-3, 1e-4]],
  );
  assertMatch(
    shown[0]!,
    /^ {3}9\/1600 loss 0\.2500 lr 2\.0e-3\/1\.0e-4 \S+ questions\/s \S+ tokens\/s$/,
  );
  runLog.close();
});

Deno.test("a StepLog leaves out of the progress line what a narrow terminal has no room for", () => {
  for (
    const [columns, expected] of [
      [
        200,
        /^12345\/33203 loss 0\.2500 lr \S+ \S+ questions\/s \S+ tokens\/s [\d:]+ left$/,
      ],
      [80, /^12345\/33203 loss 0\.2500 lr \S+ \S+ questions\/s [\d:]+ left$/],
      [40, /^12345\/33203 loss 0\.2500 [\d:]+ left$/],
    ] as const
  ) {
    let shown = "";
    const display = {
      columns,
      update: (line: string) => shown = line,
      glimpse: () => {},
      print: () => {},
    };
    const runLog = { badRows: () => {}, step: () => {}, write: () => {} };
    const log = new StepLog(display, runLog, 33203);
    for (const step of [12344, 12345]) {
      log.take({ step, samples: 256, tokens: 32000, rates: RATES, cut: 0 });
      log.settle([{ loss: 0.25, gradientNorm: 1 }], DATA);
    }
    assertMatch(shown, expected);
    assertGreaterOrEqual(columns, shown.length);
  }
});

Deno.test("a StepLog gives the share of time that the loop waited for data", async () => {
  const { log, shown, written, runLog } = newLog(10);
  const begin = performance.now();
  await new Promise((resolve) => setTimeout(resolve, 100));
  log.take({ step: 1, samples: 1, tokens: 1, rates: RATES, cut: 0 });
  log.settle([{ loss: 1, gradientNorm: 1 }], { ...DATA, waitMilliseconds: 50 });
  const share = Number(written()[0]!["data_wait"]);
  assertGreaterOrEqual(share, 50 / (performance.now() - begin));
  assertGreaterOrEqual(0.5, share);
  assertStringIncludes(shown[0]!, ` ${Math.round(100 * share)} % waiting for data`);
  assertEquals(
    log.waitNote,
    `Note: ${Math.round(100 * share)} % of the time was waiting for ` +
      "data; more threads may help: --workers N",
  );
  runLog.close();
});

Deno.test("a StepLog passes over little waiting, and over what passed between steps", () => {
  const { log, runLog } = newLog(10);
  assertEquals(log.waitNote, "");
  log.resume({ ...DATA, waitMilliseconds: 1e6 });
  log.take({ step: 1, samples: 1, tokens: 1, rates: RATES, cut: 0 });
  log.settle([{ loss: 1, gradientNorm: 1 }], { ...DATA, waitMilliseconds: 1e6 });
  assertEquals(log.waitNote, "");
  runLog.close();
});

Deno.test("a StepLog stops at a loss or a norm that is no number", () => {
  for (const [loss, gradientNorm] of [[NaN, 1], [Infinity, 1], [1, NaN], [1, Infinity]] as const) {
    const { log, runLog } = newLog(10);
    log.take({ step: 3, samples: 1, tokens: 1, rates: RATES, cut: 0 });
    assertThrows(
      () => log.settle([{ loss, gradientNorm }], DATA),
      RangeError,
      `the loss of step 3 is ${loss} and the norm of its gradient ${gradientNorm}`,
    );
    runLog.close();
  }
});

Deno.test("a StepLog goes on after a skipped step, and writes the loss scale", () => {
  const { log, written, runLog } = newLog(10);
  const step = { step: 1, samples: 1, tokens: 1, rates: RATES, cut: 0 };
  log.take(step);
  log.take({ ...step, step: 2 });
  const good = { loss: 1, gradientNorm: 1, lossScale: 65536, skipped: 0 };
  log.settle([good, { ...good, gradientNorm: Infinity, lossScale: 32768, skipped: 1 }], DATA);
  assertEquals(
    written().map(({ loss_scale, skipped_steps }) => [loss_scale, skipped_steps]),
    [[65536, 0], [32768, 1]],
  );
  // The same count again: this step was not skipped, so its norm must be a number.
  log.take({ ...step, step: 3 });
  const bad = { ...good, gradientNorm: NaN, skipped: 1 };
  assertThrows(() => log.settle([bad], DATA), RangeError, "the norm of its gradient NaN");
  runLog.close();
});

Deno.test("a StepLog stops where f16 cannot hold the gradients, or a skipped step's loss is none", () => {
  for (
    const [result, message] of [
      [{ loss: 1, gradientNorm: NaN, lossScale: 0.5, skipped: 17 }, "use --dtype f32"],
      [{ loss: NaN, gradientNorm: NaN, lossScale: 1024, skipped: 1 }, "the loss of step 1 is NaN"],
    ] as const
  ) {
    const { log, runLog } = newLog(10);
    log.take({ step: 1, samples: 1, tokens: 1, rates: RATES, cut: 0 });
    assertThrows(() => log.settle([result], DATA), RangeError, message);
    runLog.close();
  }
});

Deno.test("a StepLog stops when 20 steps in a row were skipped, resumed in between or not", () => {
  const { log, runLog } = newLog(100);
  const step = { samples: 1, tokens: 1, rates: RATES, cut: 0 };
  const take = (log: StepLog, number: number, isSkipped: boolean, skipped: number) => {
    log.take({ ...step, step: number });
    const gradientNorm = isSkipped ? Infinity : 1;
    log.settle([{ loss: 1, gradientNorm, lossScale: 2 ** 40, skipped }], DATA);
  };
  for (let n = 1; n <= 19; n++) take(log, n, true, n);
  take(log, 20, false, 19);
  for (let n = 1; n <= 12; n++) take(log, 20 + n, true, 19 + n);
  const resumed = new StepLog(log.display, runLog, 100);
  resumed.restore(log.state());
  for (let n = 13; n <= 19; n++) take(resumed, 20 + n, true, 19 + n);
  assertThrows(
    () => take(resumed, 40, true, 39),
    RangeError,
    "gradients overflow f16 at step 40, after 20 skipped steps in a row",
  );
  runLog.close();
});

Deno.test("a resumed StepLog counts on, and names no row again", async () => {
  const { log, shown, written, runLog } = newLog(10);
  const row = (number: number) => ({ row: number, imageName: `row ${number}`, reason: "damaged" });
  log.take({ step: 1, samples: 64, tokens: 1, rates: RATES, cut: 3 });
  log.settle([{ loss: 1, gradientNorm: 1 }], { waitMilliseconds: 0, skipped: [row(1)] });
  await new Promise((resolve) => setTimeout(resolve, 20));
  const state = JSON.parse(JSON.stringify(log.state()));
  const resumed = new StepLog(log.display, runLog, 10);
  resumed.restore(state);
  assertStringIncludes(resumed.cutNote, "3 of 64 questions");
  assertGreaterOrEqual(resumed.seconds, 0.02);
  // Rows are named behind the step whose batch they were missing from, whenever results are read.
  const step = { samples: 1, tokens: 1, rates: RATES, cut: 0 };
  resumed.take({ ...step, step: 2, skippedRows: 1 });
  resumed.take({ ...step, step: 3, skippedRows: 2 });
  const results = Array(2).fill({ loss: 1, gradientNorm: 1 });
  resumed.settle(results, { waitMilliseconds: 0, skipped: [row(1), row(2)] });
  assertEquals(written().map(({ step, skipped }) => step ?? skipped), [1, "row 1", 2, 3, "row 2"]);
  assertEquals(shown.filter((line) => line.startsWith("Skipped")).length, 2);
  runLog.close();
});

Deno.test("a StepLog names each row that was left out once", () => {
  const { log, shown, runLog } = newLog(10);
  const first = { row: 1, imageName: "row 1", reason: "damaged" };
  const second = { row: 2, imageName: "row 2", reason: "cut short" };
  [[first], [first], [first, second]].forEach((skipped, i) => {
    log.take({ step: i + 1, samples: 1, tokens: 1, rates: RATES, cut: 0 });
    log.settle([{ loss: 1, gradientNorm: 1 }], { waitMilliseconds: 0, skipped });
  });
  assertEquals(shown.filter((line) => line.startsWith("Skipped")), [
    "Skipped row 1: damaged",
    "Skipped row 2: cut short",
  ]);
  runLog.close();
});

Deno.test("a StepLog names ten bad rows, and lists all of them in a file, each once", () => {
  const { log, shown, runLog } = newLog(10);
  const rows = Array.from(
    { length: 12 },
    (_, row) => ({ row, imageName: `row ${row}`, reason: "cut\nshort" }),
  );
  for (const count of [11, 12]) {
    log.take({ step: count, samples: 1, tokens: 1, rates: RATES, cut: 0 });
    const skipped = rows.slice(0, count);
    log.settle([{ loss: 1, gradientNorm: 1 }], { waitMilliseconds: 0, skipped });
  }
  runLog.badRows("training", rows); // what train.ts does where a run ends early
  const named = shown.filter((line) => line.startsWith("Skipped"));
  assertEquals(named.length, 10);
  assertMatch(named.at(-1)!, /all others: bad_rows\.jsonl$/);
  const path = `${runLog.folder}/bad_rows.jsonl`;
  const lines = () => Deno.readTextFileSync(path).trimEnd().split("\n");
  assertEquals(
    lines().map((line) => JSON.parse(line)),
    rows.map(({ row }) => ({ part: "training", place: `row ${row}`, reason: "cut\nshort" })),
  );
  runLog.close();
  // A resumed run knows what was noted up to its checkpoint, a new one nothing: data may have been repaired.
  const metrics_bytes = Deno.readTextFileSync(`${runLog.folder}/metrics.jsonl`).indexOf("row 7");
  const resumed = RunLog.open(runLog.folder, {
    ...{ step: 1, metrics_bytes: metrics_bytes - '{"skipped":"'.length },
  });
  resumed.badRows("held out", rows.slice(0, 2));
  assertEquals(
    lines().map((line) => JSON.parse(line)).map(({ part, place }) => [part, place]).slice(6),
    [["training", "row 6"], ["held out", "row 0"], ["held out", "row 1"]],
  );
  resumed.close();
  RunLog.open(runLog.folder).close();
  assertThrows(() => Deno.statSync(path), Deno.errors.NotFound);
});

Deno.test("a StepLog lets up to eight quick steps be under way, but slow ones singly", async () => {
  const { log, runLog } = newLog(100);
  const step = { step: 1, samples: 1, tokens: 1, rates: RATES, cut: 0 };
  log.take(step);
  assertEquals(log.isFull, true, "the first, since nothing is known of their speed");
  log.settle([{ loss: 1, gradientNorm: 1 }], DATA);
  for (let i = 0; i < 7; i++) log.take(step);
  assertEquals(log.isFull, false);
  log.take(step);
  assertEquals(log.isFull, true);
  log.settle(Array(8).fill({ loss: 1, gradientNorm: 1 }), DATA);
  log.take(step);
  await new Promise((resolve) => setTimeout(resolve, 600));
  log.settle([{ loss: 1, gradientNorm: 1 }], DATA);
  log.take(step);
  assertEquals(log.isFull, true, "0.6 s a step");
  runLog.close();
});

Deno.test("a StepLog says once that questions are too long, and stops where all are", () => {
  const { log, shown, runLog } = newLog(10);
  const step = { step: 1, samples: 32, tokens: 100, rates: RATES, cut: 0 };
  log.take({ ...step, cut: 0 });
  log.take({ ...step, cut: 2 });
  log.take({ ...step, cut: 3 });
  assertEquals(shown.filter((line) => line.includes("lm_max_length")).length, 1);
  assertStringIncludes(log.cutNote, "5 of 96 questions");
  const other = newLog(10);
  other.log.take({ ...step, cut: 32 });
  assertThrows(() => other.log.take({ ...step, cut: 32 }), RangeError, "--set lm_max_length=N");
  runLog.close();
  other.runLog.close();
});

Deno.test("a StepLog shows in a log file how much time is left after ten steps, however soon", () => {
  const { log, shown, runLog } = newLog(1600);
  for (let step = 1; step <= 12; step++) {
    log.take({ step, samples: 64, tokens: 4000, rates: RATES, cut: 0 });
    log.settle([{ loss: 0.5, gradientNorm: 1.5 }], DATA);
  }
  assertEquals(shown.map((line) => line.trim().split("/")[0]), ["1", "10"]);
  assertMatch(shown[1]!, / [\d:]+ left$/);
  runLog.close();
});

Deno.test("a StepLog does not count the first step, which compiles shaders, into the time left", () => {
  const { now } = performance;
  let milliseconds = 0;
  performance.now = () => milliseconds;
  const { log, shown, runLog } = newLog(1010);
  try {
    for (let step = 1; step <= 10; step++) {
      log.take({ step, samples: 64, tokens: 4000, rates: RATES, cut: 0 });
      milliseconds += step === 1 ? 120_000 : 300;
      log.settle([{ loss: 0.5, gradientNorm: 1.5 }], DATA);
    }
  } finally {
    performance.now = now;
  }
  assertMatch(shown[0]!, /tokens\/s$/);
  assertMatch(shown[1]!, / 5:00 left$/);
  runLog.close();
});
