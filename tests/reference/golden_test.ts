// The references, chained to nanoVLM v0.1, against numbers from PyTorch's nanoVLM (../shared/golden).
// Tolerances: where a float64 number is stored, 1e-6; else float32's own, from golden/README.md.

import { assert, assertAlmostEquals, assertEquals, assertLess } from "@std/assert";
import { openSafetensors } from "../../model/safetensors.ts";
import { assertClose } from "../gradcheck.ts";
import { adamw, type AdamwState, gradientNorm } from "./adamw.ts";
import { filterTopKTopP, softmax } from "./sampling.ts";
import { Tape, type Value, valueOf } from "./tape.ts";
import {
  type ReferenceBatch,
  type ReferenceConfig,
  visionLanguageModel,
} from "./vision_language_model.ts";

const GOLDEN = new URL("../../../shared/golden/", import.meta.url).pathname;
const IMAGE_TOKENS = 4;
const ignore = !exists(GOLDEN);
if (ignore) console.log(`Skipping the references' golden tests: found no ${GOLDEN}.`);

Deno.test("filterTopKTopP() keeps what nanoVLM's filter keeps", { ignore }, () => {
  const table = readJson("tables/top_k_top_p.json");
  const tensors = readTensors("tables/top_k_top_p.safetensors");
  for (const [c, { top_k: topK, top_p: topP, temperature, kept }] of table.cases.entries()) {
    for (let row = 0; row < 5; row++) {
      const of = (name: string) => tensors.get(name)!.slice(row * 61, (row + 1) * 61);
      const filtered = filterTopKTopP(of("logits"), { topK, topP });
      const tokens = [...filtered.keys()].filter((token) => filtered[token] !== -Infinity);
      if (row === 4) {
        // Columns 10 to 13 tie; which of them top-p keeps is not specified, only how many.
        const untied = (all: number[]) => all.map((token) => token > 10 && token < 14 ? 10 : token);
        assertEquals(untied(tokens).sort(), untied(kept[row]).sort(), `case ${c}`);
        continue;
      }
      assertEquals(tokens, kept[row], `case ${c}, row ${row}`);
      const probabilities = softmax(filtered.map((logit) => logit / temperature));
      assertClose(probabilities, of(`${c}.probs`), { tolerance: 1e-6 });
    }
  }
});

Deno.test("visionLanguageModel() has nanoVLM's activations, losses and gradients (v01_a)", {
  ignore,
}, () => {
  const { weights, run } = loadModel();
  const inputs = readTensors("v01_a/inputs.safetensors");
  const { loss, tokenLosses, activations, tape } = run(batchOf(inputs, ""));
  tape.backprop(loss);
  const outputs = readTensors("v01_a/outputs.safetensors");
  const info = readJson("v01_a/outputs.json");
  assertAlmostEquals(loss.data[0]!, info.loss_f64, 1e-6);
  assertClose(textOf(tokenLosses, 1), outputs.get("token_loss")!, { tolerance: 1e-5 });
  const mask = inputs.get("attention_mask")!;
  compareRowZero(activations, mask);
  compareGradients(weights, { outputs, norms: info.grad_l2_f64 });
  compareHidden(activations.get("lm.norm")!.data, { expected: outputs.get("hidden")!, mask });
});

for (
  const [name, change] of Object.entries({
    "max_position_20": { lm_max_position_embeddings: 20 },
    "attn_scaling_0.8": { lm_attn_scaling: 0.8 },
  })
) {
  Deno.test(`visionLanguageModel() follows nanoVLM's rotary scaling: ${name}`, { ignore }, () => {
    const inputs = readTensors("v01_a/inputs.safetensors");
    const variants = readTensors("v01_a/variants.safetensors");
    const { loss, activations } = loadModel(change).run(batchOf(inputs, ""));
    assertAlmostEquals(loss.data[0]!, variants.get(`${name}.loss`)![0]!, 1e-5);
    const hidden = activations.get("lm.norm")!.data;
    const expected = variants.get(`${name}.hidden`)!;
    compareHidden(hidden.slice(0, expected.length), {
      expected,
      mask: inputs.get("attention_mask")!,
    });
  });
}

Deno.test(
  "adamw() on the reference's gradients retraces nanoVLM's 20 steps (v01_a)",
  { ignore },
  () => {
    const train = readJson("v01_a/train.json");
    const batches = readTensors("v01_a/train_batches.safetensors");
    const { weights, run } = loadModel();
    let states = new Map<string, AdamwState>();
    for (const [name, { data }] of weights) {
      const zeros = () => new Float64Array(data.length);
      states.set(name, { parameter: data, firstMoment: zeros(), secondMoment: zeros() });
    }
    for (let step = 0; step < 20; step++) {
      for (const { grad } of weights.values()) grad.fill(0);
      const { loss, tape } = run(batchOf(batches, `b${step % 3}.`));
      assertAlmostEquals(loss.data[0]!, train.loss_f64[step], 1e-6);
      tape.backprop(loss);
      const gradients = [...weights.values()].map((weight) => weight.grad);
      const norm = train.grad_norm_f64[step];
      assertAlmostEquals(gradientNorm(gradients) / norm, 1, 1e-6);
      states = new Map([...states].map(([name, state]) => {
        const learningRate = train.lr[step][name.startsWith("MP.") ? 0 : 1];
        const weight = weights.get(name)!;
        const next = adamw(state, weight.grad, { learningRate, step: step + 1 });
        weight.data.set(next.parameter);
        return [name, next];
      }));
    }
    const final = readTensors("v01_a/final_weights.safetensors");
    for (const [name, { data }] of weights) {
      const keep = keyBiasFilter(name, data.length);
      const expected = final.get(parameterName(name))!.filter(keep);
      // By norm: an element whose gradient is near 0 may step anywhere within the learning rate.
      const difference = data.filter(keep).map((value, i) => value - expected[i]!);
      assertLess(gradientNorm([difference]) / gradientNorm([expected]), 1e-6, name);
    }
  },
);

function exists(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

// deno-lint-ignore no-explicit-any
function readJson(file: string): any {
  return JSON.parse(Deno.readTextFileSync(GOLDEN + file));
}

function readTensors(file: string): Map<string, Float64Array> {
  using tensors = openSafetensors(GOLDEN + file);
  const read = (name: string) => Float64Array.from(tensors.read(name) as Float32Array);
  return new Map([...tensors.tensors.keys()].map((name) => [name, read(name)]));
}

/** v01_a's weights, and a function that runs a batch through the reference model. */
function loadModel(change: Partial<ReferenceConfig> = {}) {
  const config: ReferenceConfig = { ...readJson("v01_a/config.json"), ...change };
  const tensors = readTensors("v01_a/model.safetensors");
  tensors.delete("decoder.rotary_embd.inv_freq");
  const weights = new Map([...tensors].map(([name, data]) => [name, valueOf(data)]));
  const run = (batch: ReferenceBatch) => {
    const tape = new Tape();
    return { tape, ...visionLanguageModel({ config, weights, tape }, batch) };
  };
  return { weights, run };
}

function batchOf(tensors: Map<string, Float64Array>, prefix: string): ReferenceBatch {
  const integers = (name: string) => Int32Array.from(tensors.get(prefix + name)!);
  return {
    images: tensors.get(`${prefix}images`)!,
    ids: integers("input_ids"),
    attentionMask: integers("attention_mask"),
    labels: integers("labels"),
  };
}

/** Drops the image's rows: (4, 4 + 45, C) -> (4, 45, C). */
function textOf(values: Float64Array, C: number): Float64Array {
  return values.filter((_, i) => Math.floor(i / C) % 49 >= IMAGE_TOKENS);
}

/** Whether row `row` of (B, 4 + 45) stands for an image token or a real one. */
function isReal(row: number, mask: Float64Array): boolean {
  const t = row % 49 - IMAGE_TOKENS;
  return t < 0 || mask[Math.floor(row / 49) * 45 + t] === 1;
}

function compareHidden(
  hidden: Float64Array,
  { expected, mask }: { expected: Float64Array; mask: Float64Array },
): void {
  const keep = (_: number, i: number) => isReal(Math.floor(i / 96), mask);
  assertClose(hidden.filter(keep), expected.filter(keep), {
    tolerance: 3e-5 * largest(expected),
    name: "hidden",
  });
}

/** Row 0 of every stored activation and gradient of one; padding rows are not compared. */
function compareRowZero(activations: ReadonlyMap<string, Value>, mask: Float64Array): void {
  const stored = readTensors("v01_a/activations.safetensors");
  for (const [key, expected] of stored) {
    const [, kind, name] = key.match(/^(act|gradact)\.(.*)$/)!;
    if (name!.startsWith("lm.rope.")) continue;
    const value = activations.get(name!);
    assert(value, `no activation ${name}`);
    const actual = (kind === "act" ? value.data : value.grad).slice(0, expected.length);
    const isText = name!.startsWith("lm.");
    const keep = (_: number, i: number) => !isText || isReal(Math.floor(i / 96), mask);
    const tolerance = (kind === "act" ? 3e-5 : 1e-4) * largest(expected);
    assertClose(actual.filter(keep), expected.filter(keep), { tolerance, name: key });
  }
}

function compareGradients(
  weights: Map<string, Value>,
  { outputs, norms }: { outputs: Map<string, Float64Array>; norms: Record<string, number> },
): void {
  for (const [name, { grad }] of weights) {
    const parameter = parameterName(name);
    const expected = outputs.get(`grad.${parameter}`)!;
    assertAlmostEquals(gradientNorm([grad]) / norms[parameter]!, 1, 1e-6, name);
    assertClose(grad, expected, { tolerance: 1e-4 * largest(expected), name });
  }
}

/** PyTorch's name of a weight: the tied table goes by its first one. */
function parameterName(name: string): string {
  return name === "decoder.head.weight" ? "decoder.token_embedding.weight" : name;
}

/** The key third of qkv_proj.bias has no gradient but rounding noise, which Adam turns into steps. */
function keyBiasFilter(name: string, length: number): (value: number, index: number) => boolean {
  if (!name.endsWith("qkv_proj.bias")) return () => true;
  return (_, i) => i < length / 3 || i >= 2 * length / 3;
}

function largest(values: Float64Array): number {
  return values.reduce((max, value) => Math.max(max, Math.abs(value)), 0);
}
