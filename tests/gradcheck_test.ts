// Tests of the gradient checker itself: what it must reject.

import { assertEquals, assertGreater, assertLess, assertThrows } from "@std/assert";
import { assertClose, gradcheck, matmulBound, seededRandom } from "./gradcheck.ts";

const square = ({ x }: { x: Float64Array }) => x.map((value) => value * value);

Deno.test("gradcheck() accepts the right gradient and rejects one that is off by 1e-5", () => {
  const inputs = { x: seededRandom(1).normal(5) };
  const gradient = (factor: number) => ({ x }: { x: Float64Array }, dy: Float64Array) => ({
    dx: x.map((value, i) => factor * value * dy[i]!),
  });
  gradcheck(square, gradient(2), inputs);
  assertThrows(() => gradcheck(square, gradient(2 + 1e-5), inputs), Error, "Cannot accept dx");
});

Deno.test("gradcheck() rejects inputs whose gradient is 0 everywhere", () => {
  const zeros = ({ x }: { x: Float64Array }) => ({ dx: new Float64Array(x.length) });
  const check = () => gradcheck(({ x }) => x.map(() => 1), zeros, { x: Float64Array.of(1, 2) });
  assertThrows(check, Error, "0 everywhere");
});

Deno.test("assertClose() names the worst element and rejects NaN, other lengths and nothing", () => {
  const expected = Float64Array.of(1, 2, 3);
  assertClose(Float32Array.of(1, 2.125, 3), expected, { tolerance: 0.125 });
  assertThrows(
    () => assertClose(Float32Array.of(1.25, 2.5, 3), expected, { tolerance: 0.125 }),
    Error,
    "2 of 3 elements off; the worst, [1], is 2.5, expected 2; error / tolerance is 4.00",
  );
  const bounds = Float64Array.of(1, 1, 0);
  assertClose(Float32Array.of(2, 1, 3), expected, { tolerance: bounds });
  assertThrows(
    () => assertClose(Float32Array.of(1, 2, 3.5), expected, { tolerance: bounds }),
    Error,
    "[2]",
  );
  const nothing = new Float64Array(0);
  const [nan, infinity] = [Float32Array.of(1, NaN, 3), Float32Array.of(1, 2, Infinity)];
  assertThrows(() => assertClose(nan, expected, { tolerance: 9 }), Error, "[1], is NaN");
  assertThrows(() => assertClose(infinity, expected, { tolerance: 9 }), Error, "[2], is Infinity");
  assertThrows(() => assertClose([1, 2], expected, { tolerance: 9 }), TypeError);
  assertThrows(() => assertClose([], nothing, { tolerance: 9 }), TypeError);
});

Deno.test("seededRandom() repeats itself, differs by seed, and gives float32 numbers", () => {
  assertEquals(seededRandom(7).normal(9), seededRandom(7).normal(9));
  assertGreater(Math.abs(seededRandom(7).normal(1)[0]! - seededRandom(8).normal(1)[0]!), 1e-3);
  const values = seededRandom(3).normal(4000, 2);
  assertEquals(Float64Array.from(new Float32Array(values)), values);
  const meanSquare = values.reduce((sum, value) => sum + value * value, 0) / values.length;
  assertLess(Math.abs(meanSquare - 4), 0.4);
  assertEquals(new Set(seededRandom(3).integers(200, 3)), new Set([0, 1, 2]));
});

Deno.test("matmulBound() is 16 · 2⁻²⁴ · √K · Σ|terms|", () => {
  assertEquals(
    matmulBound(4, Float64Array.of(0, 1, 3)),
    Float64Array.of(0, 2 ** -19, 3 * 2 ** -19),
  );
});
