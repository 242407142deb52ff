// Memory of plans: lives, their slots, and what a device counts.

import { assert, assertEquals, assertGreaterOrEqual, assertThrows } from "@std/assert";
import { gelu } from "../../../shaders/gelu.ts";
import { DeviceError } from "../../../shaders/runtime/device.ts";
import { assignSlots, type Life, livesOf, peakBytes } from "../../../shaders/runtime/memory.ts";
import { Plan } from "../../../shaders/runtime/plan.ts";
import { Recorder } from "../../../shaders/runtime/recorder.ts";
import { persistent } from "../../../shaders/runtime/tensor.ts";
import { seededRandom } from "../../gradcheck.ts";
import { testOnGpu } from "../harness.ts";

function randomLives(seed: number, count: number): Life[] {
  const random = seededRandom(seed);
  const [bytes, first, length] = [40, 300, 60].map((most) => random.integers(count, most));
  return Array.from({ length: count }, (_, i) => ({
    bytes: 4 * (1 + bytes![i]!),
    first: first![i]!,
    last: first![i]! + length![i]!,
  }));
}

function meet(a: Life, b: Life): boolean {
  return a.first <= b.last && b.first <= a.last;
}

Deno.test("assignSlots() puts every life into one slot, large enough, where none meets another", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const lives = randomLives(seed, 150);
    const slots = assignSlots(lives);
    const placed = slots.flatMap(({ lives }) => lives);
    assertEquals(placed.length, lives.length);
    assertEquals(new Set(placed), new Set(lives));
    for (const { bytes, lives } of slots) {
      assertEquals(bytes, Math.max(...lives.map((life) => life.bytes)));
      lives.forEach((a, i) => lives.slice(i + 1).forEach((b) => assert(!meet(a, b))));
    }
    const total = slots.reduce((sum, { bytes }) => sum + bytes, 0);
    assertGreaterOrEqual(total, peakBytes(lives));
  }
});

Deno.test("peakBytes() is the most that lives at any one command", () => {
  for (const count of [1, 2, 3, 10, 100]) {
    const lives = [...randomLives(count, count), { bytes: 8, first: 290, last: Infinity }];
    const at = (i: number) =>
      lives.filter(({ first, last }) => first <= i && i <= last)
        .reduce((sum, { bytes }) => sum + bytes, 0);
    const sums = Array.from({ length: 400 }, (_, i) => at(i));
    assertEquals(peakBytes(lives), Math.max(...sums));
  }
  assertEquals(peakBytes([{ bytes: 4, first: 0, last: 3 }, { bytes: 8, first: 3, last: 5 }]), 12);
});

Deno.test("assignSlots() takes no more than what lives at once where sizes allow it", () => {
  // In the order of commands the small one would take the large slot, and the large one a new one.
  const lives = [
    { bytes: 100, first: 0, last: 1 },
    { bytes: 60, first: 2, last: 9 },
    { bytes: 100, first: 3, last: 4 },
  ];
  assertEquals(assignSlots(lives).map(({ bytes }) => bytes), [100, 60]);
});

testOnGpu("livesOf() lets kept tensors live to the end, and skips persistent ones", (device) => {
  const rec = new Recorder(device);
  const x = persistent(device, "x", [4]);
  const [a, b, c] = [gelu(rec, x), gelu(rec, x), rec.keep(gelu(rec, x))];
  gelu(rec, a!);
  const spans = livesOf(rec).map(({ storage, first, last }) => [storage, first, last] as const);
  assertEquals(spans.slice(0, 3), [[a.storage, 0, 3], [b.storage, 1, 1], [c.storage, 2, Infinity]]);
  return Promise.resolve();
});

testOnGpu(
  "a device counts its buffers until they are destroyed, and remembers the peak",
  (device) => {
    const before = device.bytes;
    const [a, b] = [100, 50].map((bytes) => device.buffer("b", bytes, GPUBufferUsage.STORAGE));
    assertEquals(device.bytes, before + 152);
    a!.destroy();
    a!.destroy();
    assertEquals(device.bytes, before + 52);
    b!.destroy();
    assertEquals(device.bytes, before);
    assertGreaterOrEqual(device.peakBytes, before + 152);
    return Promise.resolve();
  },
);

testOnGpu("a device for planning counts what a real one makes, and cannot run", async (device) => {
  const counter = device.forPlanning();
  const before = device.bytes;
  const plans: Plan[] = [];
  for (const on of [device, counter]) {
    const x = persistent(on, "x", [9, 4], "f32", new Float32Array(36));
    plans.push(await Plan.record(on, (rec) => rec.keep(gelu(rec, gelu(rec, gelu(rec, x))))));
  }
  assertEquals(counter.bytes, device.bytes - before);
  assertEquals(plans[1]!.size, plans[0]!.size);
  assertThrows(() => plans[1]!.run(), DeviceError, "its buffers were only counted");
});

testOnGpu("a device for planning makes what no real one could", async (device) => {
  const counter = device.forPlanning();
  const elements = 2 ** 30;
  const x = persistent(counter, "x", [2 ** 20, 2 ** 10]);
  const { size } = await Plan.record(counter, (rec) => rec.keep(gelu(rec, x)));
  assertEquals(size.largest.bytes, 4 * elements);
  assertGreaterOrEqual(counter.largestBytes, 4 * elements);
});
