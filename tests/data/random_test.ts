/** Tests of the seeded random numbers. */
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import { permutation, Random } from "../../data/random.ts";

const first = (count: number, ...key: number[]) => {
  const random = new Random(...key);
  return Array.from({ length: count }, () => random.uint32());
};

Deno.test("Random gives the same numbers for the same key, and stays so over releases", () => {
  // The second line comes from the same algorithm written in Python.
  assertEquals(first(5, 1, 2), first(5, 1, 2));
  assertEquals(first(3, 1, 2), [267321624, 1276027230, 1436097597]);
});

Deno.test("Random gives other numbers for other keys, also for the same numbers in another order", () => {
  const streams = [[0], [1], [0, 0], [0, 1], [1, 0], [0, 0, 0]].map((key) =>
    first(4, ...key).join()
  );
  assertEquals(new Set(streams).size, streams.length);
});

Deno.test("Random.below() draws every number about equally often", () => {
  const random = new Random(3);
  const counts = new Array(6).fill(0);
  for (let i = 0; i < 60_000; i++) counts[random.below(6)]++;
  for (const count of counts) assert(Math.abs(count - 10_000) < 500, counts.join()); // 5 deviations
});

Deno.test("Random.between() stays within its bounds and fills them", () => {
  const random = new Random(4);
  const values = Array.from({ length: 10_000 }, () => random.between(-2, 3));
  assert(Math.min(...values) >= -2 && Math.max(...values) < 3);
  assert(Math.min(...values) < -1.99 && Math.max(...values) > 2.99);
  assert(Math.abs(values.reduce((sum, value) => sum + value, 0) / values.length - 0.5) < 0.1);
});

Deno.test("Random refuses keys and bounds that are no whole numbers in range", () => {
  for (const bad of [-1, 0.5, 2 ** 32, NaN]) assertThrows(() => new Random(bad), RangeError);
  for (const bad of [0, -1, 1.5, 2 ** 32]) assertThrows(() => new Random(0).below(bad), RangeError);
});

Deno.test("permutation() holds every number once, in an order of the stream's", () => {
  const order = permutation(1000, new Random(5));
  assertEquals([...order].sort((a, b) => a - b), Array.from({ length: 1000 }, (_, i) => i));
  assertEquals(order, permutation(1000, new Random(5)));
  assertNotEquals(order, permutation(1000, new Random(6)));
  assertEquals(permutation(0, new Random(5)), new Uint32Array());
});
