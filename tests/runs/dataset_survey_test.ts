// Tests of looking through a dataset: exact counts where rows are good, bad, too long and rated low.
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { VQACollator } from "../../data/collator.ts";
import { type Dataset, openDataset, type Row } from "../../data/datasets.ts";
import { HubError } from "../../data/hub.ts";
import { ImageProcessor } from "../../data/processor.ts";
import { byteTokenizer } from "../../data/tokenizer.ts";
import { readSamples } from "../../runs/dataset_samples.ts";
import { rowsToScan, surveyDataset, type SurveyOptions } from "../../runs/dataset_survey.ts";
import { surveyJson, surveyText } from "../../runs/survey_text.ts";
import { goldenImage, writeCauldron } from "../data/helpers.ts";

const PNG = goldenImage("1_gray.png"); // 64 x 48
const JPEG = goldenImage("5_photo.jpg"); // 150 x 101
const tokenizer = byteTokenizer();
/** Tokens of a question with an answer: "Question: " + " Answer:" + the end token, and both texts. */
const tokens = (question: string, answer: string) => 19 + question.length + answer.length;
const MAX_LENGTH = tokens("is it red?", "yes");

const OPTIONS: SurveyOptions = {
  tokenizer,
  maxLength: MAX_LENGTH,
  questionsPerRow: "all",
  samples: 3,
  seed: 0,
};

/** Five rows to learn from, with seven questions of which two are too long, and four that are bad. */
async function mixed(): Promise<Dataset> {
  const folder = await Deno.makeTempDir();
  const path = `${folder}/train.parquet`;
  writeCauldron(path, [
    { image: PNG, turns: [["is it red?", "yes"], ["what is it?", "a square"]] },
    { image: null, turns: [["is it?", "no"]] },
    { image: PNG, turns: [["is it?", "no"]] },
    { image: PNG.subarray(0, 200), turns: [["is it?", "no"]] },
    { image: JPEG, turns: [["is it?", "no"], ["is it that?", "yes"]] },
    { image: new TextEncoder().encode("<svg></svg>"), turns: [["is it?", "no"]] },
    { image: PNG, turns: [] },
    { image: PNG, turns: [["is it?", "y"]] },
    { image: PNG, turns: [["who?", "me"]] },
  ]);
  const dataset = await openDataset(path, "train");
  await dataset.row(0); // so that nothing of the file is needed any more
  await Deno.remove(folder, { recursive: true });
  return dataset;
}

Deno.test("surveyDataset() counts exactly what is good, too long and left out", async () => {
  const progress: number[] = [];
  const survey = await surveyDataset(await mixed(), {
    ...OPTIONS,
    onRow: (done, of) => progress.push(done / of),
  });
  assertEquals([survey.rows, survey.scanned, survey.questions], [9, 9, 7]);
  assertEquals(survey.tooLong, 2);
  assertEquals(survey.answers.slice(0, 3), [
    { text: "yes", questions: 2 },
    { text: "no", questions: 2 },
    { text: "y", questions: 1 },
  ]);
  assertEquals([survey.answers.length, survey.guessable], [5, 4]); // 2 of "is", 1 of "what", 1 of "who"
  assertEquals(survey.turns.spread, { least: 1, median: 1, mean: 1.4, most: 2 });
  const lengths = [["what is it?", "a square"], ["who?", "me"]].map(([q, a]) => tokens(q!, a!));
  assertEquals([survey.lengths.spread.most, survey.lengths.spread.least], lengths);
  assertEquals(survey.answerLengths.spread.most, "a square".length + 1);
  const { types, sizes: { widths, heights }, bytes } = survey.pictures;
  assertEquals([...types], [["PNG", 4], ["JPEG", 1]]);
  assertEquals([widths.spread.most, heights.spread.most], [150, 101]);
  assertEquals([bytes.spread.least, bytes.spread.most], [PNG.length, JPEG.length]);
  assertEquals(
    survey.dropped.map(({ reason, rows, examples }) => [reason, rows, examples.length]),
    [["no picture", 1, 1], ["unreadable picture", 2, 2], ["no questions", 1, 1]],
  );
  assertStringIncludes(survey.dropped[1]!.examples[1]!.message, "an SVG file");
  assertStringIncludes(survey.dropped[1]!.examples[1]!.place, "row 5");
  assertEquals(survey.categories, [
    { name: "yes/no", questions: 5, tooLong: 1 },
    { name: "what is", questions: 1, tooLong: 1 },
    { name: "who", questions: 1, tooLong: 0 },
  ]);
  assertEquals(survey.columns, ["images", "texts"]);
  assertEquals(progress, Array.from({ length: 9 }, (_, i) => (i + 1) / 9));
});

Deno.test("surveyDataset() agrees with what training cuts", async () => {
  const dataset = await mixed();
  const survey = await surveyDataset(dataset, OPTIONS);
  const collator = new VQACollator(tokenizer, MAX_LENGTH, new ImageProcessor({ vit_img_size: 8 }));
  const tools = { tokenizer, collator, questionsPerRow: "all" as const };
  const samples = await readSamples(dataset, [0, 2, 4, 7, 8], tools);
  const turns = samples.flatMap(({ turns }) => turns);
  assertEquals(turns.length, survey.questions);
  assertEquals(turns.filter(({ isCut }) => isCut).length, survey.tooLong);
});

Deno.test("surveyDataset() takes each row's first question alone where training does", async () => {
  const survey = await surveyDataset(await mixed(), { ...OPTIONS, questionsPerRow: "first" });
  assertEquals([survey.questions, survey.tooLong, survey.turns.spread.most], [5, 0, 2]);
});

Deno.test("surveyDataset() chooses good rows by the seed", async () => {
  const dataset = await mixed();
  const choose = async (seed: number, samples: number) =>
    (await surveyDataset(dataset, { ...OPTIONS, seed, samples })).samples;
  assertEquals(await choose(0, 10), [0, 2, 4, 7, 8]);
  assertEquals((await choose(1, 2)).length, 2);
  assertEquals(await choose(1, 2), await choose(1, 2));
  const choices = await Promise.all(Array.from({ length: 20 }, (_, seed) => choose(seed, 1)));
  assertEquals(new Set(choices.flat()).size > 2, true, "another seed, another row");
  assertEquals(choices.flat().every((row) => [0, 2, 4, 7, 8].includes(row)), true);
});

Deno.test("rowsToScan() takes the first rows of every source, in proportion", () => {
  const dataset = { rows: 110 } as Dataset;
  assertEquals(rowsToScan(dataset, 3), [0, 1, 2]);
  assertEquals(rowsToScan(dataset, Infinity).length, 110);
  const parts = [{ name: "a", start: 0, rows: 100 }, { name: "b", start: 100, rows: 10 }];
  assertEquals(rowsToScan({ ...dataset, parts }, 22), [
    ...Array.from({ length: 20 }, (_, i) => i),
    100,
    101,
  ]);
  assertEquals(rowsToScan({ ...dataset, parts }, 1), [0, 100]);
});

/** Rows with as many questions as the numbers say. */
function datasetOf(counts: readonly number[], row?: () => Promise<Row>): Dataset {
  const image = { width: 2, height: 2, data: new Uint8Array(12) };
  const turn = { question: "q?", answer: "a", category: "\x1b[31mother" };
  return {
    name: "made up",
    rows: counts.length,
    format: "vqa",
    row: row ??
      ((index) => ({
        image,
        imageName: `row ${index}`,
        turns: Array.from({ length: counts[index]! }, () => turn),
      })),
    turnCounts: () => Promise.resolve(Uint32Array.from(counts)),
    allTurns: async function* () {},
  };
}

Deno.test("surveyDataset() counts what is left out for its ratings", async () => {
  const unfiltered = datasetOf([3, 2, 0, 1]);
  const survey = await surveyDataset(datasetOf([1, 0, 0, 1]), { ...OPTIONS, unfiltered });
  assertEquals([survey.ratedOut, survey.questions], [4, 2]);
  assertEquals(
    survey.dropped.map(({ reason, rows }) => [reason, rows]),
    [["no questions", 1], ["ratings too low", 1]],
  );
});

Deno.test("surveyDataset() does not count rows as bad that the Hub cannot give", async () => {
  const fails = () => Promise.reject(new HubError("no network"));
  await assertRejects(() => surveyDataset(datasetOf([1], fails), OPTIONS), HubError, "no network");
});

Deno.test("surveyDataset() does not read a damaged row group again for every row", async () => {
  const good = datasetOf(Array(12).fill(1));
  const asked: number[] = [];
  const row = (index: number) => {
    asked.push(index);
    if (index >= 4 && index < 8) throw new SyntaxError("a broken page");
    return good.row(index);
  };
  const groups = [0, 4, 8].map((start) => ({ start, rows: 4, bytes: 1 }));
  const survey = await surveyDataset({ ...good, row, groups }, OPTIONS);
  assertEquals(asked, [0, 1, 2, 3, 4, 5, 8, 9, 10, 11]);
  assertEquals(survey.dropped.map(({ reason, rows }) => [reason, rows]), [["bad record", 4]]);
  assertEquals(survey.questions, 8);
});

Deno.test("surveyText() fits 80 columns, says what to do, and steers no terminal", async () => {
  const survey = await surveyDataset(await mixed(), OPTIONS);
  const text = surveyText(survey);
  for (
    const part of [
      "9 rows",
      "1 to 2, median 1 a row; 7 to learn from",
      "PNG 4, JPEG 1",
      "Left out: 4 of 9 rows (44.4 %)",
      "unreadable picture: 2",
      "Too long to teach anything: 2 of 7 questions (28.6 %)",
      `--set lm_max_length=${tokens("what is it?", "a square")} takes all of them`,
      "░",
    ]
  ) assertStringIncludes(text, part);
  const messages = /^ {4}|^\S+train\.parquet:/; // as long as they are
  const wide = text.split("\n").filter((line) => line.length > 80 && !messages.test(line));
  assertEquals(wide, []);
  // deno-lint-ignore no-control-regex
  assertEquals(/\x1b/.test(surveyText(await surveyDataset(datasetOf([1]), OPTIONS))), false);
  const columns = Array.from({ length: 25 }, (_, at) => `c${at}`);
  assertStringIncludes(surveyText({ ...survey, columns }), "c18, c19 and 5 more\n");
});

Deno.test("surveyText() and surveyJson() do with a dataset of which nothing is good", async () => {
  const survey = await surveyDataset(datasetOf([0, 0]), OPTIONS);
  assertStringIncludes(surveyText(survey), "Left out: 2 of 2 rows (100.0 %)");
  const { questions, tokens_histogram } = surveyJson(survey);
  assertEquals([questions, tokens_histogram], [0, []]);
});

Deno.test("readSamples() marks the answer's tokens and the end as learned, and padding as none", async () => {
  for (const side of ["left", "right"] as const) {
    const collator = new VQACollator(
      tokenizer,
      MAX_LENGTH,
      new ImageProcessor({ vit_img_size: 8 }),
      side,
    );
    const tools = { tokenizer, collator, questionsPerRow: "all" as const };
    const [sample] = await readSamples(await mixed(), [4], tools);
    const [first, second] = sample!.turns;
    const textOf = (isLearned: boolean) =>
      first!.tokens.filter((token) => token.isLearned === isLearned).map(({ text }) => text).join(
        "",
      );
    assertEquals([textOf(false), textOf(true)], ["Question: is it? Answer:", "no<|endoftext|>"]);
    assertEquals(first!.padding, {
      count: MAX_LENGTH - first!.tokens.length,
      isBefore: side === "left",
    });
    assertEquals(second!.isCut, true);
    assertEquals([second!.tokens.length, second!.padding.count], [MAX_LENGTH, 0]);
    assertEquals(second!.tokens.some(({ isLearned }) => isLearned), false);
    assertEquals([sample!.imageKind, sample!.width, sample!.height], ["JPEG", 150, 101]);
    assertStringIncludes(sample!.original, `data:image/jpeg;base64,${JPEG.toBase64()}`);
  }
});

Deno.test("a bad line is no missing picture, though the file's name speaks of pictures", async () => {
  const root = await Deno.makeTempDir();
  const folder = `${root}/my-pictures`;
  await Deno.mkdir(folder);
  await Deno.writeFile(`${folder}/a.png`, PNG);
  const line = JSON.stringify({ image: "a.png", question: "what is it?", answer: "a square" });
  const gone = line.replace("a.png", "gone.png");
  await Deno.writeTextFile(`${folder}/metadata.jsonl`, [line, line.slice(0, 9), gone].join("\n"));
  const survey = await surveyDataset(await openDataset(folder, "train"), OPTIONS);
  assertEquals(
    survey.dropped.map(({ reason, rows }) => [reason, rows]).sort(),
    [["bad record", 1], ["no picture", 1]],
  );
  await Deno.remove(root, { recursive: true });
});
