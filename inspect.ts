/**
 * Looks through a dataset before anything is trained on it: rows, sizes, lengths in tokens, what
 * training would leave out and why; and writes a page of pictures and questions as the model sees
 * them.
 *
 * Beside train.ts. `deno task data --help` shows the command's flags.
 */
import { type Command, runCommand } from "./commands/command.ts";
import { COLUMNS_FLAG, requireColumns } from "./commands/dataset_flags.ts";
import { type Arguments, type Flags, UsageError, wholeNumber } from "./commands/flags.ts";
import { percentToAllow } from "./data/bad_rows.ts";
import { VQACollator } from "./data/collator.ts";
import type { MinimumRatings } from "./data/dataset_options.ts";
import { parseDatasetSpec } from "./data/dataset_spec.ts";
import { type Dataset, openDataset, type Split } from "./data/datasets.ts";
import { ImageProcessor } from "./data/processor.ts";
import { denoCommand, printable, printLine } from "./data/terminal.ts";
import { type Tokenizer, tokenizerFor } from "./data/tokenizer.ts";
import { type Config, presets } from "./model/config.ts";
import { applySettings } from "./model/config_file.ts";
import { readFacts, rowLength } from "./runs/data_facts.ts";
import { exportDataset } from "./runs/dataset_export.ts";
import { readSamples } from "./runs/dataset_samples.ts";
import { type DroppedRows, type Survey, surveyDataset } from "./runs/dataset_survey.ts";
import { Display } from "./runs/display.ts";
import { downloadDisplay } from "./runs/download_display.ts";
import { datasetPage } from "./runs/page/dataset_page.ts";
import { requirePagePath } from "./runs/page/page.ts";
import { pictureAdvice } from "./runs/picture_advice.ts";
import { clock, shellWord, short } from "./runs/report.ts";
import { grouped, surveyJson, surveyText } from "./runs/survey_text.ts";

const PRESETS = ["quickstart", "tiny", "222m"] as const;
const DEFAULT_LIMIT = 10_000;
/** Where pictures come over the network. */
const DEFAULT_HUB_LIMIT = 1000;
const DEFAULT_SAMPLES = 24;
/** Rows left out for these reasons count against what --allow-bad-rows allows. */
const BAD = new Set<DroppedRows["reason"]>(["no picture", "unreadable picture", "bad record"]);

const FLAGS = {
  "split": {
    value: "PART",
    choices: ["train", "validation", "test"],
    help: "which part of it (default: train)",
  },
  "limit": {
    value: "N",
    number: wholeNumber(1),
    help:
      `rows to look at, from the start of every source (default: ${DEFAULT_LIMIT}, of data on the ` +
      `Hub ${DEFAULT_HUB_LIMIT})`,
  },
  "preset": {
    value: "NAME",
    choices: PRESETS,
    help:
      "the model that is to see it: quickstart, tiny or 222m (default: tiny, of shapes quickstart)",
  },
  "tokenizer": {
    value: "DIR",
    help: 'folder with tokenizer.json, owner/name on the Hub, or "bytes" (default: the preset\'s)',
  },
  "set": {
    value: "key=value",
    many: true,
    help: "one of the preset's keys, such as lm_max_length=64; may be given several times",
  },
  "columns": COLUMNS_FLAG,
  "html": { value: "FILE", help: "where to write the page (default: NAME-dataset.html)" },
  "samples": {
    value: "N",
    number: wholeNumber(0),
    help: `rows on the page (default: ${DEFAULT_SAMPLES})`,
  },
  "seed": {
    value: "N",
    number: wholeNumber(0, 0xffffffff),
    help: "another one shows other rows (default: 0)",
  },
  "export": {
    value: "FOLDER",
    help:
      "write the dataset there instead, --limit rows of it, as pictures and a metadata.jsonl to look into and to change",
  },
  "json": { help: "print one JSON document; progress goes to stderr anyway" },
} as const satisfies Flags;

/** A dataset and the model that is to see it. */
interface Task {
  readonly spec: string;
  readonly split: Split;
  readonly dataset: Dataset;
  /** The dataset with all questions, where some are left out for their ratings. */
  readonly unfiltered: Dataset | undefined;
  readonly config: Config;
  readonly tokenizerName: string;
  readonly tokenizer: Tokenizer;
}

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno task data",
  summary: 'Shows a dataset, and what training would make of it. It is "shapes", a file, a\n' +
    "folder, a pattern, or a name on the Hugging Face Hub: docs/data.md.",
  positionals: ["dataset"],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const task = await openTask(args);
  const folder = args.text("export");
  if (folder !== undefined) return await writeFolder(folder, task, args);
  const path = args.text("html") ?? pageName(task.spec);
  requirePagePath(path);
  const survey = await look(task, args);
  await writePage(path, task, { survey, command: callOf(args) });
  if (args.has("json")) return printLine(JSON.stringify({ ...surveyJson(survey), html: path }));
  printLine(surveyText(survey, pictureAdvice(survey.pictures.sizes, task.config.vlm)));
  printLine(`\nWrote ${path}: open it in a browser.`);
  if (task.split === "train" && survey.questions > survey.tooLong) {
    printLine(`Train on it: ${trainCommand(task, survey, args)}`);
  }
}

/** What trains on the dataset as it was looked at. */
function trainCommand(
  { spec, config }: Task,
  { dropped, rows, scanned }: Survey,
  args: Arguments<typeof FLAGS>,
): string {
  const given = (["tokenizer", "columns", "set"] as const).flatMap((name) =>
    args.texts(name).flatMap((value) => [`--${name}`, value])
  );
  const bad = dropped.reduce((sum, its) => BAD.has(its.reason) ? sum + its.rows : sum, 0);
  const isMany = bad > config.train.allowed_bad_rows * scanned && bad * rows / scanned > 3;
  const allowed = isMany ? ["--allow-bad-rows", `${percentToAllow(bad, scanned)}%`] : [];
  const flags = ["--preset", presetOf(args), "--train-dataset", spec, ...given, ...allowed];
  return denoCommand(["task train", ...flags.map(shellWord)].join(" "));
}

/** Writes the dataset out, and says how to go on with what was written. */
async function writeFolder(
  folder: string,
  { dataset }: Task,
  args: Arguments<typeof FLAGS>,
): Promise<void> {
  const display = new Display(Deno.stderr);
  const limit = args.number("limit");
  const { pictures, questions, leftOut, reason } = await exportDataset(dataset, folder, {
    ...(limit === undefined ? {} : { rows: limit }),
    onRow: (done, of) => display.update(`Wrote ${grouped(done)} of ${grouped(of)} pictures`),
  }).finally(() => display.clear());
  if (args.has("json")) {
    const written = { folder, pictures, questions, left_out: leftOut, reason: reason ?? null };
    return printLine(JSON.stringify(written));
  }
  const name = shellWord(folder);
  printLine([
    `Wrote ${grouped(pictures)} pictures with ${grouped(questions)} questions to ${folder}`,
    ...(leftOut === 0 ? [] : [`Left out ${grouped(leftOut)} rows: ${printable(reason ?? "")}`]),
    `Look at it: ${denoCommand(`task data ${name}`)}`,
    `Train on it: ${denoCommand(`task train --preset tiny --train-dataset ${name}`)}`,
  ].join("\n"));
}

async function openTask(args: Arguments<typeof FLAGS>): Promise<Task> {
  const [spec = ""] = args.positionals;
  const split = args.choice("split", FLAGS.split.choices) ?? "train";
  const asked = configOf(args);
  const hub = downloadDisplay();
  const minimumRatings = ratingsOf(asked);
  const options = { columns: requireColumns(args.text("columns")), hub };
  const dataset = await openDataset(spec, split, { ...options, minimumRatings });
  const isFiltered = Object.values(minimumRatings).some((least) => least > 1);
  const unfiltered = isFiltered ? await openDataset(spec, split, options) : undefined;
  const tokenizerName = args.text("tokenizer") ?? asked.vlm.lm_tokenizer;
  const tokenizer = await tokenizerFor(tokenizerName);
  const config = await withLength(asked, dataset, { tokenizer, args });
  return { spec, split, dataset, unfiltered, config, tokenizerName, tokenizer };
}

/** The configuration with rows as long as training makes them, which takes what the data need unless it is told. */
async function withLength(
  { vlm, train }: Config,
  dataset: Dataset,
  { tokenizer, args }: { tokenizer: Tokenizer; args: Arguments<typeof FLAGS> },
): Promise<Config> {
  const [spec = ""] = args.positionals;
  const isSet = args.texts("set").some((setting) => /^\s*lm_max_length\s*=/.test(setting));
  const isOwn = spec === train.train_dataset_path;
  if (isSet || isOwn || vlm.vlm_load_backbone_weights) return { vlm, train };
  const isRemote = defaultLimit(spec) === DEFAULT_HUB_LIMIT;
  const { questions_per_row: questionsPerRow } = train;
  const { lengths } = await readFacts([dataset], { tokenizer, questionsPerRow, isRemote });
  return { vlm: { ...vlm, lm_max_length: rowLength(lengths) }, train };
}

/** The preset that is to see it: the one that trains on such data. */
function presetOf(args: Arguments<typeof FLAGS>): typeof PRESETS[number] {
  const isDrawn = args.positionals[0] === "shapes";
  return args.choice("preset", PRESETS) ?? (isDrawn ? "quickstart" : "tiny");
}

/** @throws {UsageError} where a setting is wrong */
function configOf(args: Arguments<typeof FLAGS>): Config {
  try {
    return applySettings(presets[presetOf(args)], args.texts("set"));
  } catch (cause) {
    throw new UsageError(cause instanceof Error ? cause.message : String(cause), { cause });
  }
}

function ratingsOf({ train }: Config): MinimumRatings {
  return {
    relevance: train.relevance_min_rating,
    image_correspondence: train.image_correspondence_min_rating,
    visual_dependency: train.visual_dependency_min_rating,
    formatting: train.formatting_min_rating,
  };
}

function defaultLimit(spec: string): number {
  const isOnHub = parseDatasetSpec(spec).some(({ kind }) => kind === "hub");
  return isOnHub ? DEFAULT_HUB_LIMIT : DEFAULT_LIMIT;
}

async function look(task: Task, args: Arguments<typeof FLAGS>): Promise<Survey> {
  const { dataset, unfiltered, tokenizer, config } = task;
  const display = new Display(Deno.stderr);
  let start = 0; // of the second row: opening a file comes with the first
  return await surveyDataset(dataset, {
    tokenizer,
    maxLength: config.vlm.lm_max_length,
    questionsPerRow: config.train.questions_per_row,
    limit: args.number("limit") ?? defaultLimit(task.spec),
    samples: args.number("samples") ?? DEFAULT_SAMPLES,
    seed: args.number("seed") ?? 0,
    ...(unfiltered ? { unfiltered } : {}),
    onRow: (done, of) => {
      if (done === 1) return void (start = performance.now());
      const secondsPerRow = (performance.now() - start) / 1000 / (done - 1);
      display.update(
        `Looked at ${grouped(done)} of ${grouped(of)} rows, ${short(1 / secondsPerRow)}/s, ` +
          `${clock(secondsPerRow * (of - done))} left`,
      );
    },
  }).finally(() => display.clear());
}

async function writePage(
  path: string,
  { dataset, config, tokenizer, tokenizerName, split }: Task,
  { survey, command }: { survey: Survey; command: string },
): Promise<void> {
  const { vit_img_size: side, lm_max_length: length, lm_padding_side: padding } = config.vlm;
  const { questions_per_row: questionsPerRow } = config.train;
  const processor = new ImageProcessor(config.vlm);
  const collator = new VQACollator(tokenizer, length, processor, padding);
  const tools = { tokenizer, collator, questionsPerRow };
  const samples = await readSamples(dataset, survey.samples, tools);
  const settings = {
    "Part": split,
    "Picture": `${side} × ${side} pixels`,
    "lm_max_length": String(length),
    "questions_per_row": questionsPerRow,
    "Tokenizer": `${tokenizerName}, ${grouped(tokenizer.vocabSize)} tokens`,
  };
  await Deno.writeTextFile(path, datasetPage({ survey, samples, settings, command }));
}

/** A file's name for the page of a dataset: "easy-vqa-dataset.html" for "../data/easy-vqa". */
function pageName(spec: string): string {
  const last = spec.replace(/[/\\]+$/, "").split(/[/\\]/).at(-1) ?? "";
  const name = last.replaceAll(/[^\w.-]+/g, "-").replaceAll(/^[-.]+|-+$/g, "").slice(0, 80);
  return `${name === "" ? "data" : name}-dataset.html`;
}

/** The command that was called. */
function callOf(args: Arguments<typeof FLAGS>): string {
  const flags = Object.keys(FLAGS).flatMap((name) =>
    args.texts(name as keyof typeof FLAGS).flatMap((value) =>
      "value" in FLAGS[name as keyof typeof FLAGS] ? [`--${name}`, value] : [`--${name}`]
    )
  );
  return [COMMAND.call, ...[...args.positionals, ...flags].map(shellWord)].join(" ");
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
