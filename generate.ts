/**
 * Answers a question about an image, printing the answer as it comes. `--help` shows the command's flags.
 *
 * The shortest way through the whole project: processor, tokenizer, model, generator. Source: generate.py of nanoVLM v0.1.
 */
import { NO_TUNE_FLAG, openDevice } from "./commands/device.ts";
import {
  checkpointFolder,
  openTokenizer,
  PUBLISHED_MODEL,
  tokenizerOf,
} from "./commands/checkpoints.ts";
import { type Command, runCommand } from "./commands/command.ts";
import {
  type Arguments,
  DTYPE_FLAG,
  type Flags,
  UsageError,
  wholeNumber,
} from "./commands/flags.ts";
import { newestCheckpoint, noteModel } from "./commands/run_folders.ts";
import { decodeImage } from "./data/image.ts";
import { ImageProcessor, vqaPrompt } from "./data/processor.ts";
import { printableLines, printLine } from "./data/terminal.ts";
import { StreamingDecoder, type Tokenizer } from "./data/tokenizer.ts";
import { Generator, type SampleMode } from "./model/generator.ts";
import type { HostBatch } from "./model/inputs.ts";
import { chooseDtype } from "./model/precision.ts";
import { VisionLanguageModel } from "./model/vision_language_model.ts";
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
    number: wholeNumber(0, 0xffffffff),
    help: "where the drawing starts (default: 0); the next answers use the next seeds",
  },
  "dtype": DTYPE_FLAG,
  "no-tune": NO_TUNE_FLAG,
  "json": { help: "print one JSON document" },
} as const satisfies Flags;

/** A question about an image, ready for the model. */
interface Prompt {
  readonly generator: Generator;
  readonly tokenizer: Tokenizer;
  readonly batch: HostBatch;
}

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno run -A generate.ts",
  summary: "Answers a question about an image.",
  positionals: ["image", "question"],
  flags: FLAGS,
  run,
};

async function run(args: Arguments<typeof FLAGS>): Promise<void> {
  const [image = "", question = ""] = args.positionals;
  if (question.trim() === "") {
    throw new UsageError("Cannot answer: the question is empty, expected some text");
  }
  const mode = sampleMode(args);
  const picture = await decodeImage(await readImage(image), image);
  const checkpoint = args.text("checkpoint") ?? newestCheckpoint() ?? PUBLISHED_MODEL;
  const dir = await checkpointFolder(checkpoint, downloadDisplay());
  noteModel(checkpoint, dir, args.has("checkpoint"));
  const device = await openDevice(!args.has("no-tune"));
  const dtype = await chooseDtype(device, args.choice("dtype", DTYPE_FLAG.choices) ?? "auto");
  const model = await VisionLanguageModel.fromPretrained(device, dir, { dtype });
  const name = args.text("tokenizer") ?? tokenizerOf(dir, model.config);
  const tokenizer = await openTokenizer(name, model.config);
  const { vit_img_size: side, vit_pixel_mean: mean, vit_pixel_std: std } = model.config;
  const images = await new ImageProcessor(side, { mean, std }).process(picture, image);
  const batch = toBatch(tokenizer.encode(vqaPrompt(question)), images);
  const prompt = { generator: new Generator(model), tokenizer, batch };
  const maxNewTokens = args.number("max-new-tokens") ?? 20;
  const answers: string[] = [];
  for (let i = 0; i < (args.number("generations") ?? 1); i++) {
    const seed = (args.number("seed") ?? 0) + i;
    const print = (text: string) => args.has("json") || write(text);
    answers.push(await answer(prompt, { maxNewTokens, mode, seed }, print));
    print("\n");
  }
  if (args.has("json")) {
    printLine(JSON.stringify({ image, question, checkpoint, answers }));
  }
}

/** @throws {UsageError} where flags contradict each other */
function sampleMode(args: Arguments<typeof FLAGS>): SampleMode {
  const draws = (["temperature", "top-k", "top-p"] as const).filter((name) => args.has(name));
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

async function readImage(path: string): Promise<Uint8Array> {
  try {
    return await Deno.readFile(path);
  } catch (cause) {
    const found = cause instanceof Deno.errors.NotFound
      ? "no such file"
      : cause instanceof Error
      ? cause.message
      : String(cause);
    throw new Error(
      `Cannot read the image "${path}": ${found}, expected a PNG, JPEG, WebP or GIF file; check the path`,
      { cause },
    );
  }
}

/** A batch of one row without padding. */
function toBatch(ids: readonly number[], images: Float32Array): HostBatch {
  return {
    size: 1,
    length: ids.length,
    inputIds: Int32Array.from(ids),
    attentionMask: new Int32Array(ids.length).fill(1),
    images,
  };
}

/** One answer; `print` gets its text piece by piece. */
async function answer(
  { generator, tokenizer, batch }: Prompt,
  options: { maxNewTokens: number; mode: SampleMode; seed: number },
  print: (text: string) => void,
): Promise<string> {
  const decoder = new StreamingDecoder(tokenizer);
  let text = "";
  const take = (piece: string) => {
    text += piece;
    print(piece);
  };
  await generator.generate(batch, {
    ...options,
    eosTokenId: tokenizer.eosTokenId,
    onTokens: ([ids = []]) => {
      // A model may know more ids than its tokenizer, which stand for nothing.
      for (const id of ids) if (id < tokenizer.vocabSize) take(decoder.push(id));
    },
  });
  take(decoder.flush());
  return text;
}

function write(text: string): void {
  let bytes = new TextEncoder().encode(printableLines(text));
  while (bytes.length > 0) bytes = bytes.subarray(Deno.stdout.writeSync(bytes));
}

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
