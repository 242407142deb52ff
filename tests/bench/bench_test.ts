// The benches at a size that takes a second: every case records, is right, and is rated; wrong answers stop it.
import { assert, assertEquals, assertRejects, assertStringIncludes } from "@std/assert";
import type { Device } from "../../shaders/runtime/device.ts";
import type { Activation } from "../../shaders/runtime/tensor.ts";
import { SMALL } from "../model/small_model.ts";
import { testOnGpu } from "../shaders/harness.ts";
import { attentionCases } from "./attention_cases.ts";
import { measureCase, rerated } from "./kernels.ts";
import { linearCases } from "./linear_cases.ts";
import { memoryCases } from "./memory_cases.ts";
import { optimizerCases } from "./optimizer_cases.ts";
import { higher } from "./peaks.ts";
import { withSections } from "./report.ts";
import { makeModel, measureSteps, profileStep } from "./steps.ts";
import { median, timeParts } from "./timing.ts";

const budget = { milliseconds: 1, runs: 1 };
const peaks = {
  f32: { rate: 100, how: "made up" },
  copies: [],
  copy: { rate: 10, how: "made up" },
};

async function measureAll(device: Device, dtype: Activation): Promise<void> {
  const cases = [
    ...linearCases("small", SMALL, { batches: [2], dtype }),
    ...attentionCases("small", SMALL, { batches: [3], dtype }),
    ...memoryCases("small", SMALL, { batch: 2, dtype }),
    ...optimizerCases("small", 1000, { limit: 2 ** 20, dtype }),
  ];
  for (const kernelCase of cases) {
    const rows = await measureCase(device, kernelCase, { peaks, budget });
    assert(rows.length > 0, kernelCase.name);
    for (const row of rows) {
      assert(row.milliseconds > 0 && row.share_of_peak > 0, `${row.name} ${row.part}`);
    }
  }
}

testOnGpu("every bench of a kernel finds right answers at odd sizes", async (device) => {
  await measureAll(device, "f32");
  if (device.f16) await measureAll(device, "f16");
  else console.log("benches in f16 are skipped: the device has no shader-f16");
});

testOnGpu("measureSteps() and profileStep() rate every kind of step", async (device) => {
  const subject = { preset: "small", ...await makeModel(device, SMALL, "f32"), peaks, budget };
  const rows = await measureSteps(subject, 2, ["forward", "training", "prefill", "decoding"]);
  assertEquals(rows.map(({ step }) => step), ["forward", "training", "prefill", "decoding"]);
  for (const row of rows) assert(row.dispatches > 0 && row.milliseconds > 0, row.step);
  const kernels = await profileStep(subject, 2);
  const launches = kernels.reduce((sum, { count }) => sum + count, 0);
  assertEquals(launches, rows[1]!.dispatches);
  assert(kernels.some(({ gflops }) => gflops !== undefined));
  subject.optimizer.destroy();
  subject.model.destroy();
});

testOnGpu("timeParts() throws what the check of the answers throws", async (device) => {
  const subject = {
    build: () => [],
    check: () => {
      throw new Error("wrong");
    },
  };
  await assertRejects(() => timeParts(device, subject, budget), Error, "wrong");
});

Deno.test("higher() keeps each peak's better measurement, and rerated() rates by it", () => {
  const better = { ...peaks, f32: { rate: 200, how: "alone" } };
  assertEquals(higher(peaks, better).f32.how, "alone");
  assertEquals(higher(better, peaks).f32.how, "alone");
  const row = {
    section: "linear",
    dtype: "f32",
    name: "op",
    part: "part",
    shape: "1",
    flops: 1e9,
    bytes: 1e6,
    milliseconds: 10,
    samples: 1,
    gigabytes_per_second: 0,
    bound: "memory",
    share_of_peak: 0,
  } as const;
  const { gflops, gigabytes_per_second, bound, share_of_peak } = rerated(row, better);
  // 1e9 flops in 10 ms are 100 GFLOP/s, half of 200; 1e6 bytes 0.1 GB/s.
  assertEquals({ gflops, gigabytes_per_second, bound, share_of_peak }, {
    gflops: 100,
    gigabytes_per_second: 0.1,
    bound: "arithmetic",
    share_of_peak: 0.5,
  });
});

Deno.test("median() takes the middle, or the mean of both", () => {
  assertEquals(median([3, 1, 2]), 2);
  assertEquals(median([4, 1, 2, 3]), 2.5);
});

Deno.test("withSections() replaces its own sections and leaves the rest", () => {
  const first = withSections("# Title\n\nText.\n", new Map([["a", "old a"], ["b", "b"]]));
  const second = withSections(`${first}\n## By hand\n`, new Map([["a", "new a"]]));
  assertStringIncludes(second, "new a");
  assertStringIncludes(second, "<!-- bench: b -->\n\nb\n\n<!-- end of bench: b -->");
  assert(!second.includes("old a") && second.endsWith("## By hand\n"));
});
