// Tests of eval.ts: evaluate() with a made-up model that gives known answers.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertRejects,
  assertStringIncludes,
} from "@std/assert";
import type { Dataset, Row } from "../data/dataset.ts";
import type { Batch } from "../data/collator.ts";
import { Samples } from "../data/samples.ts";
import { byteTokenizer } from "../data/tokenizer.ts";
import { evaluate, type Evaluation, type Subject } from "../eval.ts";
import { presets } from "../model/config.ts";
import type { GenerateOptions } from "../model/generator.ts";
import { IGNORED_LABEL } from "../model/inputs.ts";
import { lossText } from "../runs/report.ts";

const tokenizer = byteTokenizer();

/** Question, answer, kind. */
type Asked = readonly [string, string, string];

function samplesOf(asked: readonly Asked[], format: Dataset["format"]): Promise<Samples> {
  const image = { width: 2, height: 2, data: new Uint8Array(12) };
  const row = (i: number): Row => {
    const [question, answer, category] = asked[i]!;
    return { image, imageName: `row ${i}`, turns: [{ question, answer, category }] };
  };
  const turnCounts = () => Promise.resolve(new Uint32Array(asked.length).fill(1));
  const allTurns = async function* () {};
  const dataset = { name: "asked", rows: asked.length, format, row, turnCounts, allTurns };
  return Samples.open(dataset, "all");
}

/** A model that answers by a table, and whose loss is a tenth of each label's value. */
function subjectThatSays(
  answers: Readonly<Record<string, string>>,
  /** What it says where answers are drawn. */
  drawn: Readonly<Record<string, string>> = answers,
) {
  const batches: Batch[] = [];
  const asked: { options: GenerateOptions; questions: readonly string[] }[] = [];
  const generator = {
    model: { config: presets.quickstart.vlm },
    generate: (batch: Batch, options: GenerateOptions) => {
      const { maxNewTokens, mode } = options;
      if (mode === "greedy") batches.push(batch);
      else asked.push({ options, questions: batch.questions });
      const says = mode === "greedy" ? answers : drawn;
      return Promise.resolve(
        batch.questions.map((q) => tokenizer.encode(says[q]!).slice(0, maxNewTokens)),
      );
    },
  };
  const meter = {
    measure: ({ labels }: Batch) => {
      const counted = [...labels].filter((label) => label !== IGNORED_LABEL);
      return Promise.resolve({
        sum: counted.reduce((sum, label) => sum + label / 10, 0),
        count: counted.length,
      });
    },
  };
  const subject = { generator, meter, tokenizer } as unknown as Subject;
  return { subject, batches, asked };
}

Deno.test("evaluate() counts texts that are equal but for space around them, by kind of question", async () => {
  const samples = await samplesOf([
    ["a?", "red", "color"],
    ["b?", "blue ", "color"],
    ["c?", "Green", "color"],
    ["d?", "circle", "shape"],
    ["e?", "circle", "shape"],
  ], "vqa");
  const says = { "a?": " red", "b?": "blue", "c?": "green", "d?": "circle", "e?": "circl" };
  const result = await evaluate(subjectThatSays(says).subject, samples, { batchSize: 2 });
  assertEquals([result.task, result.correct, result.total], ["vqa", 3, 5]);
  assertAlmostEquals(result.accuracy, 0.6);
  assertEquals(result.by_category, {
    color: { accuracy: 2 / 3, correct: 2, total: 3, baseline_accuracy: 1 / 3 },
    shape: { accuracy: 1 / 2, correct: 1, total: 2, baseline_accuracy: 1 },
  });
});

Deno.test("evaluate() judges multiple choice by the letter, in nanoVLM's prompt", async () => {
  const samples = await samplesOf([
    ["x?", "A", "coarse"],
    ["y?", "B", "coarse"],
    ["z?", "C", "fine"],
  ], "multiple-choice");
  const { subject, batches } = subjectThatSays({ "x?": "A.", "y?": "b", "z?": "(C)" });
  const result = await evaluate(subject, samples, { batchSize: 3 });
  assertEquals([result.task, result.correct], ["mmstar", 2]);
  const prompt = tokenizer.decode(batches[0]!.inputIds.subarray(0, batches[0]!.length));
  assertEquals(prompt, "Question: x? \nAnswer only with the letter! \nAnswer:");
});

Deno.test("evaluate() may judge a multiple-choice dataset as free questions", async () => {
  const samples = await samplesOf([["x?", "A", "coarse"]], "multiple-choice");
  const { subject } = subjectThatSays({ "x?": "A." });
  const result = await evaluate(subject, samples, { batchSize: 1, task: "vqa" });
  assertEquals([result.task, result.correct], ["vqa", 0]);
});

Deno.test("evaluate() puts similar lengths together, fills the last batch up, and keeps the order", async () => {
  const questions = ["long question 1?", "b?", "long question 2?", "d?", "e?"];
  const samples = await samplesOf(questions.map((q) => [q, q, "kind"]), "vqa");
  const says = Object.fromEntries(questions.map((q) => [q, q]));
  const { subject, batches } = subjectThatSays(says);
  const told: number[][] = [];
  const onAsked = (...counts: [number, number, unknown]) =>
    told.push(counts.slice(0, 2) as number[]);
  const result = await evaluate(subject, samples, { batchSize: 3, onAsked });
  assertEquals(told, [[3, 5], [5, 5]]);
  assertEquals(batches.map(({ questions }) => questions), [
    ["b?", "d?", "e?"],
    ["long question 1?", "long question 2?", "long question 2?"],
  ]);
  assertEquals(result.answers.map(({ question }) => question), questions);
  assertEquals(result.total, 5);
});

Deno.test("evaluate() weighs the loss by labels, whatever the batch size, and leaves out rows too long", async () => {
  const long = "?".repeat(100); // more than lm_max_length, 64
  const asked: Asked[] = [["a?", "x", "k"], ["b?", "yz", "k"], [long, "w", "k"]];
  const samples = await samplesOf(asked, "vqa");
  const says = Object.fromEntries(asked.map(([question, answer]) => [question, answer]));
  const labels = [..."xyz"].flatMap((letter) => tokenizer.encode(letter)).concat([0, 0]);
  const expected = labels.reduce((sum, label) => sum + label / 10, 0) / labels.length;
  for (const [batchSize, indices] of [[1, [0, 1, 2]], [2, [2, 1, 0]], [5, [0, 1]]] as const) {
    const options = { batchSize, indices };
    const { loss } = await evaluate(subjectThatSays(says).subject, samples, options);
    assertAlmostEquals(loss, expected, 1e-9);
  }
  const { loss } = await evaluate(subjectThatSays(says).subject, samples, {
    batchSize: 1,
    indices: [2],
  });
  assertEquals(loss, NaN);
});

Deno.test("evaluate() asks only the samples of `indices`", async () => {
  const samples = await samplesOf([["a?", "x", "k"], ["b?", "y", "k"], ["c?", "z", "k"]], "vqa");
  const { subject } = subjectThatSays({ "a?": "x", "b?": "", "c?": "z" });
  const result = await evaluate(subject, samples, { batchSize: 2, indices: [2, 0] });
  assertEquals(result.answers.map(({ index }) => index), [2, 0]);
  assertEquals([result.correct, result.total], [2, 2]);
});

Deno.test("evaluate() counts drawn answers apart, 5 tokens of the softmax that go on behind the end", async () => {
  const samples = await samplesOf([["x?", "A", "k"], ["y?", "B", "k"]], "multiple-choice");
  const { subject, asked } = subjectThatSays({ "x?": "A", "y?": "C" }, { "x?": "A", "y?": "B" });
  const result = await evaluate(subject, samples, { batchSize: 2, sampleSeed: 1 });
  assertEquals([result.correct, result.sampled?.correct, result.sampled?.total], [1, 2, 2]);
  const { seed: _, ...options } = asked[0]!.options;
  assertEquals(options, { maxNewTokens: 5, mode: { temperature: 1, topK: 0, topP: 1 } });
  const plain = await evaluate(subject, samples, { batchSize: 2 });
  assertEquals([plain.sampled, asked.length], [undefined, 1]);
});

Deno.test("evaluate() gives a question's draws the same seed in every batch, and others each", async () => {
  const questions = ["a long one?", "b?", "c?", "d?"];
  const samples = await samplesOf(questions.map((q) => [q, q, "kind"]), "vqa");
  const says = Object.fromEntries(questions.map((q) => [q, q]));
  const seedsBy = async (batchSize: number, sampleSeed: number) => {
    const { subject, asked } = subjectThatSays(says);
    await evaluate(subject, samples, { batchSize, sampleSeed });
    return new Map(
      asked.flatMap(({ options: { seed }, questions }) =>
        questions.map((question, b): [string, number] => [question, (seed as number[])[b]!])
      ),
    );
  };
  const seeds = await seedsBy(1, 7);
  assertEquals(new Set(seeds.values()).size, 4);
  for (const batchSize of [2, 3]) {
    const others = await seedsBy(batchSize, 7);
    for (const [question, seed] of seeds) assertEquals(others.get(question), seed);
  }
  assertEquals(
    [...(await seedsBy(1, 8)).values()].some((s) => [...seeds.values()].includes(s)),
    false,
  );
});

/** 5 rows of one question each, whose rows `bad` cannot be read. */
async function damaged(bad: readonly number[]): Promise<Samples> {
  const whole = await samplesOf(Array.from({ length: 5 }, () => ["a?", "red", "color"]), "vqa");
  const { dataset } = whole;
  const row = (index: number) => {
    if (bad.includes(index)) throw new SyntaxError(`Cannot read row ${index}`);
    return dataset.row(index);
  };
  const { name, rows, format } = dataset;
  const turnCounts = () => dataset.turnCounts();
  const allTurns = () => dataset.allTurns();
  return await Samples.open({ name, rows, format, row, turnCounts, allTurns }, "all");
}

Deno.test("evaluate() leaves out, names and counts rows that cannot be read, however many", async () => {
  const { subject } = subjectThatSays({ "a?": "red" });
  const { correct, total, skipped, answers } = await evaluate(subject, await damaged([1, 3]), {
    batchSize: 2,
  });
  assertEquals([correct, total, answers.map(({ index }) => index)], [3, 3, [0, 2, 4]]);
  assertEquals(skipped.map(({ row, reason }) => [row, reason]), [
    [1, "Cannot read row 1"],
    [3, "Cannot read row 3"],
  ]);
  const many = await evaluate(subject, await damaged([0, 1, 2, 3]), { batchSize: 2 });
  assertEquals([many.correct, many.total, many.skipped.length], [1, 1, 4]);
  const all = await evaluate(subject, await damaged([0, 1, 2, 3, 4]), { batchSize: 2 });
  assertEquals([all.accuracy, all.total, all.skipped.length], [NaN, 0, 5]);
});

Deno.test("evaluate() measures against a baseline known before, or the questions' own", async () => {
  const asked: Asked[] = [["a?", "red", "k"], ["b?", "red", "k"], ["c?", "blue", "k"]];
  const samples = await samplesOf(asked, "vqa");
  const { subject } = subjectThatSays({ "a?": "red", "b?": "red", "c?": "red" });
  const own = await evaluate(subject, samples, { batchSize: 3 });
  assertEquals([own.accuracy, own.baseline_accuracy], [2 / 3, 2 / 3]);
  const baseline = new Map([["k", "blue"]]);
  const known = await evaluate(subject, samples, { batchSize: 3, baseline });
  assertEquals(known.baseline_accuracy, 1 / 3);
  assertEquals(known.by_category["k"]?.baseline_accuracy, 1 / 3);
});

/** What fits `quickstart` beside a picture of 4 tokens. */
const ROOM = presets.quickstart.vlm.lm_max_position_embeddings - 4;

Deno.test("evaluate() counts what is longer than the context as wrong, and names it", async () => {
  const asked: Asked[] = [
    ["a?", "x", "k"],
    ["?".repeat(15_000), "y", "k"],
    ["b?", "z".repeat(15_000), "other"],
    ["c?", "", "k"],
    ["?".repeat(ROOM), "", "k"],
  ];
  const samples = await samplesOf(asked, "vqa");
  const { subject, batches } = subjectThatSays({ "a?": "x", "c?": "" });
  const result = await evaluate(subject, samples, { batchSize: 2, sampleSeed: 1 });
  assertEquals([result.correct, result.total, result.sampled?.total], [2, 5, 5]);
  assertEquals(result.by_category["other"]?.correct, 0);
  assertEquals(result.too_long.map(({ row }) => row).sort(), [1, 2, 4]);
  assertEquals(
    result.too_long.map(({ row, reason }) => [row, reason]).sort(),
    [
      [1, `question and answer take 15,020 tokens, beside the picture there is room for ${ROOM}`],
      [2, "the answer takes 15,001 tokens, lm_max_length is 46"],
      [4, `question and answer take 8,207 tokens, beside the picture there is room for ${ROOM}`],
    ],
  );
  assertEquals(result.answers.map(({ index }) => index), [0, 3]);
  assertEquals(
    new Set(batches.flatMap(({ questions }) => questions)),
    new Set(["a?", "c?"]),
  );
});

Deno.test("evaluate() never asks for more tokens than the context holds, whoever shares a batch", async () => {
  const prompt = "Question:  Answer:".length;
  const long = "q".repeat(ROOM - prompt - 3); // room for an answer of two letters and the end
  const asked: Asked[] = [[long, "xy", "k"], [long.slice(1), "ab", "k"], [
    "a?",
    "z".repeat(45),
    "k",
  ]];
  const samples = await samplesOf(asked, "vqa");
  const { subject, batches, asked: drawn } = subjectThatSays(
    Object.fromEntries(asked.map(([question, answer]) => [question, answer])),
  );
  const result = await evaluate(subject, samples, { batchSize: 3, sampleSeed: 1 });
  assertEquals([result.correct, result.total, result.too_long.length], [3, 3, 0]);
  assertEquals(batches.length, 2, "the short question is asked by itself");
  for (const { options, questions } of drawn) {
    const longest = Math.max(...questions.map((question) => prompt + question.length));
    assert(longest + options.maxNewTokens <= ROOM);
  }
});

Deno.test("evaluate() tells a loss that is no number from one of no questions", async () => {
  const samples = await samplesOf([["a?", "x", "k"]], "vqa");
  const { subject } = subjectThatSays({ "a?": "x" });
  const meter = { measure: () => Promise.resolve({ sum: NaN, count: 2 }) };
  const { loss, labels, accuracy } = await evaluate(
    { ...subject, meter } as unknown as Subject,
    samples,
    { batchSize: 1 },
  );
  assertEquals([loss, labels, accuracy], [NaN, 2, 1]);
  assertStringIncludes(lossText({ loss, labels, total: 1 }), "not finite");
  const none = { loss: NaN, labels: 0 };
  assertStringIncludes(lossText({ ...none, total: 1 }), "no question with its answer fits");
  assertStringIncludes(lossText({ ...none, total: 0 }), "nothing was asked");
});

Deno.test("evaluate() stops after a batch when it is told to, and what was asked is there", async () => {
  const samples = await samplesOf(
    Array.from({ length: 9 }, (_, i) => ["a?", "red", `kind ${i}`]),
    "vqa",
  );
  const controller = new AbortController();
  let last: Evaluation | undefined;
  await assertRejects(
    () =>
      evaluate(subjectThatSays({ "a?": "red" }).subject, samples, {
        batchSize: 2,
        signal: controller.signal,
        onAsked: (asked, _, soFar) => {
          last = soFar();
          if (asked === 4) controller.abort(new Error("enough"));
        },
      }),
    Error,
    "enough",
  );
  assertEquals([last?.correct, last?.total, last?.unasked], [4, 4, 5]);
});
