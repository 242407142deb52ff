// patchify() against a plain reading of the definition, and addBroadcast(), the position embedding's gradient.
import { assertEquals } from "@std/assert";
import { addBroadcast } from "../../shaders/broadcast.ts";
import { patchify } from "../../shaders/patchify.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import { runOp, testOnGpu } from "./harness.ts";

async function checkPatches(
  device: Device,
  { B, S, p }: { B: number; S: number; p: number },
): Promise<void> {
  const data = seededRandom(S).uniform(B * 3 * S * S);
  const { y } = await runOp(
    device,
    { images: { shape: [B, 3, S, S], data } },
    (rec, { images }) => patchify(rec, images, p),
  );
  const side = Math.floor(S / p);
  const expected: number[] = [];
  for (let row = 0; row < B * side * side; row++) {
    const [b, n] = [Math.floor(row / side ** 2), row % side ** 2];
    const [top, left] = [Math.floor(n / side) * p, n % side * p];
    for (let channel = 0; channel < 3; channel++) {
      for (let i = 0; i < p; i++) {
        const start = ((b * 3 + channel) * S + top + i) * S + left;
        expected.push(...data.subarray(start, start + p));
      }
    }
  }
  assertEquals(y, Float32Array.from(expected));
}

testOnGpu(
  "patchify() orders patches by rows and pixels by channel, leaving a rest out",
  async (device) => {
    await checkPatches(device, { B: 2, S: 7, p: 3 });
    await checkPatches(device, { B: 1, S: 1, p: 1 });
  },
);
testOnGpu(
  "patchify() does so at SigLIP's size",
  (device) => checkPatches(device, { B: 1, S: 224, p: 16 }),
);

async function checkSums(
  device: Device,
  { B, width, accumulate }: { B: number; width: number; accumulate: boolean },
): Promise<void> {
  const dy = seededRandom(B).normal(B * width);
  const run = await runOp(
    device,
    {
      dy: { shape: [B, width], data: dy },
      gradient: { shape: [width], data: new Float64Array(width).fill(0.5) },
    },
    (rec, { dy, gradient }) => {
      addBroadcast(rec, { tensor: gradient, accumulate }, dy);
      return gradient;
    },
  );
  const start = accumulate ? 0.5 : 0;
  const expected = new Float64Array(width).fill(start);
  const terms = new Float64Array(width).fill(start);
  dy.forEach((d, i) => {
    expected[i % width]! += d;
    terms[i % width]! += Math.abs(d);
  });
  assertClose(run.y, expected, { tolerance: matmulBound(B, terms) });
}

testOnGpu("addBroadcast() sums over the batch, in one stage or two", async (device) => {
  await checkSums(device, { B: 3, width: 35, accumulate: true });
  await checkSums(device, { B: 1, width: 1, accumulate: false });
  await checkSums(device, { B: 65, width: 7, accumulate: false });
  await checkSums(device, { B: 1000, width: 11, accumulate: true });
});
testOnGpu(
  "addBroadcast() sums more rows than one loop may take",
  (device) => checkSums(device, { B: 80_000, width: 2, accumulate: true }),
);
