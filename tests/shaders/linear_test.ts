// The linear layer's products and epilogues against the float64 reference, in both families of kernels.

import { assertThrows } from "@std/assert";
import { linear } from "../../shaders/linear.ts";
import { matmul } from "../../shaders/matmul.ts";
import { possibleChoices } from "../../shaders/matmul_choice.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { persistent } from "../../shaders/runtime/tensor.ts";
import type { Recorder } from "../../shaders/runtime/recorder.ts";
import { assertClose, matmulBound, seededRandom } from "../gradcheck.ts";
import {
  linear as reference,
  linearAbs,
  linearBackward,
  linearBackwardAbs,
} from "../reference/linear.ts";
import { type OpInput, runOp, testOnDevices } from "./harness.ts";

interface Case {
  name: string;
  /** rows, in, out. */
  shape: readonly [number, number, number];
  bias?: boolean;
  gelu?: boolean;
  residual?: boolean;
}

const CASES: Case[] = [
  { name: "size 1", shape: [1, 1, 1], bias: true },
  { name: "odd widths", shape: [19, 13, 35] },
  { name: "odd widths with a bias", shape: [19, 13, 35], bias: true },
  { name: "odd widths with bias and GELU", shape: [19, 13, 35], bias: true, gelu: true },
  { name: "odd widths with bias and residual", shape: [19, 13, 35], bias: true, residual: true },
  { name: "odd rows with a residual", shape: [37, 64, 96], residual: true },
  { name: "a depth divisible by four, an odd output", shape: [33, 20, 131] },
  { name: "an odd depth, an output divisible by four", shape: [33, 21, 132], bias: true },
  { name: "nanoVLM's fc1", shape: [98, 768, 128], bias: true, gelu: true },
  { name: "nanoVLM's down_proj", shape: [64, 1536, 64], residual: true },
];

for (const { name, ...linear } of CASES) {
  testOnDevices(
    `linear() and its gradients match float64 for ${name}`,
    (device) => check(device, linear),
  );
}

testOnDevices("linear() and its gradients match float64 by every kernel", async (device) => {
  const [odd, wide, deep] = [
    { shape: [70, 37, 131], bias: true, residual: true },
    { shape: [150, 64, 132], bias: true, gelu: true },
    { shape: [33, 300, 68], residual: true },
  ] as const;
  for (const choice of possibleChoices(device)) {
    device.matmulChoices = { few: choice, some: choice, many: choice };
    try {
      for (const linear of [odd, wide, deep]) await check(device, linear);
    } finally {
      device.matmulChoices = undefined;
    }
  }
});

async function check(
  device: Device,
  { shape: [rows, inFeatures, outFeatures], ...fused }: Omit<Case, "name">,
): Promise<void> {
  const random = seededRandom(1);
  const x = random.normal(rows * inFeatures);
  const weight = random.normal(outFeatures * inFeatures, 1 / Math.sqrt(inFeatures));
  const bias = random.normal(outFeatures);
  const residual = random.normal(rows * outFeatures);
  const dy = random.normal(rows * outFeatures);
  const inputs = {
    x: { shape: [rows, inFeatures], data: x },
    weight: { shape: [outFeatures, inFeatures], data: weight, parameter: true },
    bias: { shape: [outFeatures], data: bias, parameter: true },
    residual: { shape: [rows, outFeatures], data: residual },
  } as const satisfies Record<string, OpInput>;
  const run = await runOp(device, inputs, (rec, given) =>
    linear(rec, given.x, {
      weight: given.weight,
      ...(fused.bias ? { bias: given.bias } : {}),
      ...(fused.residual ? { residual: given.residual } : {}),
      gelu: fused.gelu ?? false,
    }), { dy });
  const given = {
    x,
    weight,
    ...(fused.bias ? { bias } : {}),
    ...(fused.residual ? { residual } : {}),
  };
  const options = { inFeatures, outFeatures, gelu: fused.gelu ?? false };
  assertClose(run.y, reference(given, options), {
    tolerance: matmulBound(inFeatures, linearAbs(given, options)),
    name: "y",
  });
  const expected = linearBackward(given, dy, options);
  const sums = linearBackwardAbs(given, dy, options);
  const widest = Math.max(rows, inFeatures, outFeatures);
  const check = (name: "x" | "weight" | "bias" | "residual", reduction: number) =>
    assertClose(run.gradients[name]!, expected[`d${name}`], {
      tolerance: matmulBound(fused.gelu ? widest : reduction, sums[`d${name}`]),
      name: `d${name}`,
    });
  check("x", outFeatures);
  check("weight", rows);
  if (fused.bias) check("bias", rows);
  if (fused.residual) check("residual", 1);
}

testOnDevices("linear() adds to gradients that are there already", async (device) => {
  const random = seededRandom(2);
  const [x, weight, dy] = [random.normal(7 * 8), random.normal(12 * 8), random.normal(7 * 12)];
  const run = await runOp(
    device,
    {
      x: { shape: [7, 8], data: x },
      weight: { shape: [12, 8], data: weight, parameter: true },
      residual: { shape: [7, 12], data: new Float32Array(84) },
    },
    (rec, given) => linear(rec, given.x, given),
    { dy, existing: 3 },
  );
  const options = { inFeatures: 8, outFeatures: 12 };
  const { dx, dweight } = linearBackward({ x, weight }, dy, options);
  const tolerance = 64 * 2 ** -23;
  assertClose(run.gradients.x!, dx.map((d) => d + 3), { tolerance, name: "dx" });
  assertClose(run.gradients.weight!, dweight.map((d) => d + 3), { tolerance, name: "dweight" });
  assertClose(run.gradients.residual!, dy.map((d) => d + 3), { tolerance, name: "dresidual" });
});

testOnDevices(
  "linear() repeats a residual with fewer rows, and sums its gradient",
  async (device) => {
    const random = seededRandom(3);
    const [x, weight, residual] = [random.normal(6 * 4), random.normal(8 * 4), random.normal(16)];
    const dy = random.normal(6 * 8);
    const run = await runOp(
      device,
      {
        x: { shape: [6, 4], data: x },
        weight: { shape: [8, 4], data: weight, parameter: true },
        residual: { shape: [2, 8], data: residual },
      },
      (rec, given) => linear(rec, given.x, given),
      { dy },
    );
    const repeated = Float64Array.from({ length: 48 }, (_, i) => residual[i % 16]!);
    const given = { x, weight, residual: repeated };
    const options = { inFeatures: 4, outFeatures: 8 };
    assertClose(run.y, reference(given, options), {
      tolerance: matmulBound(4, linearAbs(given, options)),
      name: "y",
    });
    const sums = Float64Array.from({ length: 16 }, (_, i) => dy[i]! + dy[i + 16]! + dy[i + 32]!);
    assertClose(run.gradients.residual!, sums, { tolerance: 16 * 2 ** -23, name: "dresidual" });
  },
);

testOnDevices("linear() and matmul() refuse shapes that do not fit", (device) => {
  const tensor = (...shape: number[]) => persistent(device, "t", shape);
  const valueOf = (p: { value: unknown }) => p.value;
  const rec = { device, use: valueOf, weight: valueOf, tensor } as unknown as Recorder;
  const parameter = { value: tensor(3, 4), gradient: undefined };
  assertThrows(() => linear(rec, tensor(2, 5), { weight: parameter }), TypeError, "Cannot apply");
  assertThrows(
    () => linear(rec, tensor(2, 4), { weight: parameter, gelu: true }),
    TypeError,
    "GELU",
  );
  const product = { lhs: tensor(2, 3), rhs: tensor(3, 4), y: tensor(2, 4) };
  assertThrows(
    () => matmul(rec, { ...product, rows: 2, columns: 4, depth: 5 }),
    TypeError,
    "expected 2 x 5 by 5 x 4",
  );
  return Promise.resolve();
});
