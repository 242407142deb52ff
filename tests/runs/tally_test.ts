// Tests of counting values: how they are spread, and their histogram.
import { assertAlmostEquals, assertEquals } from "@std/assert";
import { Tally } from "../../runs/tally.ts";

function tallyOf(values: readonly number[]): Tally {
  const tally = new Tally();
  for (const value of values) tally.add(value);
  return tally;
}

Deno.test("Tally tells least, median, mean and most, in whatever order values come", () => {
  const { least, median, mean, most } = tallyOf([9, 2, 2, 7, 100]).spread;
  assertEquals([least, median, most], [2, 7, 100]);
  assertAlmostEquals(mean, 24);
  assertEquals(tallyOf([3, 4]).spread.median, 3);
  assertEquals(tallyOf([]).spread, { least: NaN, median: NaN, mean: NaN, most: NaN });
});

Deno.test("Tally counts values above a limit", () => {
  assertEquals([4, 5, 6, 6, 7].map((_, i) => tallyOf([4, 5, 6, 6, 7]).above(i + 3)), [
    5,
    4,
    3,
    1,
    0,
  ]);
});

Deno.test("Tally's bins are of one round width, hold every value once, and count those above a limit", () => {
  const tally = tallyOf([11, 12, 12, 19, 20, 33]);
  assertEquals(tally.bins(5, 19), [
    { from: 10, to: 14, count: 3, over: 0 },
    { from: 15, to: 19, count: 1, over: 0 },
    { from: 20, to: 24, count: 1, over: 1 },
    { from: 25, to: 29, count: 0, over: 0 },
    { from: 30, to: 34, count: 1, over: 1 },
  ]);
  assertEquals(
    tally.bins(100, 19).map(({ from, to }) => to - from).every((gap) => gap === 0),
    true,
  );
  assertEquals(tallyOf([]).bins(5, 19), []);
  assertEquals(tallyOf([7]).bins(5, 7), [{ from: 7, to: 7, count: 1, over: 0 }]);
});

Deno.test("Tally's last bin takes the few values far beyond the others", () => {
  const values = [...Array.from({ length: 200 }, (_, i) => i % 10), 5000];
  const bins = tallyOf(values).bins(10, 4);
  assertEquals(bins.at(-1), { from: 10, to: Infinity, count: 1, over: 1 });
  assertEquals(bins.reduce((sum, { count }) => sum + count, 0), 201);
  assertEquals(bins.reduce((sum, { over }) => sum + over, 0), 101);
});
