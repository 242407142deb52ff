// Tests of generate.ts and eval.ts as commands: answers, JSON, and every error as one line with its exit status.
import { assert, assertEquals, assertMatch, assertNotEquals } from "@std/assert";
import { parseFlags } from "../commands/flags.ts";
import { TRAIN_FLAGS, trainingRequest } from "../commands/training_config.ts";
import { openSafetensors } from "../model/safetensors.ts";
import { Display } from "../runs/display.ts";
import { readHistory } from "../runs/run_history.ts";
import { train } from "../train.ts";
import { hasAdapter, runScript, smallRun, writeDataset } from "./run_helpers.ts";

const SILENT = new Display({ isTerminal: () => false, writeSync: (bytes) => bytes.length });
const ignore = !hasAdapter;
const data = await writeDataset();
const model = await Deno.makeTempDir();
const picture = `${model}/example.png`;
if (hasAdapter) {
  await train(await trainingRequest(parseFlags(smallRun(data, model), TRAIN_FLAGS, [])), SILENT);
}

/** A folder with files in it. */
async function folderWith(files: Readonly<Record<string, Uint8Array>>): Promise<string> {
  const dir = await Deno.makeTempDir();
  for (const [name, bytes] of Object.entries(files)) await Deno.writeFile(`${dir}/${name}`, bytes);
  return dir;
}

Deno.test({
  name: "generate.ts prints as text what it gives as JSON, greedily the same each time",
  ignore,
  fn: async () => {
    const args = [picture, "What color?", "--checkpoint", model, "--max-new-tokens", "8"];
    const text = await runScript("generate.ts", ...args);
    assertEquals(text.code, 0);
    const age = /^Model: \S+, after step \d of 3, saved \d{4}-\d\d-\d\d \d\d:\d\d\n/;
    assertMatch(text.stderr, age);
    const json = await runScript("generate.ts", ...args, "--json", "--generations", "2");
    const { answers, confidences, ...given } = JSON.parse(json.stdout);
    assertEquals(given, { image: picture, question: "What color?", checkpoint: model });
    assertEquals(answers, [answers[0], answers[0]]);
    const [sure] = confidences; // of a model of three steps
    assert(sure > 1 / 257 && sure < 0.5 && confidences[1] === sure, `${confidences}`);
    assertEquals(text.stderr.replace(age, ""), `(not sure: ${Math.round(100 * sure)} %)\n`);
    assertEquals(text.stdout, `${answers[0]}\n`);
  },
});

Deno.test({
  name: "generate.ts goes on at seed 0 behind the last seed",
  ignore,
  fn: async () => {
    const args = [picture, "What color?", "--checkpoint", model, "--json", "--temperature", "1"];
    const answers = async (...more: string[]): Promise<string[]> =>
      JSON.parse((await runScript("generate.ts", ...args, ...more)).stdout).answers;
    const both = await answers("--seed", `${2 ** 32 - 1}`, "--generations", "2");
    assertEquals([both.length, both[1]], [2, (await answers("--seed", "0"))[0]]);
  },
});

/** A copy of the model in which all numbers of a tensor are `value`. */
async function alteredModel(tensor: string, value: number): Promise<string> {
  const bytes = await Deno.readFile(`${model}/model.safetensors`);
  const dataStart = 8 + Number(new DataView(bytes.buffer).getBigUint64(0, true));
  using file = openSafetensors(`${model}/model.safetensors`);
  const [start, end] = file.entry(tensor).offsets;
  bytes.set(
    new Uint8Array(new Float32Array((end - start) / 4).fill(value).buffer),
    dataStart + start,
  );
  const config = await Deno.readFile(`${model}/config.json`);
  return await folderWith({ "model.safetensors": bytes, "config.json": config });
}

Deno.test({
  name:
    "a model with a number that is not finite is refused by every command, with the tensor's name",
  ignore,
  fn: async () => {
    const broken = await alteredModel("decoder.norm.weight", NaN);
    const out = await Deno.makeTempDir();
    for (
      const args of [
        ["generate.ts", picture, "What color?", "--checkpoint", broken],
        ["eval.ts", "--checkpoint", broken, "--dataset", data],
        ["train.ts", ...smallRun(data, `${out}/run`), "--init-from", broken],
      ]
    ) {
      const { code, stderr } = await runScript(args[0]!, ...args.slice(1));
      assertEquals(code, 1, stderr);
      assertMatch(stderr, /"decoder.norm.weight" has NaN at element 0.*model is broken/);
    }
  },
});

Deno.test({
  name: "generate.ts says that there is no answer where the model ends at once or gives no numbers",
  ignore,
  fn: async () => {
    // All logits are 0, of which the first one is taken: the end.
    const mute = await alteredModel("decoder.norm.weight", 0);
    const args = [picture, "What color?", "--checkpoint", mute];
    for (const more of [[], ["--json"]]) {
      const { code, stdout, stderr } = await runScript("generate.ts", ...args, ...more);
      assertEquals([code, stdout], [1, ""]);
      assertMatch(stderr, /Cannot answer: the model ends without a word/);
    }
    const loud = await alteredModel("decoder.norm.weight", 3e38);
    const { code, stdout, stderr } = await runScript("generate.ts", ...args.slice(0, 3), loud);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /Cannot answer: the model gives NaN or infinity/);
  },
});

Deno.test({
  name: "generate.ts draws other answers with other seeds, and the same with the same",
  ignore,
  fn: async () => {
    const args = [picture, "What color?", "--checkpoint", model, "--temperature", "2", "--json"];
    const run = async (...more: string[]) =>
      JSON.parse((await runScript("generate.ts", ...args, ...more)).stdout).answers;
    const three = await run("--generations", "3", "--seed", "5");
    assertEquals(await run("--seed", "6"), [three[1]]);
    assertNotEquals(three[0], three[1]);
  },
});

Deno.test({
  name: "eval.ts gives accuracy, loss and categories, as a table and as JSON",
  ignore,
  fn: async () => {
    const args = ["--checkpoint", model, "--dataset", data, "--batch-size", "4"];
    const { code, stdout } = await runScript("eval.ts", ...args, "--json");
    assertEquals(code, 0);
    const result = JSON.parse(stdout);
    assertEquals(
      Object.keys(result).sort(),
      [
        "accuracy",
        "accuracy_interval",
        "baseline_accuracy",
        "by_category",
        "correct",
        "labels",
        "loss",
        "samples_per_second",
        "skipped",
        "task",
        "too_long",
        "total",
        "unasked",
      ],
    );
    assertEquals([result.task, result.total], ["vqa", 20]);
    const trained = await runScript("eval.ts", ...args, "--split", "train", "--limit", "4");
    assertMatch(trained.stderr, /, on all of which it was trained; for what was held out leave/);
    const table = await runScript("eval.ts", ...args, "--limit", "7", "--sample", "--seed", "3");
    assertMatch(table.stdout, /^all +\d+\.\d % +[\d.]+–[\d.]+ % +\d+\.\d % +\d+ +7$/m);
    assertMatch(
      table.stdout,
      /^Accuracy .* of 7, 95 % interval .* %\), baseline .* %, loss \d+\.\d{4}, .* questions\/s$/m,
    );
    assertMatch(
      table.stdout,
      /^Accuracy by drawing \d+\.\d % \(.* of 7, 95 % interval .*, baseline .* %$/m,
    );
  },
});

Deno.test({
  name: "eval.ts asks what the model's run held out, of the folder and of its checkpoints",
  ignore,
  fn: async () => {
    const results = await Promise.all([model, `${model}/step-000003`].map(async (folder) => {
      const { code, stdout, stderr } = await runScript("eval.ts", "--checkpoint", folder, "--json");
      assertEquals(code, 0);
      assertMatch(stderr, /20 questions of .* \(held out\)/);
      return JSON.parse(stdout);
    }));
    const trained = readHistory(model).evaluations.find(({ step }) => step === 3)!;
    for (const { total, baseline_accuracy } of results) {
      assertEquals([total, baseline_accuracy], [20, trained.baseline_accuracy]);
    }
    assertEquals(results[1].correct, trained.correct);
    const folder = await folderWith({
      "config.json": await Deno.readFile(`${model}/config.json`),
      "model.safetensors": await Deno.readFile(`${model}/model.safetensors`),
    });
    const none = await runScript("eval.ts", "--checkpoint", folder);
    assertEquals(none.code, 1);
    assertMatch(none.stderr, /Cannot tell what was held out/);
  },
});

Deno.test({
  name: "eval.ts prints the score that it has when it is stopped, or rows are bad",
  ignore,
  fn: async () => {
    const stopped = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "eval.ts", "--checkpoint", model, "--dataset", "shapes", "--no-tune"],
      cwd: new URL("../", import.meta.url).pathname,
      env: { XDG_RUNTIME_DIR: "/tmp", NO_COLOR: "1" },
      stdout: "piped",
      stderr: "piped",
    }).spawn();
    let text = "";
    for await (const part of stopped.stderr.pipeThrough(new TextDecoderStream())) {
      if (!text.includes("Evaluating") && part.includes("Evaluating")) stopped.kill("SIGINT");
      text += part;
    }
    const { code } = await stopped.status;
    const table = await new Response(stopped.stdout).text();
    assertEquals(code, 130, text);
    assertMatch(text, /Stopped by SIGINT after \d+ of [\d,]+ questions/);
    assertMatch(table, /^all .*\n\nOnly a part was asked: [\d,]+ questions were not$/m);

    const rows = Array.from(
      { length: 8 },
      (_, i) =>
        JSON.stringify({ image: i % 2 ? "a.png" : "none.png", question: "a?", answer: "b" }),
    );
    const bad = await folderWith({
      "metadata.jsonl": new TextEncoder().encode(rows.join("\n")),
      "a.png": await Deno.readFile(picture),
    });
    const result = await runScript("eval.ts", "--checkpoint", model, "--dataset", bad);
    assertEquals(result.code, 1);
    assertMatch(result.stdout, /^Left out, since they cannot be read: rows, 4:$/m);
    assertMatch(result.stdout, /^Accuracy 0\.0 % \(0 of 4, /m);
    assertMatch(result.stderr, /4 of 8 rows cannot be read/);
    const allowed = ["--checkpoint", model, "--dataset", bad, "--allow-bad-rows", "50%"];
    assertEquals((await runScript("eval.ts", ...allowed)).code, 0);
  },
});

const png = Deno.readFileSync(new URL("./golden/data/images/0_rgb.png", import.meta.url));
/** The file with another width in its header. */
function withWidth(width: number): Uint8Array {
  const bytes = png.slice();
  new DataView(bytes.buffer).setUint32(16, width);
  return bytes;
}
const broken = await folderWith({
  "text.png": new TextEncoder().encode("no picture"),
  "cut.png": png.slice(0, png.length / 2),
  "zero.png": withWidth(0),
  "huge.png": withWidth(2 ** 30),
  "config.json": new TextEncoder().encode("{}"),
});

for (
  const [why, script, args, code, message] of [
    ["a missing image", "generate", ["/nowhere.png", "a?"], 1, /no such file, .*HEIC or AVIF file/],
    [
      "a folder as image",
      "generate",
      [broken, "a?"],
      1,
      /": a folder, expected/,
    ],
    ["no image file", "generate", [`${broken}/text.png`, "a?"], 1, /expected a PNG, JPEG/],
    ["an image cut short", "generate", [`${broken}/cut.png`, "a?"], 1, /damaged or cut short/],
    ["an image of no width", "generate", [`${broken}/zero.png`, "a?"], 1, /size of 0x/],
    ["a huge image", "generate", [`${broken}/huge.png`, "a?"], 1, /size of 1073741824x/],
    ["an empty question", "generate", [picture, " "], 2, /the question is empty/],
    ["no question", "generate", [picture], 2, /found no question/],
    ["an unknown flag", "generate", [picture, "a?", "--what"], 2, /"--what"/],
    [
      "flags that contradict each other",
      "generate",
      [picture, "a?", "--greedy", "--top-k", "2"],
      2,
      /--greedy with --top-k/,
    ],
    ["a seed for nothing", "generate", [picture, "a?", "--seed", "3"], 2, /expected --temperature/],
    ["a seed for nothing", "eval", ["--checkpoint", model, "--seed", "3"], 2, /without --sample/],
    ["missing flags", "eval", [], 2, /expected --checkpoint DIR/],
    [
      "a missing checkpoint",
      "eval",
      ["--checkpoint", "/nowhere", "--dataset", "shapes"],
      1,
      /no such folder.*deno task train/,
    ],
    [
      "a run that is not there, without asking the Hub",
      "eval",
      ["--checkpoint", "checkpoints/none", "--dataset", "shapes"],
      1,
      /"checkpoints\/none": no such folder.*deno task train/,
    ],
    [
      "a checkpoint without weights",
      "eval",
      ["--checkpoint", broken, "--dataset", "shapes"],
      1,
      /there is no model.safetensors in it/,
    ],
    [
      "Hub names offline",
      "train",
      ["--preset", "222m"],
      1,
      /google\/siglip-base-patch16-224.*offline/i,
    ],
    ["a folder that cannot be written", "train", ["--out", "/proc/x"], 1, /--out DIR/],
    [
      "a model too large",
      "train",
      ["--set", "lm_hidden_dim=65536", "--set", "lm_n_heads=512", "--out", broken],
      1,
      /expected at most \d+ .*on .*; .*choose a smaller model/,
    ],
  ] as const
) {
  const needsModel = why === "a model too large";
  Deno.test({
    name: `${script}.ts answers ${why} with one line and exit status ${code}`,
    ignore: needsModel && !hasAdapter,
    fn: async () => {
      const outcome = await runScript(`${script}.ts`, ...args);
      assertEquals([outcome.code, outcome.stdout], [code, ""], outcome.stderr);
      assertMatch(outcome.stderr, message);
      assertMatch(outcome.stderr, /^Cannot [^\n]*\n$/);
    },
  });
}

Deno.test({
  name: "generate.ts says where a question is longer than any that the model was trained on",
  ignore,
  fn: async () => {
    for (const [question, isLong] of [["a".repeat(60), true], ["a?", false]] as const) {
      const { code, stderr } = await runScript(
        "generate.ts",
        picture,
        question,
        "--checkpoint",
        model,
      );
      assertEquals(code, 0, stderr);
      assertEquals(
        /the question takes \d+ tokens, the model learned from at most \d+,/.test(stderr),
        isLong,
        stderr,
      );
    }
  },
});

Deno.test({
  name: "generate.ts answers a question longer than the context with one line",
  ignore,
  fn: async () => {
    const args = [picture, "a".repeat(9000), "--checkpoint", model];
    const { code, stdout, stderr } = await runScript("generate.ts", ...args);
    assertEquals([code, stdout], [1, ""]);
    assertMatch(stderr, /^Model: .*\nCannot generate: .* expected at most 8192 together[^\n]*\n$/);
  },
});

Deno.test("generate.ts shows where an error came from only with --debug", async () => {
  const plain = await runScript("generate.ts", "/nowhere.png", "a?");
  const debug = await runScript("generate.ts", "/nowhere.png", "a?", "--debug");
  assertEquals([plain.stderr.includes("    at "), debug.stderr.includes("    at ")], [false, true]);
});

for (const script of ["train", "eval", "generate"]) {
  Deno.test(`${script}.ts --help describes every flag`, async () => {
    const { code, stdout } = await runScript(`${script}.ts`, "--help");
    assertEquals(code, 0);
    for (const flag of script === "train" ? Object.keys(TRAIN_FLAGS) : ["checkpoint", "json"]) {
      assertMatch(stdout, new RegExp(`^  --${flag}\\b`, "m"));
    }
  });
}
