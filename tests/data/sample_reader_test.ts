/** Tests of reading along the shuffled order: what of a large dataset is read when, and how often. */
import { assert, assertEquals } from "@std/assert";
import type { Dataset } from "../../data/dataset.ts";
import { SampleReader } from "../../data/sample_reader.ts";
import { Samples } from "../../data/samples.ts";

const GROUPS = 40;
const ROWS = 400;
const GROUP_BYTES = 100;
const BUFFER_BYTES = 500;

/** A dataset in row groups that notes how often each is read, and how many are kept. */
function stub() {
  const rows = ROWS / GROUPS;
  const reads = new Array<number>(GROUPS).fill(0);
  const kept = new Set<number>();
  const seen = { most: 0 };
  const load = (group: number) => {
    if (!kept.has(group)) reads[group]!++;
    kept.add(group);
    seen.most = Math.max(seen.most, kept.size);
  };
  const dataset: Dataset = {
    name: "stub",
    rows: ROWS,
    format: "vqa",
    groups: reads.map((_, i) => ({ start: i * rows, rows, bytes: GROUP_BYTES })),
    hold(numbers, next) {
      for (const group of kept) if (!numbers.includes(group) && group !== next) kept.delete(group);
      if (next !== undefined) load(next);
    },
    row(index) {
      load(Math.floor(index / rows));
      if (index === 33) throw new TypeError("row 33 is odd");
      const turns = [{ question: `q${index}`, answer: "a", category: "c" }];
      return { image: new Uint8Array(1), imageName: `stub ${index}`, turns };
    },
    turnCounts: () => Promise.resolve(new Uint32Array(ROWS).fill(1)),
    allTurns: async function* () {},
  };
  return { dataset, reads, kept, seen };
}

const BATCH = 16;
const BATCHES = ROWS / BATCH;

async function open(lookBehind: number) {
  const { dataset, ...rest } = stub();
  const samples = await Samples.open(dataset, "all");
  const reader = new SampleReader(samples, { bufferBytes: BUFFER_BYTES, lookBehind });
  const read = async (batch: number) => {
    const epoch = Math.floor(batch / BATCHES);
    const start = batch % BATCHES * BATCH;
    return (await reader.read({ seed: 1, epoch, start, count: BATCH })).map(({ row }) => row);
  };
  return { ...rest, reader, read };
}

Deno.test("SampleReader reads each group once an epoch and keeps no more than the buffer and two", async () => {
  const { reads, seen, read } = await open(0);
  for (const epoch of [0, 1, 2]) {
    const rows: number[] = [];
    for (let batch = 0; batch < BATCHES; batch++) rows.push(...await read(epoch * BATCHES + batch));
    assertEquals(new Set(rows).size, ROWS);
    assert(Math.max(...reads) === epoch + 1, `${reads}`); // or less: some are kept across the end
  }
  // Within a batch of 16 samples, one or two groups end and others begin.
  const most = (BUFFER_BYTES + GROUP_BYTES) / GROUP_BYTES + 1 + Math.ceil(BATCH / 10);
  assert(seen.most >= 6 && seen.most <= most, `${seen.most} of ${most}`);
});

Deno.test("SampleReader reads no group twice when threads ask out of turn", async () => {
  const { reads, seen, read } = await open(5 * BATCH);
  for (let batch = 0; batch < 2 * BATCHES; batch += 5) { // five batches at once, the last one first
    for (const late of [4, 2, 3, 0, 1]) await read(batch + late);
    const epoch = Math.floor((batch + 4) / BATCHES);
    assert(Math.max(...reads) <= epoch + 1, `${reads}`);
  }
  assert(seen.most <= 6 + 1 + Math.ceil(5 * BATCH / 10), `${seen.most}`);
});

Deno.test("SampleReader reads ahead the group that is needed next", async () => {
  const { kept, reader } = await open(0);
  let [isThere, isLate] = [0, 0];
  for (let start = 0; start < ROWS; start += 4) { // less than half a group's rows
    const before = new Set(kept);
    const read = await reader.read({ seed: 1, epoch: 0, start, count: 4 });
    const groups = new Set(read.map(({ row }) => Math.floor(row / 10)));
    for (const group of groups) {
      if (before.has(group)) isThere++;
      else isLate++;
    }
  }
  assert(isThere > 300 && isLate < GROUPS / 4, `${isThere} there, ${isLate} late`);
});

Deno.test("SampleReader gives the same samples at a place whatever was read before", async () => {
  const whole = await open(0);
  const rows: number[][] = [];
  for (let batch = 0; batch < 2 * BATCHES; batch++) rows.push(await whole.read(batch));
  const jumping = await open(0);
  for (const batch of [30, 3, 49, 0, 24, 25]) {
    assertEquals(await jumping.read(batch), rows[batch]);
    assert(jumping.kept.size <= 10, `${jumping.kept.size} groups kept`);
  }
  const other = await jumping.reader.read({ seed: 2, epoch: 0, start: 0, count: BATCH });
  assert(other.map(({ row }) => row).join() !== rows[0]!.join());
  assertEquals(await jumping.read(7), rows[7]);
});

Deno.test("SampleReader puts the reason in the place of a sample that cannot be read, and goes on past the end", async () => {
  const { reader } = await open(0);
  const read = await reader.read({ seed: 1, epoch: 0, start: 0, count: ROWS + 1 });
  const bad = read.filter((one) => "reason" in one);
  assertEquals(bad, [{ row: 33, place: "stub, row 33", reason: "row 33 is odd" }]);
  assertEquals(read[ROWS]!.row, read[0]!.row);
});
