/** Tests of the order of an epoch's samples: complete, windowed, weighted, and the same every time. */
import { assert, assertEquals, assertNotEquals, assertThrows } from "@std/assert";
import type { RowGroup } from "../../data/dataset.ts";
import { permutation, Random } from "../../data/random.ts";
import { type OrderedSamples, sampleCounts, sampleOrder } from "../../data/sample_order.ts";

/** Rows of 0 to 4 questions in groups of `groupRows` rows and uneven bytes. */
function source(rows: number, groupRows: number): OrderedSamples & { groups: RowGroup[] } {
  const random = new Random(9);
  const starts = new Uint32Array(rows + 1);
  for (let row = 0; row < rows; row++) starts[row + 1] = starts[row]! + random.below(5);
  const groups: RowGroup[] = [];
  for (let start = 0; start < rows; start += groupRows) {
    groups.push({
      start,
      rows: Math.min(groupRows, rows - start),
      bytes: 500 + random.below(1000),
    });
  }
  return { starts, groups };
}

const sorted = (order: Uint32Array) => [...order].sort((a, b) => a - b);
const numbers = (length: number) => Array.from({ length }, (_, i) => i);
const total = ({ starts }: OrderedSamples) => starts.at(-1)!;
const bytesOf = (groups: readonly { bytes: number }[]) =>
  groups.reduce((sum, { bytes }) => sum + bytes, 0);

/** The most bytes of groups that are open at one place: some of their samples behind it, some to come. */
function openGroups(
  { starts, groups }: OrderedSamples & { groups: RowGroup[] },
  order: Uint32Array,
) {
  const spans = groups.map(({ start, rows, bytes }) => {
    const isIn = (sample: number) => sample >= starts[start]! && sample < starts[start + rows]!;
    return { first: order.findIndex(isIn), last: order.findLastIndex(isIn), bytes };
  });
  const openBytes = [...order].map((_, at) =>
    bytesOf(spans.filter(({ first, last }) => first <= at && last >= at))
  );
  return Math.max(...openBytes);
}

Deno.test("sampleOrder() holds every sample once, the same for the same seed and epoch only", () => {
  const data = source(400, 10);
  for (const bufferBytes of [0, 1, 8000, 1e9]) {
    const order = sampleOrder(data, { seed: 1, epoch: 2, bufferBytes });
    assertEquals(sorted(order), numbers(total(data)));
    assertEquals(order, sampleOrder(data, { seed: 1, epoch: 2, bufferBytes }));
    assertNotEquals(order, sampleOrder(data, { seed: 2, epoch: 2, bufferBytes }));
    assertNotEquals(order, sampleOrder(data, { seed: 1, epoch: 3, bufferBytes }));
  }
});

Deno.test("sampleOrder() is a plain permutation where the buffer holds everything or nothing is grouped", () => {
  const { starts, groups } = source(100, 10);
  const plain = permutation(starts.at(-1)!, new Random(5, 6));
  const choice = { seed: 5, epoch: 6, bufferBytes: bytesOf(groups) };
  assertEquals(sampleOrder({ starts, groups }, choice), plain);
  assertEquals(sampleOrder({ starts }, { ...choice, bufferBytes: 0 }), plain);
  const windowed = sampleOrder({ starts, groups }, {
    ...choice,
    bufferBytes: choice.bufferBytes - 1,
  });
  assertNotEquals(windowed, plain);
});

Deno.test("sampleOrder() never needs more groups at once than the buffer's bytes and one", () => {
  const data = source(600, 10); // 60 groups of 1,000 bytes on average
  const largest = Math.max(...data.groups.map(({ bytes }) => bytes));
  for (const bufferBytes of [0, 3000, 12_000]) {
    for (const epoch of [0, 1]) {
      const open = openGroups(data, sampleOrder(data, { seed: 1, epoch, bufferBytes }));
      assert(open <= bufferBytes + largest, `${open} for ${bufferBytes}`);
      assert(open >= bufferBytes * 0.9, `${open} for ${bufferBytes}`); // and makes use of it
    }
  }
});

Deno.test("sampleOrder() mixes the groups of the window evenly", () => {
  const starts = Uint32Array.from({ length: 20_001 }, (_, i) => i);
  const groups = numbers(200).map((i) => ({ start: i * 100, rows: 100, bytes: 1 }));
  const order = sampleOrder({ starts, groups }, { seed: 1, epoch: 0, bufferBytes: 20 });
  // In the middle, 20 groups are open; of 200 samples in a row about 10 are from each.
  const counts = new Map<number, number>();
  for (const sample of order.subarray(10_000, 10_200)) {
    const group = Math.floor(sample / 100);
    counts.set(group, (counts.get(group) ?? 0) + 1);
  }
  assert(counts.size >= 20 && counts.size <= 24, `${counts.size} groups`);
  assert(Math.max(...counts.values()) <= 25, [...counts.values()].join());
  const neighbours = [...order].filter((sample, at) => order[at + 1] === sample + 1).length;
  assert(neighbours < 2 * 20_000 / 2000, `${neighbours} neighbours`); // 1 in 2,000 by chance
});

const part = (name: string, start: number, rows: number, weight?: number) =>
  weight === undefined ? { name, start, rows } : { name, start, rows, weight };

Deno.test("sampleOrder() takes of each part what its weight says, in whole repetitions and a rest", () => {
  const { starts, groups } = source(300, 10);
  const parts = [part("a", 0, 30, 2), part("b", 30, 170, 1), part("c", 200, 100, 0)];
  const length = starts.at(-1)!;
  const lengths = [starts[30]!, starts[200]! - starts[30]!, length - starts[200]!];
  for (const bufferBytes of [3000, 1e9]) {
    const order = sampleOrder({ starts, groups, parts }, { seed: 1, epoch: 0, bufferBytes });
    assertEquals(order.length, length);
    const times = new Uint32Array(length);
    for (const sample of order) times[sample]!++;
    const of = (number: number) => {
      const first = starts[parts[number]!.start]!;
      return times.subarray(first, first + lengths[number]!);
    };
    const counts = numbers(3).map((number) => of(number).reduce((a, b) => a + b, 0));
    assertEquals(counts, sampleCounts({ starts, parts }));
    assert(Math.abs(counts[0]! - length * 2 / 3) < 1 && counts[2] === 0);
    const whole = Math.floor(counts[0]! / lengths[0]!);
    assert(whole >= 2 && of(0).every((count) => count === whole || count === whole + 1));
    assert(of(1).every((count) => count <= 1));
    // Another epoch, another rest.
    const next = sampleOrder({ starts, groups, parts }, { seed: 1, epoch: 1, bufferBytes });
    assertNotEquals(sorted(next), sorted(order));
  }
});

Deno.test("sampleOrder() repeats a sample far from itself and keeps to the window", () => {
  const starts = Uint32Array.from({ length: 1001 }, (_, i) => i);
  const groups = numbers(100).map((i) => ({ start: i * 10, rows: 10, bytes: 10 }));
  const parts = [part("a", 0, 100, 9), part("b", 100, 900, 1)]; // "a" nine times
  const order = sampleOrder({ starts, groups, parts }, { seed: 1, epoch: 0, bufferBytes: 100 });
  assert(openGroups({ starts, groups }, order) <= 110);
  const at = numbers(1000).filter((place) => order[place] === 7);
  assertEquals(at.length, 9);
  assert(at.at(-1)! - at[0]! > 10);
});

/** How often each kind is drawn, and how often each sample. */
function drawnKinds(source: OrderedSamples & { kinds: Uint32Array }, order: Uint32Array) {
  const kinds = new Uint32Array(Math.max(...source.kinds) + 1);
  const times = new Uint32Array(total(source));
  for (const sample of order) {
    times[sample]!++;
    kinds[source.kinds[sample]!]!++;
  }
  return { kinds: [...kinds], times };
}

Deno.test("sampleOrder() makes kinds as frequent as their balance says", () => {
  const { starts, groups } = source(300, 10);
  const length = starts.at(-1)!;
  const kinds = Uint32Array.from({ length }, (_, i) => i % 10 < 8 ? 0 : i % 10 - 7); // 8 : 1 : 1
  const counts = [0, 1, 2].map((kind) => kinds.filter((one) => one === kind).length);
  for (const bufferBytes of [3000, 1e9]) {
    const choice = { seed: 1, epoch: 0, bufferBytes };
    const plain = sampleOrder({ starts, groups }, choice);
    assertEquals(sampleOrder({ starts, groups, kinds }, choice), plain);
    for (const kindBalance of [0.5, 1]) {
      const order = sampleOrder({ starts, groups, kinds }, { ...choice, kindBalance });
      assertEquals(order.length, length);
      const drawn = drawnKinds({ starts, kinds }, order);
      const weights = counts.map((count) => count ** (1 - kindBalance));
      const sum = weights.reduce((a, b) => a + b);
      drawn.kinds.forEach((count, kind) => {
        assert(Math.abs(count - length * weights[kind]! / sum) < 1);
        const whole = Math.floor(count / counts[kind]!);
        const times = drawn.times.filter((_, sample) => kinds[sample] === kind);
        assert(times.every((time) => time === whole || time === whole + 1));
      });
      const next = { ...choice, epoch: 1, kindBalance };
      assertNotEquals(sorted(sampleOrder({ starts, groups, kinds }, next)), sorted(order));
    }
  }
});

Deno.test("sampleOrder() balances kinds within parts, whose shares stay", () => {
  const starts = Uint32Array.from({ length: 101 }, (_, i) => i);
  const parts = [part("a", 0, 50, 3), part("b", 50, 50, 1)];
  const kinds = Uint32Array.from({ length: 100 }, (_, i) => i < 50 ? (i < 40 ? 0 : 1) : 2);
  const choice = { seed: 1, epoch: 0, bufferBytes: 0, kindBalance: 1 };
  const drawn = drawnKinds({ starts, kinds }, sampleOrder({ starts, parts, kinds }, choice));
  assertEquals([[37, 38], [38, 37]].some((pair) => `${[...pair, 25]}` === `${drawn.kinds}`), true);
});

Deno.test("sampleCounts() rounds so that the sum is the number of all samples", () => {
  const starts = Uint32Array.from({ length: 11 }, (_, i) => i);
  const parts = [part("a", 0, 3, 1), part("b", 3, 3, 1), part("c", 6, 4, 1)];
  assertEquals(sampleCounts({ starts, parts }), [4, 3, 3]);
  assertEquals(sampleCounts({ starts, parts: [part("a", 0, 5, 1), part("b", 5, 5, 3)] }), [3, 7]);
});

Deno.test("sampleCounts() refuses weights that are missing, negative, all 0, or of nothing", () => {
  const starts = Uint32Array.of(0, 1, 2, 2);
  const refuse = (message: string, ...weights: (number | undefined)[]) =>
    assertThrows(
      () => sampleCounts({ starts, parts: weights.map((w, i) => part(`p${i}`, i, 1, w)) }),
      RangeError,
      message,
    );
  refuse('"p1"', 1, undefined);
  refuse('"p1"', 1, -1);
  refuse('"p0"', Infinity, 1);
  refuse('"p2" with 0 samples', 1, 1, 1);
  refuse("only weights of 0", 0, 0);
  assertEquals(sampleCounts({ starts, parts: [part("a", 0, 2, 1), part("b", 2, 1, 0)] }), [2, 0]);
});
