// The Σ|terms| companions: that they cover what rounding of that size does to each reference.
// Changing every input by a relative 1e-7 changes each product of two by 2e-7 or less, and so the
// result by at most a few 1e-7 of Σ|terms|; results whose terms cancel change by far more than
// their own 1e-7, which is what the companions are for.

import { assert, assertGreater } from "@std/assert";
import { assertClose, seededRandom } from "../gradcheck.ts";
import {
  attention,
  attentionAbs,
  attentionBackward,
  attentionBackwardAbs,
  type AttentionOptions,
} from "./attention.ts";
import {
  linearCrossEntropy,
  linearCrossEntropyAbs,
  linearCrossEntropyBackward,
  linearCrossEntropyBackwardAbs,
} from "./cross_entropy.ts";
import { layerNorm, layerNormAbs, layerNormBackward, layerNormBackwardAbs } from "./layer_norm.ts";
import { linear, linearAbs, linearBackward, linearBackwardAbs } from "./linear.ts";
import {
  patchEmbedding,
  patchEmbeddingAbs,
  patchEmbeddingBackward,
  patchEmbeddingBackwardAbs,
} from "./patch_embedding.ts";
import { rmsNorm, rmsNormAbs, rmsNormBackward, rmsNormBackwardAbs } from "./rms_norm.ts";
import { rope, ropeAbs, ropeTables } from "./rope.ts";

const RELATIVE = 1e-7;

type Arrays = Record<string, Float64Array>;

/** Checks each named result: within `factors` relative changes of its Σ|terms|, before and after. */
function assertCovers<Inputs extends Arrays>(
  f: (inputs: Inputs) => object,
  abs: object,
  { inputs, factors }: { inputs: Inputs; factors: number },
): void {
  const exact = f(inputs) as Arrays;
  let moved = 0;
  for (let seed = 1; seed <= 5; seed++) {
    const random = seededRandom(seed);
    const perturbed = Object.fromEntries(
      Object.entries(inputs).map(([name, values]) => {
        const changes = random.uniform(values.length).map((u) => 1 + RELATIVE * Math.sign(u));
        return [name, values.map((value, i) => value * changes[i]!)];
      }),
    ) as Inputs;
    for (const [name, values] of Object.entries(f(perturbed) as Arrays)) {
      const terms = (abs as Arrays)[name]!;
      const tolerance = terms.map((sum) => factors * (RELATIVE + RELATIVE ** 2) * sum + 1e-15);
      assertClose(values, exact[name]!, { tolerance, name });
      values.forEach((value, i) => {
        if (terms[i]! > 0) moved = Math.max(moved, Math.abs(value - exact[name]![i]!) / terms[i]!);
      });
    }
  }
  // Were the terms overstated a thousandfold, the bound would check nothing.
  assertGreater(moved, factors * RELATIVE / 1000);
}

Deno.test("linearAbs() and linearBackwardAbs() cover rounding, with and without GELU", () => {
  const random = seededRandom(1);
  for (const deviation of [1, 8]) {
    const inputs = {
      x: random.normal(3 * 9, deviation),
      weight: random.normal(5 * 9),
      bias: random.normal(5),
      residual: random.normal(15),
      dy: random.normal(15),
    };
    for (const gelu of [false, true]) {
      const options = { inFeatures: 9, outFeatures: 5, gelu };
      const abs = { y: linearAbs(inputs, options) };
      assertCovers((x) => ({ y: linear(x, options) }), abs, { inputs, factors: 2 });
      const backwardAbs = linearBackwardAbs(inputs, inputs.dy, options);
      const gradients = (x: typeof inputs) => linearBackward(x, x.dy, options);
      assertCovers(gradients, backwardAbs, { inputs, factors: 3 });
    }
  }
});

Deno.test("linearAbs() is the sum of the terms without their signs", () => {
  const inputs = { x: Float64Array.of(1, -2), weight: Float64Array.of(-3, 4) };
  const y = linearAbs({ ...inputs, bias: Float64Array.of(-5), residual: Float64Array.of(-6) }, {
    inFeatures: 2,
    outFeatures: 1,
  });
  assert(y[0] === 22, `found ${y[0]}`);
});

Deno.test("patchEmbeddingAbs() and patchEmbeddingBackwardAbs() cover rounding", () => {
  const random = seededRandom(2);
  const options = { imagePixels: 4, patchPixels: 2, C: 3 };
  const inputs = {
    images: random.uniform(2 * 48),
    weight: random.normal(36),
    bias: random.normal(3),
    position: random.normal(12),
    dy: random.normal(24),
  };
  const abs = { y: patchEmbeddingAbs(inputs, options) };
  assertCovers((x) => ({ y: patchEmbedding(x, options) }), abs, { inputs, factors: 2 });
  assertCovers(
    (x) => patchEmbeddingBackward(x, x.dy, options),
    patchEmbeddingBackwardAbs(inputs, inputs.dy, options),
    { inputs, factors: 2 },
  );
});

Deno.test("the norms' companions cover rounding, also where the mean is 100 deviations", () => {
  const random = seededRandom(3);
  const options = { C: 9, epsilon: 1e-6 };
  for (const mean of [0, 100]) {
    const inputs = {
      x: random.normal(3 * 9).map((value) => value + mean),
      weight: random.normal(9),
      bias: random.normal(9),
      dy: random.normal(3 * 9),
    };
    const { x, weight, dy } = inputs;
    const abs = { y: layerNormAbs(inputs, options), ...layerNormBackwardAbs(inputs, dy, options) };
    assertCovers(
      (i) => ({ y: layerNorm(i, options), ...layerNormBackward(i, i.dy, options) }),
      abs,
      { inputs, factors: 3 },
    );
    const rmsAbs = { y: rmsNormAbs(inputs, options), ...rmsNormBackwardAbs(inputs, dy, options) };
    assertCovers(
      (i) => ({ y: rmsNorm(i, options), ...rmsNormBackward(i, i.dy, options) }),
      rmsAbs,
      { inputs: { x, weight, dy }, factors: 5 },
    );
  }
});

Deno.test("ropeAbs() covers rounding", () => {
  const tables = ropeTables({ T: 5, D: 6, base: 100, maxPositions: 9 });
  const options = { ...tables, T: 5, H: 3, D: 6 };
  const inputs = { x: seededRandom(4).normal(90) };
  const abs = { y: ropeAbs(inputs, options) };
  assertCovers((x) => ({ y: rope(x, options) }), abs, { inputs, factors: 1 });
});

Deno.test("attentionAbs() and attentionBackwardAbs() cover rounding, also with peaked weights", () => {
  const random = seededRandom(5);
  const options: AttentionOptions = {
    B: 2,
    T: 5,
    H: 4,
    K: 2,
    D: 3,
    causal: true,
    keyMask: [1, 1, 0, 1, 1, 0, 1, 1, 1, 1],
  };
  for (const deviation of [1, 3]) {
    const inputs = {
      q: random.normal(120, deviation),
      k: random.normal(60, deviation),
      v: random.normal(60),
      dy: random.normal(120),
    };
    const abs = {
      y: attentionAbs(inputs, options),
      ...attentionBackwardAbs(inputs, inputs.dy, options),
    };
    assertCovers(
      (x) => ({ y: attention(x, options), ...attentionBackward(x, x.dy, options) }),
      abs,
      { inputs, factors: 3 },
    );
  }
});

Deno.test("linearCrossEntropyAbs() and its backward cover rounding", () => {
  const random = seededRandom(6);
  const options = { labels: Int32Array.of(2, -100, 0, 10), C: 5 };
  const inputs = { hidden: random.normal(20), weight: random.normal(55) };
  const forward = (loss: ReturnType<typeof linearCrossEntropy>) => ({
    loss: Float64Array.of(loss.loss),
    tokenLosses: loss.tokenLosses.filter((_, r) => options.labels[r] !== -100),
  });
  const abs = {
    ...forward(linearCrossEntropyAbs(inputs, options)),
    ...linearCrossEntropyBackwardAbs(inputs, 1, options),
  };
  assertCovers(
    (x) => ({
      ...forward(linearCrossEntropy(x, options)),
      ...linearCrossEntropyBackward(x, 1, options),
    }),
    abs,
    { inputs, factors: 3 },
  );
});
