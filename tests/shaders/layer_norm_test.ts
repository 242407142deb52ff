// layerNorm() against the float64 reference: values, gradients, odd widths, nanoVLM's width.
import { layerNorm } from "../../shaders/layer_norm.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import {
  layerNorm as reference,
  layerNormAbs,
  layerNormBackward,
  layerNormBackwardAbs,
} from "../reference/layer_norm.ts";
import { runOp, testOnDevices } from "./harness.ts";
import type { Device } from "../../shaders/runtime/device.ts";

const epsilon = 1e-6;

async function check(
  device: Device,
  { rows, C, existing = 0 }: { rows: number; C: number; existing?: number },
): Promise<void> {
  const random = seededRandom(rows * 1000 + C);
  const x = random.normal(rows * C);
  const weight = random.normal(C);
  const bias = random.normal(C);
  const dy = random.normal(rows * C);
  const run = await runOp(
    device,
    {
      x: { shape: [rows, C], data: x },
      weight: { shape: [C], data: weight, parameter: true },
      bias: { shape: [C], data: bias, parameter: true },
    },
    (rec, { x, weight, bias }) => layerNorm(rec, x, weight, bias, epsilon),
    existing ? { dy, existing } : { dy },
  );
  const options = { C, epsilon };
  assertClose(run.y, reference({ x, weight, bias }, options), {
    tolerance: matmulBound(C, layerNormAbs({ x, weight, bias }, options)),
    name: "y",
  });
  const exact = layerNormBackward({ x, weight, bias }, dy, options);
  const terms = layerNormBackwardAbs({ x, weight, bias }, dy, options);
  const gradients = [
    ["x", exact.dx, matmulBound(C, terms.dx.map((t) => t + existing))],
    [
      "weight",
      exact.dweight,
      matmulBound(Math.max(C, rows), terms.dweight.map((t) => t + existing)),
    ],
    ["bias", exact.dbias, matmulBound(rows, terms.dbias.map((t) => t + existing))],
  ] as const;
  for (const [name, gradient, tolerance] of gradients) {
    const expected = gradient.map((g) => g + existing);
    assertClose(run.gradients[name]!, expected, { tolerance, name: `d${name}` });
  }
}

testOnDevices("layerNorm() matches float64 for odd widths", async (device) => {
  await check(device, { rows: 5, C: 37 });
  await check(device, { rows: 70, C: 3 });
});
testOnDevices(
  "layerNorm() matches float64 for one row of one element",
  (device) => check(device, { rows: 1, C: 1 }),
);
testOnDevices(
  "layerNorm() matches float64 at SigLIP's width",
  (device) => check(device, { rows: 128, C: 768 }),
);
testOnDevices(
  "layerNorm() adds to gradients that are there already",
  (device) => check(device, { rows: 6, C: 20, existing: 0.5 }),
);
