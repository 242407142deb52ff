// Tests of runs/training_data.ts and runs/baseline.ts: what is trained on, what is held out, and the yardstick.
import { assert, assertEquals, assertRejects } from "@std/assert";
import { Shapes } from "../../data/shapes.ts";
import { presets, type TrainConfig } from "../../model/config.ts";
import { frequentIn } from "../../runs/baseline.ts";
import { sampleOf } from "../../runs/evaluations.ts";
import { openTrainingData, settledConfig } from "../../runs/training_data.ts";
import { writeDataset } from "../run_helpers.ts";

const folder = await writeDataset(); // 12 rows to train on, 5 to hold out, 4 questions each

async function open(changes: Partial<TrainConfig>) {
  const { vlm, train } = presets.quickstart;
  const config = {
    vlm,
    train: { ...train, batch_size: 2, train_dataset_path: folder, ...changes },
  };
  const data = await openTrainingData(config);
  data.loader.close();
  const { loader, dataset: { rows }, heldOut, indices } = data;
  const heldOutRows = new Set(indices.map((index) => heldOut.locate(index).row));
  return { samples: loader.samples, rows, heldOutRows: [...heldOutRows], asked: indices.length };
}

Deno.test("openTrainingData() holds out a folder's validation files", async () => {
  assertEquals(await open({}), {
    samples: 48,
    rows: 12,
    heldOutRows: [0, 1, 2, 3, 4],
    asked: 20,
  });
});

Deno.test("openTrainingData() holds out the last rows of a file, and trains on none of them", async () => {
  const train_dataset_path = `${folder}/train.parquet`;
  assertEquals(await open({ train_dataset_path, val_ratio: 0.25 }), {
    samples: 36,
    rows: 9,
    heldOutRows: [0, 1, 2],
    asked: 12,
  });
  const cut = await open({ train_dataset_path, val_ratio: 0, data_cutoff_idx: 5 });
  assertEquals([cut.rows, cut.heldOutRows], [4, [0]]);
});

Deno.test("openTrainingData() gives rows the length that all questions need, where none is asked for", async () => {
  const { vlm, train } = presets.quickstart;
  const open = async (isLengthOpen: boolean, path: string = folder) => {
    const mine = { ...train, batch_size: 2, train_dataset_path: path, data_workers: 0 };
    const data = await openTrainingData({ vlm, train: mine }, {
      open: isLengthOpen ? ["lm_max_length"] : [],
    });
    const { length, cutRows } = await data.loader.next();
    data.loader.close();
    assertEquals([length, cutRows], [data.rowLength, 0]);
    const { config, steps } = settledConfig({ vlm, train: mine }, data, ["eval_interval"]);
    return [config.vlm.lm_max_length, config.train.eval_interval, steps, data.fingerprint !== null];
  };
  assertEquals(await open(false), [46, 100, 1000, true]);
  const [length] = await open(true);
  assertEquals([length, ...(await open(true, `${folder}/train.parquet`)).slice(3)], [43, true]);
  assertEquals(await open(false, "shapes"), [46, 200, 1000, false], "what is drawn is known");
  assertEquals(await open(true, "shapes"), [43, 200, 1000, false]);
});

Deno.test("openTrainingData() takes a smaller batch where there are fewer questions, unless its size is set", async () => {
  const { vlm, train } = presets.quickstart;
  const config = (batch_size: number) => ({
    vlm,
    train: { ...train, batch_size, train_dataset_path: folder, max_training_steps: null },
  });
  for (const [size, taken] of [[64, 48], [40, 40], [8, 8]] as const) {
    const data = await openTrainingData(config(size), { open: ["batch_size"] });
    data.loader.close();
    const { config: { train: { batch_size } }, steps } = settledConfig(config(size), data);
    assertEquals([batch_size, steps], [taken, 5 * Math.floor(48 / taken)]);
  }
  await assertRejects(
    () => openTrainingData(config(64)),
    RangeError,
    `found 48 to train on in "${folder}", expected as many as a step takes. Take more data, or --batch-size 48.`,
  );
});

Deno.test("openTrainingData() takes one question a row where the configuration says so", async () => {
  const { samples, asked } = await open({ questions_per_row: "first" });
  assertEquals([samples, asked], [12, 5]);
});

Deno.test("openTrainingData() takes other validation data, and one subset by its name", async () => {
  const { asked } = await open({ val_dataset_path: `${folder}/train.parquet` });
  assertEquals(asked, 48);
  const named = { train_dataset_path: folder, train_dataset_name: ["train.parquet"] };
  assertEquals((await open({ ...named, val_ratio: 0.5 })).rows, 6);
});

Deno.test("openTrainingData() joins subsets and sources, and holds out the last rows of each", async () => {
  const parent = await Deno.makeTempDir();
  for (const name of ["a", "b"]) {
    await Deno.mkdir(`${parent}/${name}`);
    await Deno.copyFile(`${folder}/train.parquet`, `${parent}/${name}/part.parquet`);
  }
  const subsets = { train_dataset_path: parent, train_dataset_name: ["a", "b"], val_ratio: 0.25 };
  assertEquals(await open(subsets), {
    samples: 72,
    rows: 18,
    heldOutRows: [0, 1, 2, 3, 4, 5],
    asked: 24,
  });
  const cut = await open({ ...subsets, data_cutoff_idx: 16 });
  assertEquals([cut.rows, cut.asked], [9 + 3, 12 + 4]);
  const mixed = { train_dataset_path: `${parent}/a/part.parquet,shapes`, dataset_weights: [1, 2] };
  assertEquals((await open(mixed)).rows, 11 + 20_000);
  await Deno.remove(parent, { recursive: true });
});

Deno.test("openTrainingData() refuses what is not there, columns that no source has, and a single row", async () => {
  await assertRejects(() => open({ train_dataset_path: "./none" }), Error, '"./none"');
  await assertRejects(() => open({ train_dataset_path: "" }), Error, "--train-dataset");
  await assertRejects(() => open({ val_dataset_path: "./none" }), Error, '"./none"');
  await assertRejects(() => open({ dataset_columns: ["image=none"] }), TypeError, "--columns");
  await assertRejects(() => open({ dataset_weights: [1, 2] }), RangeError, '"1, 2"');
  const file = `${folder}/train.parquet`;
  const one = { train_dataset_path: file, data_cutoff_idx: 1 };
  await assertRejects(() => open(one), RangeError, "expected at least 2");
});

Deno.test("sampleOf() takes some, spread over all, always the same", () => {
  const all = Array.from({ length: 1000 }, (_, i) => i + 5);
  const some = sampleOf(all, 100);
  assertEquals(some, sampleOf(all, 100));
  assertEquals(new Set(some).size, 100);
  assertEquals([...some].sort((a, b) => a - b), some);
  assert(some.every((index) => all.includes(index)));
  assert(some.some((index) => index < 105) && some.some((index) => index > 905));
  assertEquals(sampleOf(all, 1000), all);
});

Deno.test("frequentIn() finds the most frequent answer of each kind", async () => {
  const dataset = new Shapes("train", { rows: 3 });
  const turns = [0, 1, 2].flatMap((row) => dataset.row(row).turns);
  const frequent = await frequentIn(dataset);
  for (const [kind, answer] of frequent) {
    const its = turns.filter(({ category }) => category === kind).map(({ answer }) => answer);
    const count = (text: string) => its.filter((other) => other === text).length;
    assertEquals(count(answer), Math.max(...its.map(count)));
  }
  const broken = {
    ...{ name: "broken", rows: 9, format: "vqa" as const },
    row: () => dataset.row(0),
    turnCounts: () => dataset.turnCounts(),
    async *allTurns() {
      yield dataset.row(0).turns;
      throw new SyntaxError("Cannot read the rest");
    },
  };
  assertEquals((await frequentIn(broken)).get("color"), turns[0]!.answer, "what could be read");
  assertEquals([...frequent.keys()].sort(), [...new Set(turns.map((t) => t.category))].sort());
});
