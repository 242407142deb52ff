// Every reference's backward against central differences of its forward, at odd sizes.

import { assertEquals } from "@std/assert";
import { assertClose, gradcheck, seededRandom } from "../gradcheck.ts";
import { attention, attentionBackward, type AttentionOptions } from "./attention.ts";
import {
  crossEntropy,
  crossEntropyBackward,
  linearCrossEntropy,
  linearCrossEntropyBackward,
} from "./cross_entropy.ts";
import { embedding, embeddingBackward, scatterRows, scatterRowsBackward } from "./embedding.ts";
import { gelu, geluBackward } from "./gelu.ts";
import { layerNorm, layerNormBackward } from "./layer_norm.ts";
import { linear, linearBackward } from "./linear.ts";
import { patchEmbedding, patchEmbeddingBackward } from "./patch_embedding.ts";
import { pixelShuffle, pixelShuffleBackward } from "./pixel_shuffle.ts";
import { rmsNorm, rmsNormBackward } from "./rms_norm.ts";
import { rope, ropeBackward, ropeTables } from "./rope.ts";
import { swiglu, swigluBackward } from "./swiglu.ts";
import { rowsOf, Tape, valueOf } from "./tape.ts";

Deno.test("linear() has the gradients of its forward, with and without GELU and residual", () => {
  const random = seededRandom(1);
  const shape = { inFeatures: 5, outFeatures: 7 };
  const inputs = {
    x: random.normal(3 * 5),
    weight: random.normal(7 * 5),
    bias: random.normal(7),
    residual: random.normal(3 * 7),
  };
  for (const gelu of [false, true]) {
    const options = { ...shape, gelu };
    gradcheck((x) => linear(x, options), (x, dy) => linearBackward(x, dy, options), inputs);
    const { x, weight } = inputs;
    gradcheck((i) => linear(i, options), (i, dy) => linearBackward(i, dy, options), { x, weight });
  }
});

Deno.test("patchEmbedding() has the gradients of its forward, also with pixels left over", () => {
  const random = seededRandom(2);
  for (const imagePixels of [6, 7]) {
    const options = { imagePixels, patchPixels: 3, C: 5 };
    gradcheck(
      (x) => patchEmbedding(x, options),
      (x, dy) => patchEmbeddingBackward(x, dy, options),
      {
        images: random.uniform(2 * 3 * imagePixels ** 2, 0, 1),
        weight: random.normal(5 * 27),
        bias: random.normal(5),
        position: random.normal(4 * 5),
      },
    );
  }
});

Deno.test("layerNorm() and rmsNorm() have the gradients of their forwards", () => {
  const random = seededRandom(3);
  for (const C of [2, 7]) {
    // A large epsilon, so that leaving it out shows.
    const options = { C, epsilon: 0.1 };
    const [x, weight, bias] = [random.normal(3 * C), random.normal(C), random.normal(C)];
    const inputs = { x, weight, bias };
    gradcheck((i) => layerNorm(i, options), (i, dy) => layerNormBackward(i, dy, options), inputs);
    gradcheck((i) => rmsNorm(i, options), (i, dy) => rmsNormBackward(i, dy, options), {
      x,
      weight,
    });
  }
});

Deno.test("gelu() and swiglu() have the gradients of their forwards", () => {
  const random = seededRandom(4);
  gradcheck(gelu, geluBackward, { x: random.normal(31, 2) });
  const inputs = { gate: random.normal(31, 3), up: random.normal(31) };
  gradcheck(swiglu, swigluBackward, inputs);
});

Deno.test("rope() has the gradient of its forward, also with scaled tables", () => {
  const random = seededRandom(5);
  for (const attnScaling of [1, 0.8]) {
    const shape = { T: 5, H: 3, D: 6 };
    const tables = ropeTables({ ...shape, base: 100, maxPositions: 4, offset: 2, attnScaling });
    const options = { ...shape, ...tables };
    const inputs = { x: random.normal(2 * 5 * 3 * 6) };
    gradcheck((x) => rope(x, options), (_, dy) => ropeBackward(dy, options), inputs);
  }
});

const ATTENTIONS: Record<string, AttentionOptions> = {
  bidirectional: { B: 2, T: 5, H: 3, K: 3, D: 3, causal: false },
  "causal with groups": { B: 2, T: 5, H: 6, K: 2, D: 3, causal: true },
  "masked, padding first in row 1": {
    B: 2,
    T: 5,
    H: 2,
    K: 1,
    D: 3,
    causal: true,
    keyMask: [1, 1, 0, 1, 1, 0, 0, 1, 1, 1],
  },
  "two queries behind a cache of four": {
    B: 2,
    T: 2,
    S: 6,
    offset: 4,
    H: 4,
    K: 2,
    D: 5,
    causal: true,
    keyMask: [1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
  },
};

for (const [name, options] of Object.entries(ATTENTIONS)) {
  Deno.test(`attention() has the gradients of its forward: ${name}`, () => {
    const { B, T, S = T, H, K, D } = options;
    const random = seededRandom(6);
    gradcheck(
      (x) => attention(x, options),
      (x, dy) => attentionBackward(x, dy, options),
      {
        q: random.normal(B * T * H * D),
        k: random.normal(B * S * K * D),
        v: random.normal(B * S * K * D),
      },
    );
  });
}

Deno.test("embedding() and scatterRows() have the gradients of their forwards", () => {
  const random = seededRandom(7);
  const lookup = { ids: Int32Array.of(3, -1, 0, 3, 3, -1), C: 5 };
  gradcheck(
    (x) => embedding(x, lookup),
    (x, dy) => embeddingBackward(x, dy, lookup),
    { table: random.normal(4 * 5), base: random.normal(6 * 5) },
  );
  const scatter = { rows: Int32Array.of(4, 0, 1), C: 3 };
  gradcheck(
    (x) => scatterRows(x, scatter),
    (x, dy) => scatterRowsBackward(x, dy, scatter),
    { base: random.normal(6 * 3), image: random.normal(3 * 3) },
  );
});

Deno.test("pixelShuffle() has the gradient of its forward", () => {
  const options = { N: 36, C: 3, factor: 3 };
  gradcheck(
    (x) => pixelShuffle(x, options),
    (x, dy) => pixelShuffleBackward(x, dy, options),
    { x: seededRandom(8).normal(2 * 36 * 3) },
  );
});

Deno.test("crossEntropy() has the gradient of its mean over counted rows", () => {
  const random = seededRandom(9);
  const labels = Int32Array.of(2, -100, 0, 10, -100);
  const plain = { labels, V: 11 };
  gradcheck(
    (x) => Float64Array.of(crossEntropy(x, plain).loss),
    (x, dy) => crossEntropyBackward(x, dy[0]!, plain),
    { logits: random.normal(5 * 11, 3) },
  );
  const fused = { labels, C: 3 };
  gradcheck(
    (x) => Float64Array.of(linearCrossEntropy(x, fused).loss),
    (x, dy) => linearCrossEntropyBackward(x, dy[0]!, fused),
    { hidden: random.normal(5 * 3), weight: random.normal(11 * 3) },
  );
});

Deno.test("Tape adds up the gradients of a value that is used twice, and of rows of a matrix", () => {
  const tape = new Tape();
  const matrix = valueOf(Float64Array.of(1, 2, 3, 4));
  const row = rowsOf(matrix, { from: 1, count: 1, width: 2 });
  const options = { inFeatures: 2, outFeatures: 1 };
  const product = tape.apply(
    { x: row, weight: row },
    (x) => linear(x, options),
    (x, dy) => linearBackward(x, dy, options),
  );
  tape.backprop(product);
  assertEquals(product.data, Float64Array.of(25));
  assertClose(matrix.grad, Float64Array.of(0, 0, 6, 8), { tolerance: 0 });
});
