/**
 * Answers a question about an image, printing the answer as it comes. `--help` shows the command's flags.
 *
 * The work is done in commands/assistant.ts. Source: generate.py of nanoVLM v0.1.
 */
import { load, MOST_SEED, readPicture, type Reply } from "./commands/assistant.ts";
import { checkpointFolder, PUBLISHED_MODEL } from "./commands/checkpoints.ts";
import { type Command, runCommand } from "./commands/command.ts";
import { NO_TUNE_FLAG } from "./commands/device.ts";
import {
  type Arguments,
  DTYPE_FLAG,
  type Flags,
  UsageError,
  wholeNumber,
} from "./commands/flags.ts";
import { newestCheckpoint, noteModel, VERIFY_FLAG } from "./commands/run_folders.ts";
import { vqaPrompt } from "./data/processor.ts";
import { printableLines, printLine } from "./data/terminal.ts";
import type { SampleMode } from "./model/generator.ts";
import { downloadDisplay } from "./runs/download_display.ts";

const FLAGS = {
  "checkpoint": {
    value: "DIR",
    help:
      "the model's folder, or owner/name[@revision] on the Hub (default: the newest under checkpoints/, " +
      "else lusxvr/nanoVLM-222M from the Hub)",
  },
  "tokenizer": { value: "DIR", help: "tokenizer's folder or name, where the model has none" },
  "max-new-tokens": { value: "N", number: wholeNumber(1), help: "length limit (default: 20)" },
  "greedy": { help: "always take the likeliest token, the default" },
  "temperature": {
    value: "X",
    number: { whole: false, least: 0, above: true },
    help: "draw tokens; below 1 likelier ones more often (default then: 1)",
  },
  "top-k": { value: "N", number: wholeNumber(1), help: "draw only from the N likeliest tokens" },
  "top-p": {
    value: "X",
    number: { whole: false, least: 0, above: true, most: 1 },
    help: "draw only from the likeliest tokens whose probabilities sum to X",
  },
  "generations": { value: "N", number: wholeNumber(1), help: "answers to make (default: 1)" },
  "seed": {
    value: "N",
    number: wholeNumber(0, MOST_SEED),
    help: "where the drawing starts (default: 0); the next answers use the next seeds",
  },
  "dtype": DTYPE_FLAG,
  "verify": VERIFY_FLAG,
  "no-tune": NO_TUNE_FLAG,
  "json": { help: "print one JSON document" },
} as const satisfies Flags;

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno run -A generate.ts",
  summary: "Answers a question about an image.",
  positionals: ["image", "question"],
  flags: FLAGS,
  run,
};

/** What --json prints. */
export interface Answered {
  /** As given. */
  readonly image: string;
  /** As given. */
  readonly question: string;
  /** The model's folder, or its name on the Hub. */
  readonly checkpoint: string;
  /** As many as asked for. */
  readonly answers: readonly string[];
  /** How sure the model is of each, from 0 to 1: the geometric mean of its tokens' probabilities, the end's included. */
  readonly confidences: readonly number[];
}

/** Below this confidence an answer says how sure the model is. */
const SURE = 0.5;

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const [image = "", question = ""] = args.positionals;
  if (question.trim() === "") {
    throw new UsageError("Cannot answer: the question is empty, expected some text");
  }
  const mode = sampleMode(args);
  const picture = await readPicture(image);
  const checkpoint = args.text("checkpoint") ?? newestCheckpoint() ?? PUBLISHED_MODEL;
  const dir = await checkpointFolder(checkpoint, downloadDisplay());
  const [isNamed, isVerified] = [args.has("checkpoint"), args.has("verify")];
  noteModel(checkpoint, dir, { isNamed, isVerified });
  using assistant = await load(dir, {
    tuned: !args.has("no-tune"),
    dtype: args.choice("dtype", DTYPE_FLAG.choices) ?? "auto",
    tokenizer: args.text("tokenizer"),
  });
  const isJson = args.has("json");
  const maxNewTokens = args.number("max-new-tokens") ?? 20;
  const replies: Reply[] = [];
  for (let i = 0; i < (args.number("generations") ?? 1); i++) {
    const seed = ((args.number("seed") ?? 0) + i) % (MOST_SEED + 1);
    const onText = (text: string) => isJson || write(text);
    const reply = await assistant.answer(picture, question, { maxNewTokens, mode, seed, onText });
    replies.push(reply);
    if (!isJson && reply.text !== "") write("\n");
    if (!isJson && reply.text !== "" && reply.confidence < SURE) {
      console.error(`(not sure: ${Math.round(100 * reply.confidence)} %)`);
    }
  }
  const length = assistant.tokenizer.encode(vqaPrompt(question)).length;
  const { lm_max_length: most } = assistant.model.config;
  if (length >= most) {
    console.error(
      `(the answer may be nonsense: the question takes ${
        length.toLocaleString("en")
      } tokens, the model learned from at most ${most}, answer included)`,
    );
  }
  const answers = replies.map(({ text }) => text);
  if (answers.every((text) => text === "")) {
    throw new Error(
      `Cannot answer: the model ends without a word, expected an answer; ask what it was trained on`,
    );
  }
  const confidences = replies.map(({ confidence }) => confidence);
  const answered: Answered = { image, question, checkpoint, answers, confidences };
  if (isJson) printLine(JSON.stringify(answered));
}

/** @throws {UsageError} where flags contradict each other */
function sampleMode(args: Arguments<typeof FLAGS>): SampleMode {
  const draws = (["temperature", "top-k", "top-p"] as const).filter((name) => args.has(name));
  if (draws.length === 0 && args.has("seed")) {
    throw new UsageError(
      "Cannot use --seed without drawing: the likeliest tokens need none, expected --temperature, --top-k or --top-p too",
    );
  }
  if (draws.length === 0) return "greedy";
  if (args.has("greedy")) {
    throw new UsageError(`Cannot use --greedy with --${draws[0]}: expected one of them`);
  }
  return {
    temperature: args.number("temperature") ?? 1,
    topK: args.number("top-k") ?? 0,
    topP: args.number("top-p") ?? 1,
  };
}

function write(text: string): void {
  let bytes = new TextEncoder().encode(printableLines(text));
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
