/**
 * Our side of the comparison with PyTorch: the `222m` model with random weights, a training step by batch and greedy
 * decoding, printed as nanovlm.py prints them.
 *
 * A process of its own under main.ts; by itself: deno run -A tests/bench/pytorch/ours.ts f32|f16 [batch,…].
 */
import { openDevice } from "../../../commands/device.ts";
import { presets } from "../../../model/config.ts";
import { Generator } from "../../../model/generator.ts";
import { uniformGenerator } from "../../../model/initialization.ts";
import type { HostBatch } from "../../../model/inputs.ts";
import { AdamW } from "../../../model/optimizer.ts";
import { Trainer } from "../../../model/training_step.ts";
import { VisionLanguageModel } from "../../../model/vision_language_model.ts";
import type { Activation } from "../../../shaders/runtime/tensor.ts";
import { cpuMilliseconds, time } from "../peers/timing.ts";

const CONFIG = presets["222m"].vlm;
/** Timed steps, and tokens to decode. */
const STEPS = 4;
const TOKENS = 33;

/** A batch of random pictures and texts; every text token has a label, which is the most that a row can have. */
function randomBatch(size: number): HostBatch {
  const uniform = uniformGenerator(size);
  const { lm_max_length: length, lm_vocab_size: vocabulary, vit_img_size: side } = CONFIG;
  const tokens = () =>
    Int32Array.from({ length: size * length }, () => Math.floor(uniform() * vocabulary));
  return {
    size,
    length,
    inputIds: tokens(),
    attentionMask: new Int32Array(size * length).fill(1),
    labels: tokens(),
    images: Float32Array.from({ length: size * 3 * side * side }, uniform),
  };
}

/** Medians of a step whose loss is waited for. */
async function timeTraining(trainer: Trainer, size: number) {
  const batch = randomBatch(size);
  const step = async () => {
    await trainer.step(batch, { projector: 2e-3, backbones: 1e-4 });
    await trainer.results();
  };
  const { ms, cpu_ms } = await time(step, { warmup: 1, runs: STEPS });
  return { ms, cpu_ms };
}

/** Tokens a second behind an image and a question, from the first ones on, and CPU time of each. */
async function timeDecoding(generator: Generator) {
  const { labels: _, ...prompt } = randomBatch(1);
  const arrivals: { time: number; cpu: number; tokens: number }[] = [];
  const options = {
    maxNewTokens: TOKENS,
    mode: "greedy",
    onTokens: ([fresh]: readonly (readonly number[])[]) =>
      arrivals.push({
        time: performance.now(),
        cpu: cpuMilliseconds(),
        tokens: fresh?.length ?? 0,
      }),
  } as const;
  await generator.generate(prompt, options); // records the plans
  arrivals.length = 0;
  await generator.generate(prompt, options);
  const [first, last] = [arrivals[0], arrivals.at(-1)];
  const total = arrivals.reduce((sum, { tokens }) => sum + tokens, 0);
  if (!first || !last || total !== TOKENS) {
    throw new Error(`Cannot time decoding: ${total} tokens came, expected ${TOKENS}`);
  }
  const tokens = total - first.tokens;
  return {
    tokens_per_second: tokens / (last.time - first.time) * 1000,
    cpu_ms: (last.cpu - first.cpu) / tokens,
  };
}

async function main(dtype: Activation, batches: readonly number[]): Promise<void> {
  const device = await openDevice(true);
  const options = { training: true, dtype, seed: 0, initialization: "nanovlm" } as const;
  const model = await VisionLanguageModel.fromScratch(device, CONFIG, options);
  print({ device: device.description, dtype, parameters: model.store.count });
  const trainer = new Trainer(model, new AdamW(model.store));
  for (const size of batches) {
    print({ workload: `train_batch_${size}`, ...await timeTraining(trainer, size) });
  }
  await trainer.destroy();
  print({ workload: "decode", ...await timeDecoding(new Generator(model)) });
  device.destroy();
}

function print(line: Readonly<Record<string, unknown>>): void {
  console.log(JSON.stringify(line));
}

if (import.meta.main) {
  const [dtype, batches = "1,2"] = Deno.args;
  await main(dtype === "f16" ? "f16" : "f32", batches.split(",").map(Number));
}
