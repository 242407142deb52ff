// Tests of commands/training_config.ts: which configuration the flags of train.ts ask for.
import { assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import { parseFlags, UsageError } from "../../commands/flags.ts";
import { configJson, TRAIN_FLAGS, trainingRequest } from "../../commands/training_config.ts";
import { presets } from "../../model/config.ts";
import { formatState } from "../../model/trainer_state.ts";
import type { Tuning } from "../../model/tuning.ts";

function request(...args: string[]) {
  return trainingRequest(parseFlags(args, TRAIN_FLAGS, []));
}

async function fileWith(json: string): Promise<string> {
  const path = await Deno.makeTempFile({ suffix: ".json" });
  await Deno.writeTextFile(path, json);
  return path;
}

Deno.test("trainingRequest() without flags is the quickstart, into its folder", async () => {
  const { config, checkpoint, out } = await request();
  assertEquals(config, presets.quickstart);
  assertEquals([checkpoint, out], [undefined, "checkpoints/quickstart"]);
});

Deno.test("trainingRequest() puts the other presets into folders of their names", async () => {
  assertEquals((await request("--preset", "tiny")).out, "checkpoints/tiny");
  const { config, out } = await request("--preset", "222m");
  assertEquals(out, "checkpoints/222m");
  assertEquals(config.train, presets["222m"].train);
});

Deno.test("trainingRequest() takes flags by name over --set over a file over the preset", async () => {
  const file = await fileWith('{"batch_size": 1, "seed": 1, "lm_n_blocks": 1, "val_ratio": 0.5}');
  const settings = ["--config", file, "--set", "batch_size=2", "--set", "seed=2"];
  const { config } = await request(...settings, "--batch-size", "3");
  assertEquals(config.train.batch_size, 3);
  assertEquals(config.train.seed, 2);
  assertEquals(config.vlm.lm_n_blocks, 1);
  assertEquals(config.train.val_ratio, 0.5);
  assertEquals(config.train.lr_mp, presets.quickstart.train.lr_mp);
});

Deno.test("trainingRequest() gives every flag its key", async () => {
  const line = "--train-dataset a --val-dataset b --max-steps 5 --lr-mp 0.1 --lr-backbones 0.2 " +
    "--eval-every 7 --seed 8 --workers 3 --out c";
  const { config: { train, vlm }, out } = await request(...line.split(" "));
  assertEquals([train.train_dataset_path, train.train_dataset_name], ["a", []]);
  assertEquals([train.val_dataset_path, train.test_dataset_path], ["b", null]);
  assertEquals([train.max_training_steps, train.eval_interval, train.seed], [5, 7, 8]);
  assertEquals(train.data_workers, 3);
  assertEquals([train.lr_mp, train.lr_backbones], [0.1, 0.2]);
  assertEquals([out, vlm.vlm_checkpoint_path], ["c", "c"]);
});

Deno.test("trainingRequest() sets both learning rates by --lr, and one of them by its own flag", async () => {
  const rates = async (line: string) => {
    const { train } = (await request(...line.split(" "))).config;
    return [train.lr_mp, train.lr_backbones];
  };
  assertEquals(await rates("--lr 0.1"), [0.1, 0.1]);
  assertEquals(await rates("--lr-mp 0.3 --lr 0.1"), [0.3, 0.1]);
  assertEquals(await rates("--lr 0.1 --lr-backbones 0"), [0.1, 0]);
  assertEquals(await rates("--set lr_mp=0.5 --lr 0.1"), [0.1, 0.1]);
});

Deno.test("trainingRequest() joins data sets given one by one, and takes how they are read", async () => {
  const line = "--train-dataset a:b,c --train-dataset d --weights 2,0.5 --download " +
    "--columns image=photo,question=q";
  const { train } = (await request(...line.split(" "))).config;
  assertEquals(train.train_dataset_path, "a:b,c,d");
  assertEquals(train.dataset_weights, [2, 0.5]);
  assertEquals(train.dataset_columns, ["image=photo", "question=q"]);
  assertEquals(train.dataset_download, true);
  await assertRejects(() => request("--weights", "2,0"), UsageError, "greater than 0");
  await assertRejects(() => request("--weights", "2,x"), UsageError, "list of numbers");
  await assertRejects(() => request("--columns", "picture=photo"), UsageError, "picture=photo");
});

Deno.test("trainingRequest() takes datasets to evaluate on one by one, whose names may have commas", async () => {
  const line = "--eval-dataset a:b,c --eval-dataset d --push-to me/a --private";
  const { train } = (await request("--preset", "222m", ...line.split(" "))).config;
  assertEquals(train.eval_datasets, ["a:b,c", "d"]);
  assertEquals(train.test_dataset_path, "Lin-Chen/MMStar", "that is asked too");
  assertEquals([train.push_to, train.push_private], ["me/a", true]);
  await assertRejects(() => request("--private"), UsageError, "expected --push-to owner/name too");
  const { train: plain } = (await request("--set", "eval_datasets=a,b")).config;
  assertEquals(plain.eval_datasets, ["a", "b"]);
  const file = await fileWith('{"eval_datasets": ["a:b,c", "d"], "dataset_weights": [1, 2]}');
  const { train: fromFile } = (await request("--config", file)).config;
  assertEquals([fromFile.eval_datasets, fromFile.dataset_weights], [["a:b,c", "d"], [1, 2]]);
});

Deno.test("trainingRequest() takes --epochs instead of the preset's steps", async () => {
  const { train } = (await request("--epochs", "2")).config;
  assertEquals([train.epochs, train.max_training_steps], [2, null]);
  await assertRejects(() => request("--epochs", "2", "--max-steps", "3"), UsageError, "--epochs");
});

Deno.test("trainingRequest() takes a new model's vocabulary from the tokenizer, unless told a size", async () => {
  const tiny = ["--preset", "tiny", "--tokenizer", "bytes"];
  assertEquals((await request(...tiny)).config.vlm.lm_vocab_size, 257);
  const larger = await request(...tiny, "--set", "lm_vocab_size=300");
  assertEquals(larger.config.vlm.lm_vocab_size, 300);
});

Deno.test("trainingRequest() leaves to data and steps what was not set, but for a preset's own and for 222m", async () => {
  const openOf = async (...flags: string[]) => (await request(...flags)).open;
  const mine = ["--train-dataset", "mine"];
  assertEquals(await openOf(), []);
  assertEquals(await openOf(...mine), ["lm_max_length", "batch_size"]);
  assertEquals(await openOf(...mine, "--batch-size", "8"), ["lm_max_length"]);
  assertEquals(await openOf(...mine, "--max-steps", "20", "--batch-size", "8"), [
    "lm_max_length",
    "eval_interval",
  ]);
  assertEquals(await openOf("--epochs", "2", "--eval-every", "5"), []);
  assertEquals(await openOf("--preset", "tiny", ...mine, "--set", "lm_max_length=17"), [
    "batch_size",
  ]);
  assertEquals(await openOf("--preset", "222m", ...mine, "--max-steps", "20"), []);
  const printed = JSON.parse(configJson(await request(...mine, "--epochs", "1")));
  assertEquals(["lm_max_length" in printed, "eval_interval" in printed], [false, false]);
  assertEquals([printed.lm_tokenizer, printed.epochs], ["bytes", 1]);
});

Deno.test("from-scratch presets take bytes for tokens unless a tokenizer is named", async () => {
  for (const preset of ["quickstart", "tiny"]) {
    const { vlm } = (await request("--preset", preset)).config;
    assertEquals([vlm.lm_tokenizer, vlm.lm_vocab_size, vlm.lm_eos_token_id], ["bytes", 257, 0]);
  }
});

for (
  const [why, json, message] of [
    ["an unknown key", '{"lm_n_block": 2}', 'did you mean "lm_n_blocks"?'],
    ["a value of the wrong kind", '{"batch_size": "2"}', "expected a whole number"],
    ["a value out of range", '{"batch_size": 1.5}', "expected a whole number"],
    ["anything but an object", "[1]", "expected an object"],
    ["text that is no JSON", "{", "expected JSON"],
  ] as const
) {
  Deno.test(`trainingRequest() refuses a file with ${why}, naming it`, async () => {
    const file = await fileWith(json);
    const error = await assertRejects(() => request("--config", file), Error);
    assertStringIncludes(error.message, message);
    assertStringIncludes(error.message, file);
  });
}

Deno.test("trainingRequest() calls a wrong --set wrong usage", async () => {
  for (const setting of ["foo=1", "batch_size=0", "batch_size", "lm_n_heads=5"]) {
    await assertRejects(() => request("--set", setting), UsageError);
  }
});

Deno.test("trainingRequest() refuses a checkpoint or a tokenizer that is not there", async () => {
  await assertRejects(() => request("--checkpoint", "/nowhere"), Error, "no such folder");
  await assertRejects(
    () => request("--preset", "tiny", "--tokenizer", "./nowhere"),
    Error,
    "no such folder",
  );
});

/** A run's folder with a checkpoint after step 4, as train() leaves it but for the model. */
async function savedRunIn(folder: string): Promise<void> {
  const { vlm, train } = presets.tiny;
  const { path, text } = formatState(`${folder}/step-000004`, {
    version: { nanovlm: "0", deno: "2" },
    ...{
      step: 4,
      is_evaluated: true,
      steps: 9,
      checkpoint: null,
      best: null,
      metrics_bytes: 0,
      peak_bytes: null,
    },
    config: { vlm, train: { ...train, train_dataset_path: "shapes", max_training_steps: 9 } },
    loader: { seed: 0, epoch: 0, index: 0 },
    data: { samples: 9, held_out: 1, revisions: {} },
    device: { description: "", tuning: {} as Tuning },
    plan: { micro_batch_size: 3, recompute: "on" },
    log: {
      ...{
        samples: 0,
        cut: 0,
        skipped_steps: 0,
        skipped_in_a_row: 0,
        skipped_rows: [],
        seconds: 0,
      },
    },
  });
  await Deno.mkdir(`${folder}/step-000004`);
  await Deno.writeTextFile(path, text);
  await Deno.writeTextFile(`${folder}/latest`, "step-000004\n");
}

Deno.test("trainingRequest() takes a resumed run's settings and memory, and changes by flags", async () => {
  const out = await Deno.makeTempDir();
  await savedRunIn(out);
  for (
    const flags of [["--resume", out], [`--resume=${out}/`], ["--resume", "--out", out], [
      ...[`--resume=${out}/step-000004`, "--out", `${out}/`],
    ]]
  ) {
    const found = await request(...flags, "--keep", "3");
    assertEquals([found.out, found.resume?.state.step, found.keep], [out, 4, 3]);
    assertEquals(found.resume?.folder, `${out}/step-000004`);
    assertEquals([found.memory.microBatchSize, found.memory.recompute], [3, "on"]);
    const { train, vlm } = found.config;
    assertEquals([train.max_training_steps, vlm.vit_n_blocks, vlm.vlm_checkpoint_path], [
      9,
      presets.tiny.vlm.vit_n_blocks,
      out,
    ]);
  }
  const other = `a run goes on in its own folder`;
  await assertRejects(() => request("--resume", out, "--out", `${out}-2`), UsageError, other);
  for (const flags of [[`--resume=${out}`], ["--resume", "--out", out]]) {
    const both = () => request(...flags, "--preset", "222m");
    await assertRejects(both, UsageError, "Cannot use --preset 222m with a run to resume");
  }
  const changed = await request(
    ...["--resume", `${out}/step-000004`, "--seed", "7", "--recompute", "off", "--force"],
    ...["--micro-batch-size", "2", "--eval-limit", "5"],
  );
  assertEquals([changed.out, changed.force], [out, true]);
  assertEquals([changed.config.train.seed, changed.config.train.eval_limit], [7, 5]);
  assertEquals([changed.memory.microBatchSize, changed.memory.recompute], [2, "off"]);

  await Deno.writeTextFile(`${out}/latest`, "step-000009\n");
  await assertRejects(() => request("--resume", out), Error, `latest" names: there is no trainer`);
  await Deno.writeTextFile(`${out}/step-000004/trainer_state.json`, '{"format": 99}');
  await assertRejects(
    () => request(`--resume=${out}/step-000004`),
    SyntaxError,
    "its format is 99",
  );
  await Deno.remove(out, { recursive: true });
});
