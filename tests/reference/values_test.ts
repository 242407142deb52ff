// The references against numbers worked out by hand, and what they must refuse.

import { assertAlmostEquals, assertEquals, assertThrows } from "@std/assert";
import { assertClose, seededRandom } from "../gradcheck.ts";
import { adamw, clipGradients, gradientNorm } from "./adamw.ts";
import { attention, attentionBackward } from "./attention.ts";
import { crossEntropy, linearCrossEntropy, linearCrossEntropyBackward } from "./cross_entropy.ts";
import { embedding, scatterRows } from "./embedding.ts";
import { gelu } from "./gelu.ts";
import { layerNorm } from "./layer_norm.ts";
import { linear } from "./linear.ts";
import { patchEmbedding } from "./patch_embedding.ts";
import { pixelShuffle } from "./pixel_shuffle.ts";
import { rmsNorm } from "./rms_norm.ts";
import { rope, ropeTables } from "./rope.ts";
import { argmax, filterTopKTopP, sampleToken } from "./sampling.ts";
import { swiglu } from "./swiglu.ts";

const of = (...values: number[]) => Float64Array.from(values);
const EXACT = { tolerance: 1e-12 };

Deno.test("linear() multiplies by the transposed weight, then adds bias and residual", () => {
  const inputs = { x: of(1, 2), weight: of(3, 4, 5, 6, 7, 8), bias: of(10, 20, 30) };
  const options = { inFeatures: 2, outFeatures: 3 };
  assertEquals(linear(inputs, options), of(21, 37, 53));
  assertEquals(linear({ ...inputs, residual: of(1, 1, -1) }, options), of(22, 38, 52));
  assertThrows(() => linear({ ...inputs, weight: of(1) }, options), TypeError, "found 1 elements");
});

Deno.test("linear() applies GELU before the residual", () => {
  const inputs = { x: of(1), weight: of(1), residual: of(100) };
  const y = linear(inputs, { inFeatures: 1, outFeatures: 1, gelu: true });
  assertAlmostEquals(y[0]!, 100.8411919906083, 1e-12); // torch: gelu(1, approximate="tanh")
});

Deno.test("gelu() and swiglu() have their known values", () => {
  assertClose(gelu({ x: of(-1, 0, 1) }), of(-0.15880800939172324, 0, 0.8411919906082768), EXACT);
  const y = swiglu({ gate: of(0, Math.log(3)), up: of(5, 2) });
  assertClose(y, of(0, Math.log(3) * 0.75 * 2), EXACT);
});

Deno.test("patchEmbedding() walks patches row by row and channels before pixels", () => {
  // A 2x2 image of 1-pixel patches: channel c of pixel n is 10 c + n.
  const images = of(0, 1, 2, 3, 10, 11, 12, 13, 20, 21, 22, 23);
  const inputs = { images, weight: of(1, 100, 10000), bias: of(0.5), position: of(0, 0, 0, 7) };
  const y = patchEmbedding(inputs, { imagePixels: 2, patchPixels: 1, C: 1 });
  assertEquals(y, of(201000.5, 211101.5, 221202.5, 231310.5));
});

Deno.test("layerNorm() and rmsNorm() add epsilon inside the square root", () => {
  const options = { C: 2, epsilon: 3 };
  const y = layerNorm({ x: of(1, 3), weight: of(1, 2), bias: of(0, 1) }, options);
  assertClose(y, of(-0.5, 2), EXACT); // mean 2, variance 1
  assertClose(rmsNorm({ x: of(1, 1), weight: of(1, 4) }, options), of(0.5, 2), EXACT);
});

Deno.test("rope() turns the pair (i, i + D/2) by position · frequency", () => {
  const tables = ropeTables({ T: 2, D: 4, base: 100, maxPositions: 8 });
  const x = of(1, 2, 3, 4, 1, 0, 0, 1);
  const y = rope({ x }, { ...tables, T: 2, H: 1, D: 4 });
  const [cos, sin] = [Math.cos(Math.fround(0.1)), Math.sin(Math.fround(0.1))];
  assertClose(y, of(1, 2, 3, 4, Math.cos(1), -sin, Math.sin(1), cos), EXACT);
});

Deno.test("ropeTables() divides frequencies by length / maximum beyond it, and scales its values", () => {
  const short = { D: 2, base: 100, maxPositions: 4 };
  assertEquals(ropeTables({ ...short, T: 4 }).cos[3], Math.cos(3));
  assertEquals(ropeTables({ ...short, T: 8 }).cos[6], Math.cos(3));
  assertEquals(ropeTables({ ...short, T: 2, offset: 6 }).sin[0], Math.sin(3));
  assertEquals(ropeTables({ ...short, T: 4, attnScaling: 0.5 }).sin[1], 0.5 * Math.sin(1));
  assertThrows(() => ropeTables({ ...short, T: 1, D: 3 }), RangeError, "expected an even one");
});

Deno.test("attention() weighs values by softmax(q k / sqrt(D)) over the keys it may see", () => {
  const shape = { B: 1, T: 2, H: 2, K: 1, D: 4 };
  // Scores of query head 0: 0 and 2 ln 3 / 2; of query head 1: 0 and 0.
  const q = new Float64Array(16).with(8, 2 * Math.log(3));
  const k = of(0, 0, 0, 0, 1, 0, 0, 0);
  const v = of(4, 0, 0, 0, 8, 0, 0, 0);
  const first = (options: Parameters<typeof attention>[1]) =>
    attention({ q, k, v }, options).filter((_, i) => i % 4 === 0);
  assertClose(first({ ...shape, causal: true }), of(4, 4, 7, 6), EXACT);
  assertClose(first({ ...shape, causal: false }), of(6, 6, 7, 6), EXACT);
  assertClose(first({ ...shape, causal: true, keyMask: [1, 0] }), of(4, 4, 4, 4), EXACT);
});

Deno.test("attention() gives zeros to a row that sees no key, and that row moves nothing", () => {
  const options = { B: 1, T: 2, H: 1, K: 1, D: 1, causal: true, keyMask: [0, 1] };
  const inputs = { q: of(1, 2), k: of(3, 4), v: of(5, 6) };
  assertEquals(attention(inputs, options), of(0, 6));
  const { dq, dk, dv } = attentionBackward(inputs, of(1, 10), options);
  assertEquals([dq, dk, dv], [of(0, 0), of(0, 0), of(0, 10)]);
});

Deno.test("attention() of the last positions behind a cache equals the full one's last rows", () => {
  const shape = { B: 1, T: 5, H: 4, K: 2, D: 3, causal: true };
  const random = seededRandom(1);
  const [q, k, v] = [random.normal(60), random.normal(30), random.normal(30)];
  const full = attention({ q, k, v }, shape);
  const last = attention({ q: q.slice(36), k, v }, { ...shape, T: 2, S: 5, offset: 3 });
  assertEquals(last, full.slice(36));
});

Deno.test("embedding() leaves rows with id -1 alone and refuses ids outside the table", () => {
  const inputs = { table: of(1, 2, 3, 4), base: of(9, 9, 8, 8) };
  assertEquals(embedding(inputs, { ids: Int32Array.of(-1, 1), C: 2 }), of(9, 9, 3, 4));
  for (const id of [2, -2]) {
    const options = { ids: Int32Array.of(0, id), C: 2 };
    assertThrows(() => embedding(inputs, options), RangeError, `id ${id}`);
  }
});

Deno.test("scatterRows() puts image row k into rows[k] and refuses a row named twice", () => {
  const inputs = { base: of(1, 2, 3), image: of(7, 8) };
  assertEquals(scatterRows(inputs, { rows: Int32Array.of(2, 0), C: 1 }), of(8, 2, 7));
  const twice = { rows: Int32Array.of(1, 1), C: 1 };
  assertThrows(() => scatterRows(inputs, twice), RangeError, "named twice");
});

Deno.test("pixelShuffle() gathers blocks row by row, channels innermost", () => {
  const x = Float64Array.from({ length: 32 }, (_, i) => i);
  const y = pixelShuffle({ x }, { N: 16, C: 2, factor: 2 });
  assertEquals(y.slice(0, 16), of(0, 1, 2, 3, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15));
  assertThrows(() => pixelShuffle({ x }, { N: 16, C: 2, factor: 3 }), RangeError, "multiple of 3");
});

Deno.test("crossEntropy() averages over counted rows only", () => {
  const logits = of(0, Math.log(3), 5, 5, 0, 0);
  const result = crossEntropy({ logits }, { labels: Int32Array.of(1, -100, 0), V: 2 });
  assertClose(result.tokenLosses, of(Math.log(4 / 3), 0, Math.log(2)), EXACT);
  assertAlmostEquals(result.loss, (Math.log(4 / 3) + Math.log(2)) / 2, 1e-12);
  const wrong = { labels: Int32Array.of(1, 2, 0), V: 2 };
  assertThrows(() => crossEntropy({ logits }, wrong), RangeError, "label 2");
});

Deno.test("linearCrossEntropy() of no counted row is NaN with gradients of 0, as in torch", () => {
  const inputs = { hidden: of(1, 2), weight: of(3, 4) };
  const options = { labels: Int32Array.of(-100, -100), C: 1 };
  assertEquals(linearCrossEntropy(inputs, options).loss, NaN);
  const { dhidden, dweight } = linearCrossEntropyBackward(inputs, 1, options);
  assertEquals([dhidden, dweight], [of(0, 0), of(0, 0)]);
});

Deno.test("adamw() decays first, then steps by the bias-corrected moments", () => {
  const state = { parameter: of(1), firstMoment: of(0), secondMoment: of(0) };
  const one = adamw(state, of(-4), { learningRate: 0.1, step: 1, weightDecay: 0.5 });
  assertClose(one.parameter, of(0.95 + 0.1), { tolerance: 1e-9 }); // m̂ / sqrt(v̂) = -1
  assertClose(one.firstMoment, of(-0.4), EXACT);
  assertClose(one.secondMoment, of(0.016), EXACT);
  const two = adamw(one, of(4), { learningRate: 0.1, step: 2, weightDecay: 0 });
  // m = -0.36 + 0.4 = 0.04, m̂ = 0.04 / 0.19; v̂ = 16.
  assertClose(two.parameter, of(1.05 - 0.1 * 0.04 / 0.19 / 4), { tolerance: 1e-9 });
  assertThrows(() => adamw(state, of(1), { learningRate: 1, step: 0 }), RangeError, "step 0");
});

Deno.test("clipGradients() scales to the norm over all gradients, and never up", () => {
  const gradients = [of(3), of(0, 4)];
  assertEquals(gradientNorm(gradients), 5);
  const clipped = clipGradients(gradients, 1);
  assertEquals(clipped.norm, 5);
  const factor = 1 / (5 + 1e-6);
  assertEquals(clipped.gradients, [of(3 * factor), of(0, 4 * factor)]);
  assertEquals(clipGradients(gradients, 6).gradients, gradients);
});

Deno.test("argmax() takes the lowest index of several", () => {
  assertEquals(argmax(of(1, 3, 2, 3)), 1);
  assertThrows(() => argmax(of()), TypeError, "found no values");
});

Deno.test("filterTopKTopP() keeps ties with the k-th and drops the token that crosses top-p", () => {
  const [a, b] = [Math.log(0.5), Math.log(0.25)];
  assertEquals(filterTopKTopP(of(a, b, b), { topK: 2 }), of(a, b, b));
  assertEquals(filterTopKTopP(of(b, a, b), { topP: 0.7 }), of(-Infinity, a, -Infinity));
  assertEquals(filterTopKTopP(of(b, a, b), { topP: 0 }), of(-Infinity, a, -Infinity));
  assertEquals(filterTopKTopP(of(b, a, b), { topP: 0.8 }), of(b, a, -Infinity));
});

Deno.test("sampleToken() draws by the running sum, after filtering and temperature", () => {
  const logits = of(Math.log(0.1), Math.log(0.6), Math.log(0.3));
  const draws = [0, 0.099, 0.101, 0.699, 0.701, 0.999];
  const drawn = (options: object) =>
    draws.map((u) => sampleToken(logits, { uniform: u, ...options }));
  assertEquals(drawn({}), [0, 0, 1, 1, 2, 2]);
  assertEquals(drawn({ topK: 2 }), [1, 1, 1, 2, 2, 2]);
  // Squared: 0.01, 0.36, 0.09 of 0.46, running sums 0.022, 0.804, 1.
  assertEquals(drawn({ temperature: 0.5 }), [0, 1, 1, 1, 1, 2]);
  // After the temperature 2 the running sum of the two likeliest would still be below 0.85.
  assertEquals(drawn({ topP: 0.85, temperature: 2 }), [1, 1, 1, 1, 1, 1]);
  for (const options of [{ uniform: 1 }, { uniform: 0, temperature: 0 }]) {
    assertThrows(() => sampleToken(logits, options), RangeError, "Cannot draw a token");
  }
});
