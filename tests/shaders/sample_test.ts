// sample() against the float64 reference, drawing with the documented random numbers; advance().
import { assert, assertEquals, assertThrows } from "@std/assert";
import type { Device } from "../../shaders/runtime/device.ts";
import { Recorder } from "../../shaders/runtime/recorder.ts";
import { advance, type RandomMode, sample } from "../../shaders/sample.ts";
import { seededRandom } from "../gradcheck.ts";
import { argmax, filterTopKTopP, sampleToken, softmax } from "../reference/sampling.ts";
import { runOp, testOnGpu } from "./harness.ts";

/** The hash and the number in [0, 1) that sample.wgsl documents. */
function scramble(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d) >>> 0;
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b) >>> 0;
  return (x ^ (x >>> 16)) >>> 0;
}
function uniformOf(seed: number, position: number): number {
  const bits = scramble(scramble(seed + 0x9e3779b9) ^ position);
  return (bits >>> 8) / 2 ** 24;
}

interface Case<Mode = "greedy" | RandomMode> {
  logits: Float64Array;
  B: number;
  mode: Mode;
  seed?: number;
}

const [LENGTH, POSITION] = [4, 2];
/** Each row's seed. */
const seedsOf = (seed: number, B: number) => Array.from({ length: B }, (_, b) => seed + 1000 * b);

/** The tokens drawn; that history holds them in its row, and nothing elsewhere, is checked on the way. */
async function draw(device: Device, { logits, B, mode, seed = 7 }: Case): Promise<number[]> {
  const untouched = 999_999;
  const run = await runOp(
    device,
    {
      logits: { shape: [B, logits.length / B], data: logits },
      next: { shape: [B], data: new Array<number>(B).fill(untouched), dtype: "u32" },
      history: {
        shape: [LENGTH, B],
        data: new Array<number>(LENGTH * B).fill(untouched),
        dtype: "u32",
      },
      probabilities: { shape: [LENGTH, B], data: new Array<number>(LENGTH * B).fill(-2) },
      position: { shape: [1], data: [POSITION], dtype: "u32" },
      seed: { shape: [B], data: seedsOf(seed, B), dtype: "u32" },
    },
    (rec, tensors) => {
      sample(rec, { ...tensors, mode });
      return tensors.next;
    },
  );
  const tokens = [...run.y];
  const history = [...run.inputs.history];
  assertEquals(history.splice(POSITION * B, B), tokens);
  assert(history.every((token) => token === untouched));
  const probabilities = [...run.inputs.probabilities];
  checkProbabilities(rowsOf(logits, B), tokens, probabilities.splice(POSITION * B, B));
  assert(probabilities.every((probability) => probability === -2));
  return tokens;
}

/** Against softmax in float64. The kernel sums V / 256 numbers in each of 256 threads, and then in pairs. */
function checkProbabilities(rows: Float64Array[], tokens: number[], found: number[]): void {
  rows.forEach((row, b) => {
    if (row.some((logit) => Number.isNaN(logit) || logit === Infinity)) {
      return assertEquals(found[b], -1);
    }
    if (row.every((logit) => logit === -Infinity)) return; // none is likelier
    const logit = row.map(Math.fround);
    const expected = softmax(logit)[tokens[b]!]!;
    const difference = Math.abs(logit[tokens[b]!]! - Math.max(...logit));
    // A sum of positive numbers, an exponential of a difference that was rounded, a quotient.
    const bound = 2 ** -24 * (row.length / 256 + 16 + difference) * 4;
    assert(
      Math.abs(found[b]! - expected) <= bound * expected + 1e-37,
      `${found[b]}, not ${expected}`,
    );
  });
}

const rowsOf = (logits: Float64Array, B: number): Float64Array[] =>
  Array.from(
    { length: B },
    (_, b) => logits.subarray(b * logits.length / B, (b + 1) * logits.length / B),
  );

/** Draws for many rows and compares each with the reference's draw. */
async function check(device: Device, options: Case<RandomMode>): Promise<number[]> {
  const { logits, B, mode, seed = 7 } = options;
  const tokens = await draw(device, options);
  const expected = rowsOf(logits, B).map((row, b) =>
    sampleToken(row, { ...mode, uniform: uniformOf(seedsOf(seed, B)[b]!, POSITION) })
  );
  assertEquals(tokens, expected);
  return tokens;
}

testOnGpu(
  "sample() takes the largest logit, and of several the lowest index",
  async (device) => {
    for (const [B, V] of [[5, 37], [1, 1], [2, 49152]] as const) {
      const logits = seededRandom(V).normal(B * V);
      const expected = rowsOf(logits, B).map(argmax);
      assertEquals(await draw(device, { logits, B, mode: "greedy" }), expected);
    }
    const ties = new Float64Array(2 * 700).fill(-3);
    for (const i of [300, 301, 44 + 256, 700 + 699]) ties[i] = 2;
    ties.set([-0, 0], 0);
    assertEquals(await draw(device, { logits: ties, B: 2, mode: "greedy" }), [300, 699]);
    const zeros = Float64Array.of(-1, -0, 0, -2);
    assertEquals(await draw(device, { logits: zeros, B: 1, mode: "greedy" }), [1]);
  },
);

testOnGpu(
  "sample() draws as float64 does, with and without top-k, top-p, temperature",
  async (device) => {
    const B = 16;
    const logits = seededRandom(3).normal(B * 41, 2);
    for (const topK of [0, 1, 5, 41, 100]) {
      for (const topP of [1, 0.9, 0.3]) {
        for (const temperature of [1, 0.5]) {
          await check(device, { logits, B, mode: { topK, topP, temperature } });
        }
      }
    }
    await check(device, {
      logits: Float64Array.of(3),
      B: 1,
      mode: { topK: 0, topP: 1, temperature: 1 },
    });
  },
);

testOnGpu(
  "sample() draws every token that is kept and no other",
  async (device) => {
    const B = 256;
    const row = Float64Array.of(2, 1.5, 1.5, 0.5, -1, -4);
    const logits = Float64Array.from({ length: B * row.length }, (_, i) => row[i % row.length]!);
    const mode = { topK: 4, topP: 0.9, temperature: 1.5 };
    const tokens = await check(device, { logits, B, mode });
    const kept = Array.from(filterTopKTopP(row, mode)).flatMap((logit, i) =>
      logit > -Infinity ? [i] : []
    );
    assertEquals([...new Set(tokens)].sort(), [...kept]);
    const other = await check(device, { logits, B, mode, seed: 8 });
    assert(other.some((token, b) => token !== tokens[b]));
  },
);

testOnGpu("sample() keeps the lower of equal logits at top-p's edge", async (device) => {
  const B = 64;
  const logits = new Float64Array(B * 300).fill(0.25);
  const tokens = await check(device, { logits, B, mode: { topK: 0, topP: 0.505, temperature: 1 } });
  assert(Math.max(...tokens) > 100);
  await check(device, { logits, B, mode: { topK: 0, topP: 0.001, temperature: 1 } });
});

testOnGpu("sample() draws as float64 does at SmolLM2's vocabulary", async (device) => {
  const logits = seededRandom(4).normal(3 * 49152, 3);
  await check(device, { logits, B: 3, mode: { topK: 50, topP: 0.9, temperature: 0.5 } });
  await check(device, { logits, B: 3, mode: { topK: 0, topP: 0.95, temperature: 1 } });
});

testOnGpu("sample() stays inside the vocabulary whatever the logits are", async (device) => {
  const V = 5;
  const rows = [
    [NaN, NaN, NaN, NaN, NaN],
    [NaN, 1, NaN, 3, NaN],
    [-Infinity, -Infinity, -Infinity, -Infinity, -Infinity],
    [1, Infinity, 0, 2, 1],
    [-3e38, 3e38, 0, 3e38, 1],
  ];
  const logits = Float64Array.from(rows.flat());
  for (const temperature of [1, 1e-30]) {
    for (const topP of [1, 0.6]) {
      const mode = { topK: 3, topP, temperature };
      const tokens = await draw(device, { logits, B: rows.length, mode });
      assert(tokens.every((token) => token < V), `found ${tokens}`);
      assert([1, 3].includes(tokens[1]!), "a NaN was drawn though there were numbers");
      assertEquals(tokens[3], 1);
    }
  }
  assertEquals(await draw(device, { logits, B: rows.length, mode: "greedy" }), [0, 3, 0, 1, 1]);
});

testOnGpu("sample() draws only infinite logits where there are some", async (device) => {
  const B = 32;
  const row = [0, Infinity, 1, Infinity];
  const logits = Float64Array.from({ length: B * row.length }, (_, i) => row[i % row.length]!);
  const tokens = await draw(device, { logits, B, mode: { topK: 0, topP: 1, temperature: 2 } });
  assertEquals([...new Set(tokens)].sort(), [1, 3]);
});

testOnGpu("sample() refuses settings out of range", async (device) => {
  const rec = new Recorder(device);
  const attempt = (mode: RandomMode) => () => {
    const [logits, next] = [rec.tensor("logits", [1, 3]), rec.tensor("next", [1], "u32")];
    const [history, position] = [rec.tensor("h", [2, 1], "u32"), rec.tensor("p", [1], "u32")];
    const probabilities = rec.tensor("q", [2, 1]);
    sample(rec, { logits, next, history, probabilities, position, mode, seed: position });
  };
  assertThrows(attempt({ temperature: 0, topK: 0, topP: 1 }), RangeError, "temperature 0");
  assertThrows(attempt({ temperature: 1, topK: 1.5, topP: 1 }), RangeError, "topK 1.5");
  await Promise.resolve(
    assertThrows(attempt({ temperature: 1, topK: 0, topP: 0 }), RangeError, "topP 0"),
  );
});

testOnGpu("advance() counts one up", async (device) => {
  const { y } = await runOp(
    device,
    { position: { shape: [1], data: [41], dtype: "u32" } },
    (rec, { position }) => {
      advance(rec, position);
      return position;
    },
  );
  assertEquals([...y], [42]);
});
