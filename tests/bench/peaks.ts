/**
 * What the device reaches at most, measured: multiply-adds in registers, and a copy. All percentages are of these.
 */
import INDEX from "../../shaders/index.wgsl" with { type: "text" };
import type { Device } from "../../shaders/runtime/device.ts";
import { type Kernel, kernel } from "../../shaders/runtime/kernel.ts";
import { grid } from "../../shaders/runtime/recorder.ts";
import { bufferOf, persistent } from "../../shaders/runtime/tensor.ts";
import COPY_WGSL from "./copy.wgsl" with { type: "text" };
import MULTIPLY_ADD from "./multiply_add.wgsl" with { type: "text" };
import F16X2 from "./multiply_add_f16x2.wgsl" with { type: "text" };
import F16X4 from "./multiply_add_f16x4.wgsl" with { type: "text" };
import F32 from "./multiply_add_f32.wgsl" with { type: "text" };
import F32X4 from "./multiply_add_f32x4.wgsl" with { type: "text" };
import { type Budget, timeParts } from "./timing.ts";

/** One figure, and how it was reached. */
export interface Peak {
  /** GFLOP/s, or GB/s. */
  readonly rate: number;
  readonly how: string;
}

/** What the device reaches. */
export interface Peaks {
  readonly f32: Peak;
  /** Absent where the device has no f16. */
  readonly f16?: Peak;
  /** Copies by size, smallest first. */
  readonly copies: readonly (Peak & { readonly bytes: number })[];
  /** The best copy too large for caches. */
  readonly copy: Peak;
}

interface Element {
  readonly name: string;
  readonly width: number;
  readonly kernel: Kernel<"iterations" | "a" | "b", "y">;
}

const element = (name: string, width: number, code: string): Element => ({
  name,
  width,
  kernel: kernel({
    name: `multiply_add.${name}`,
    code: [code, MULTIPLY_ADD],
    entry: "forward",
    params: { iterations: "u32", a: "f32", b: "f32" },
    bindings: ["y"],
  }),
});
/** Elements and the numbers of chains to try; registers are few, and fewer chains wait for results. */
const F32_FORMS = [
  { element: element("f32", 1, F32), chains: [4, 8] },
  { element: element("vec4f", 4, F32X4), chains: [1, 2, 3, 4, 8] },
];
const F16_FORMS = [
  { element: element("vec2<f16>", 2, F16X2), chains: [2, 4, 8] },
  { element: element("vec4<f16>", 4, F16X4), chains: [1, 2, 3, 4, 8] },
];
const COPY = kernel({
  name: "copy",
  code: [COPY_WGSL, INDEX],
  entry: "forward",
  params: { length: "u32", stride: "u32" },
  bindings: ["x", "y"],
});

const ITERATIONS = 1024;
/** Steps of every chain in one iteration of multiply_add.wgsl. */
const UNROLLED = 16;
const THREADS = 64;
const COPY_THREADS = 256;
/** Copies at least this large are thought to miss the caches: H100 has 50 MB of them. */
const UNCACHED_BYTES = 2 ** 27;
/** A grid is enlarged until a launch takes this long. */
const LAUNCH_MILLISECONDS = 10;
const LEAST_WORKGROUPS = 128;
const MOST_WORKGROUPS = 2 ** 15;
/** Time for each of the many forms of a peak. */
const BUDGET: Budget = { milliseconds: 100, runs: 5 };

/** Measures the device; a second or two. @throws {Error} where a peak kernel's result is wrong. */
export async function measurePeaks(device: Device): Promise<Peaks> {
  const f32 = await multiplyAdds(device, F32_FORMS, BUDGET);
  const hasF16 = device.gpu.features.has("shader-f16");
  const copies = await copyRates(device);
  const largest = copies.at(-1)?.bytes ?? 0;
  const uncached = copies.filter(({ bytes }) => bytes >= Math.min(UNCACHED_BYTES, largest));
  return {
    f32,
    ...(hasF16 ? { f16: await multiplyAdds(device, F16_FORMS, BUDGET) } : {}),
    copies,
    copy: best(uncached),
  };
}

/** The higher figures of two measurements: other work on the machine only ever lowers them. */
export function higher(a: Peaks, b: Peaks): Peaks {
  const { copies, copy } = a.copy.rate >= b.copy.rate ? a : b;
  return {
    f32: best([a.f32, b.f32]),
    ...(a.f16 && b.f16 ? { f16: best([a.f16, b.f16]) } : {}),
    copies,
    copy,
  };
}

function best<T extends Peak>(peaks: readonly T[]): T {
  const [first, ...rest] = peaks;
  if (!first) throw new RangeError("Cannot choose a peak: none was measured");
  return rest.reduce((a, b) => b.rate > a.rate ? b : a, first);
}

async function multiplyAdds(
  device: Device,
  forms: readonly { element: Element; chains: readonly number[] }[],
  budget: Budget,
): Promise<Peak> {
  const peaks: Peak[] = [];
  for (const { element, chains: counts } of forms) {
    for (const chains of counts) {
      for (const fused of [true, false]) {
        peaks.push(await multiplyAdd(device, { element, chains, fused }, budget));
      }
    }
  }
  return best(peaks);
}

interface Variant {
  readonly element: Element;
  readonly chains: number;
  readonly fused: boolean;
}

async function multiplyAdd(device: Device, variant: Variant, budget: Budget): Promise<Peak> {
  const { element, chains, fused } = variant;
  const how = `${chains} x ${element.name}, ${fused ? "fma()" : "x * a + b"}`;
  for (let workgroups = LEAST_WORKGROUPS;; workgroups *= 4) {
    const least = await launchTime(device, variant, workgroups, budget);
    if (least < LAUNCH_MILLISECONDS && workgroups < MOST_WORKGROUPS) continue;
    const steps = workgroups * THREADS * ITERATIONS * UNROLLED;
    return { rate: 2 * steps * chains * element.width / least / 1e6, how };
  }
}

/** The shortest time of a launch. */
async function launchTime(
  device: Device,
  { element, chains, fused }: Variant,
  workgroups: number,
  budget: Budget,
): Promise<number> {
  const y = persistent(device, "sums", [workgroups * THREADS]);
  // f16 cannot count the steps: there b is 0 and the values stay.
  const b = element.name.includes("f16") ? 0 : 1;
  const timings = await timeParts(device, {
    build: (rec, mark) => {
      mark("all");
      rec.dispatch(element.kernel, {
        params: { iterations: ITERATIONS, a: 1, b },
        tensors: { y },
        workgroups: [workgroups],
        constants: { CHAINS: chains, FUSED: fused },
      });
      return [y];
    },
    check: ([sums = new Float32Array()]) => checkSums(sums, chains * element.width, b),
  }, budget);
  bufferOf(y).destroy();
  return timings.get("all")?.least ?? NaN;
}

/** Values start at 0, 1, 2, … and grow by b a step. */
function checkSums(sums: Float32Array, values: number, b: number): void {
  const expected = values * (values - 1) / 2 + values * b * ITERATIONS * UNROLLED;
  const wrong = sums.findIndex((sum) => sum !== expected);
  if (wrong < 0) return;
  throw new Error(
    `Cannot trust the multiply-add peak: thread ${wrong} ended at ${
      sums[wrong]
    }, expected ${expected}; ` +
      "the driver left out steps",
  );
}

/** Sizes from 8 MiB up, each four times the last, as far as the device binds them. */
async function copyRates(device: Device): Promise<(Peak & { bytes: number })[]> {
  const { maxStorageBufferBindingSize, maxBufferSize } = device.limits;
  const most = Math.min(maxStorageBufferBindingSize, maxBufferSize, 2 ** 29);
  const rates: (Peak & { bytes: number })[] = [];
  for (let bytes = 2 ** 23; bytes <= most; bytes *= 4) {
    const peaks: Peak[] = [];
    for (const perThread of [1, 4, 16]) peaks.push(await copyRate(device, bytes, perThread));
    rates.push({ ...best(peaks), bytes });
  }
  return rates;
}

async function copyRate(device: Device, bytes: number, perThread: number): Promise<Peak> {
  const x = persistent(device, "x", [bytes / 4]);
  const y = persistent(device, "y", [bytes / 4]);
  const length = bytes / 16;
  const stride = length / perThread;
  const timings = await timeParts(device, {
    build: (rec, mark) => {
      mark("all");
      rec.dispatch(COPY, {
        params: { length, stride },
        tensors: { x, y },
        workgroups: grid(stride, COPY_THREADS),
        constants: { PER_THREAD: perThread },
      });
      return [];
    },
  }, BUDGET);
  for (const tensor of [x, y]) bufferOf(tensor).destroy();
  return {
    rate: 2 * bytes / (timings.get("all")?.least ?? NaN) / 1e6,
    how: `${perThread} vec4f a thread`,
  };
}
