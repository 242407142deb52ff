/**
 * The training run of a golden model case: learning rates, losses and gradient norms of every step, and the weights in the
 * end.
 */
import type { HostBatch } from "../../model/inputs.ts";
import { AdamW } from "../../model/optimizer.ts";
import { getLr } from "../../model/schedule.ts";
import { type StepResult, Trainer } from "../../model/training_step.ts";
import { VisionLanguageModel } from "../../model/vision_language_model.ts";
import {
  comparable,
  FIRST_STEPS,
  hasNoise,
  l2,
  largestDifference,
  relativeEach,
  relativeL2,
  TOLERANCE,
} from "./compare.ts";
import { exists, Json, readBatch, withFile } from "./golden.ts";
import type { ModelCase } from "./model_case.ts";

/** What the product trains with; a recipe that says otherwise cannot be followed. */
const RECIPE: Readonly<Record<string, unknown>> = {
  optimizer: "torch.optim.AdamW",
  betas: [0.9, 0.999],
  eps: 1e-8,
  weight_decay: 0.01,
  param_groups: ["MP", "decoder + vision_encoder"],
  gradient_accumulation_steps: 1,
  clip_grad_norm: null,
};
/** Both sides compute the same formula in float64. */
const RATE_TOLERANCE = 1e-12;

/** Trains a copy of the model by train.json's recipe and compares. */
export async function compareTraining({ dir, report, model }: ModelCase): Promise<void> {
  const json = Json.read(`${dir}/train.json`);
  const recipe = json.get("recipe");
  checkRecipe(recipe);
  const rates = ratesOf(recipe);
  const golden = json.get("lr").matrix;
  report.compare("learning rates", relativeEach(rates.flat(), golden.flat()), RATE_TOLERANCE);
  const copy = await VisionLanguageModel.fromPretrained(model.device, dir, { training: true });
  const optimizer = new AdamW(copy.store);
  const trainer = new Trainer(copy, optimizer);
  const batches = await readBatches(`${dir}/train_batches.safetensors`);
  const results: StepResult[] = [];
  for (const [step, [projector = NaN, backbones = NaN]] of rates.entries()) {
    const batch = batches[step % batches.length];
    if (batch) await trainer.step(batch, { projector, backbones });
    results.push(...await trainer.results());
  }
  compareSteps(report, json, results);
  await compareWeights({ dir, report, model: copy }, model, json);
  await trainer.destroy();
  optimizer.destroy();
  copy.destroy();
}

function checkRecipe(recipe: Json): void {
  for (const [key, value] of recipe.entries) {
    const known = Object.hasOwn(RECIPE, key);
    if (!known || JSON.stringify(value.value) === JSON.stringify(RECIPE[key])) continue;
    throw new RangeError(
      `Cannot follow the recipe in ${value.place}: ${JSON.stringify(value.value)}, expected ${
        JSON.stringify(RECIPE[key])
      }, which nanoVLM v0.1 trains with`,
    );
  }
}

/** Learning rates of the projector and of the backbones at every step. */
export function ratesOf(recipe: Json): number[][] {
  const highest = recipe.get("max_lr").numbers;
  const schedule = recipe.get("max_steps_for_schedule").number;
  return Array.from(
    { length: recipe.get("steps").number },
    (_, step) => highest.map((rate) => getLr(step, rate, schedule)),
  );
}

/** All batches b0, b1, …: step i takes the one numbered i modulo their count. */
export async function readBatches(path: string): Promise<HostBatch[]> {
  const batches: HostBatch[] = [];
  await withFile(path, (file) => {
    do batches.push(readBatch(file, `b${batches.length}.`)); while (
      file.tensors.has(`b${batches.length}.input_ids`)
    );
  });
  return batches;
}

function compareSteps(
  report: ModelCase["report"],
  json: Json,
  results: readonly StepResult[],
): void {
  const golden = json.get("loss_f64").numbers;
  const losses = results.map(({ loss }) => loss);
  const first = largestDifference(losses.slice(0, FIRST_STEPS), golden.slice(0, FIRST_STEPS));
  report.compare(`training losses, first ${FIRST_STEPS}`, first, TOLERANCE.firstLosses);
  report.compare("training losses", largestDifference(losses, golden), TOLERANCE.losses);
  const norms = results.map(({ gradientNorm }) => gradientNorm);
  const deviation = relativeEach(norms, json.get("grad_norm_f64").numbers);
  report.compare("training gradient norms", deviation, TOLERANCE.gradientNorms);
}

async function compareWeights(
  { dir, report, model }: ModelCase,
  before: VisionLanguageModel,
  json: Json,
): Promise<void> {
  const path = `${dir}/final_weights.safetensors`;
  if (exists(path)) {
    await report.attempt("final_weights.safetensors", () =>
      withFile(path, async (file) => {
        for (const { name } of model.store.shapes) {
          const expected = comparable(name, file.readFloat32(name));
          const found = comparable(name, await model.store.read(name));
          report.compare(`final ${name}`, relativeL2(found, expected), TOLERANCE.finalWeights);
        }
      }));
    return;
  }
  await compareNorms({ dir, report, model }, before, json);
}

/**
 * Without the weights themselves, their norms and those of their total updates. As |‖a‖ - ‖b‖| <= ‖a - b‖, the tolerance of
 * the weights holds for their norms; it is used for the updates' norms too, which is stricter than what follows for them.
 * A norm of the whole qkv bias has its key third's noise in it, so these are left out.
 */
async function compareNorms(
  { report, model }: ModelCase,
  before: VisionLanguageModel,
  json: Json,
): Promise<void> {
  const [norms, updates] = [json.get("final_l2"), json.get("final_update_l2")];
  for (const { name } of model.store.shapes.filter(({ name }) => !hasNoise(name))) {
    const [found, start] = [await model.store.read(name), await before.store.read(name)];
    const update = found.map((value, i) => value - (start[i] ?? NaN));
    const compare = (quantity: string, norm: number, golden: Json) => {
      const deviation = relativeEach([norm], [golden.get(name).number]);
      report.compare(`${quantity} ${name}`, deviation, TOLERANCE.finalWeights);
    };
    compare("final norm of", l2(found), norms);
    compare("norm of the update of", l2(update), updates);
  }
}
