/**
 * 200 training steps of v01_a on easy-VQA, as easy_vqa_curve.py takes them in PyTorch: for tests/train_curve_test.ts and
 * easy_vqa_plot.ts.
 */
import { VQACollator } from "../../data/collator.ts";
import { openDataset, Samples } from "../../data/datasets.ts";
import { ImageProcessor } from "../../data/processor.ts";
import { AdamW } from "../../model/optimizer.ts";
import { getLr } from "../../model/schedule.ts";
import { Trainer } from "../../model/training_step.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import { Device } from "../../shaders/runtime/device.ts";
import { TOY_TOKENIZER } from "../toy_tokenizer.ts";

const GOLDEN = new URL("../golden/", import.meta.url).pathname;

/** Losses of every step, ours and PyTorch's. */
export interface Curves {
  readonly ours: readonly number[];
  readonly pytorch: readonly number[];
}

/** Trains on the Parquet file `data`. */
export async function trainOnEasyVqa(data: string): Promise<Curves> {
  const text = await Deno.readTextFile(`${GOLDEN}easy_vqa_v01_a/losses.json`);
  const { recipe, loss: pytorch } = JSON.parse(text);
  const { rows_per_step: B, tokens_per_row: T, rates } = recipe;
  const samples = await Samples.open(await openDataset(data, "train"), "first");
  const device = await Device.open();
  const options = { training: true };
  const model = await VisionLanguageModel.fromPretrained(device, `${GOLDEN}v01_a`, options);
  const processor = new ImageProcessor(model.config);
  const collator = new VQACollator(TOY_TOKENIZER, T, processor);
  const trainer = new Trainer(model, new AdamW(model.store));
  const ours: number[] = [];
  for (let step = 0; step < pytorch.length; step++) {
    const rows = Array.from({ length: B }, async (_, b) => {
      const sample = await samples.at(step * B + b);
      return { ...sample, image: await processor.square(sample.image, sample.imageName) };
    });
    await trainer.step(collator.collate(await Promise.all(rows)), {
      projector: getLr(step, rates.projector, pytorch.length),
      backbones: getLr(step, rates.backbones, pytorch.length),
    });
    if (step % 8 === 7) ours.push(...(await trainer.results()).map(({ loss }) => loss));
  }
  await trainer.destroy();
  trainer.optimizer.destroy();
  model.destroy();
  device.destroy();
  return { ours, pytorch };
}

/** |ours - PyTorch's| / PyTorch's, the largest of all steps. */
export function largestDifference({ ours, pytorch }: Curves): number {
  return Math.max(...pytorch.map((loss, i) => Math.abs((ours[i] ?? NaN) - loss) / loss));
}
