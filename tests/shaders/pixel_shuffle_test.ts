// pixelShuffle() against the reference: a permutation, so to the last bit.
import { assertEquals, assertThrows } from "@std/assert";
import { pixelShuffle } from "../../shaders/pixel_shuffle.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { Recorder } from "../../shaders/runtime/recorder.ts";
import { seededRandom } from "../gradcheck.ts";
import { pixelShuffle as reference, pixelShuffleBackward } from "../reference/pixel_shuffle.ts";
import { runOp, testOnGpu } from "./harness.ts";

async function check(
  device: Device,
  { B, N, C, factor }: { B: number; N: number; C: number; factor: number },
  existing?: number,
): Promise<void> {
  const random = seededRandom(B * N + C);
  const x = random.uniform(B * N * C);
  const dy = random.uniform(B * N * C);
  const run = await runOp(
    device,
    { x: { shape: [B, N, C], data: x } },
    (rec, { x }) => pixelShuffle(rec, x, factor),
    existing === undefined ? { dy } : { dy, existing },
  );
  assertEquals(Float64Array.from(run.y), reference({ x }, { N, C, factor }));
  const { dx } = pixelShuffleBackward({ x }, dy, { N, C, factor });
  assertEquals(run.gradients.x!, Float32Array.from(dx.map((d) => d + (existing ?? 0))));
}

testOnGpu(
  "pixelShuffle() gathers blocks of patches and scatters their gradients",
  async (device) => {
    await check(device, { B: 2, N: 36, C: 5, factor: 3 });
    await check(device, { B: 1, N: 1, C: 1, factor: 1 });
  },
);
testOnGpu(
  "pixelShuffle() does so at SigLIP's size",
  (device) => check(device, { B: 1, N: 196, C: 768, factor: 2 }),
);
testOnGpu(
  "pixelShuffle() adds to a gradient that is there already",
  (device) => check(device, { B: 2, N: 16, C: 3, factor: 2 }, 0.5),
);
testOnGpu("pixelShuffle() refuses a side that the factor does not divide", async (device) => {
  const rec = new Recorder(device);
  const shuffle = () => pixelShuffle(rec, rec.tensor("x", [1, 9, 4]), 2);
  await Promise.resolve(assertThrows(shuffle, TypeError, "a side of 3 patches"));
});
