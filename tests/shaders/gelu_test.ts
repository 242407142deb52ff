// gelu() and geluBackward() against the float64 reference.
import { gelu, geluBackward } from "../../shaders/gelu.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { assertClose, seededRandom } from "../gradcheck.ts";
import { geluOf, geluSlope } from "../reference/gelu.ts";
import { runOp, testOnDevices } from "./harness.ts";

const U = 2 ** -24;

/** |exponent| of x, -2 sqrt(2/π) (x + 0.044715 x³). */
const exponent = (x: number) => 1.6 * (Math.abs(x) + 0.044715 * Math.abs(x) ** 3);

// The exponent a has 6 roundings; WGSL allows exp an error of (3 + 2|a|) ulp, ulp = 2 U; so exp(a) is off by at most
// U (6 + 10|a|) relatively, and s = 1 / (1 + exp(a)) by no more, plus division (2.5 ulp) and three roundings. Where
// the exponent is capped (at 80) the result is off by |x| exp(-80) at most. The reference's own 1 + tanh and 1 - tanh²
// cancel, to 2⁻⁵³.
const cancellation = (x: number) => 2 ** -52 * Math.abs(x);
const bound = (x: number) => U * (20 + 10 * exponent(x)) * Math.abs(geluOf(x)) + cancellation(x);

// The same for both terms of the derivative, s and 2 x s (1 - s) u', each with at most twice exp's error.
function slopeBound(x: number): number {
  const s = 1 / (1 + Math.exp(Math.sign(-x) * exponent(x)));
  const rise = 2 * Math.abs(x) * s * (1 - s) * 0.8 * (1 + 0.1342 * x * x);
  return U * (40 + 20 * exponent(x)) * (s + rise) + 2 ** -52 * (1 + Math.abs(x) ** 3);
}

async function check(device: Device, x: Float64Array, existing = 0): Promise<void> {
  const dy = seededRandom(3).normal(x.length);
  const input = { x: { shape: [x.length], data: x } };
  const options = existing ? { dy, existing } : { dy };
  const run = await runOp(device, input, (rec, { x }) => gelu(rec, x), options);
  assertClose(run.y, x.map(geluOf), { tolerance: x.map(bound), name: "y" });
  const dx = x.map((value, i) => dy[i]! * geluSlope(value));
  const tolerance = x.map((value, i) => Math.abs(dy[i]!) * slopeBound(value) + 2 * U * existing);
  const expected = dx.map((d) => d + existing);
  assertClose(run.gradients.x!, expected, { tolerance, name: "dx" });
  const inputs = { x: { shape: [x.length], data: x }, dy: { shape: [x.length], data: dy } };
  const alone = await runOp(device, inputs, (rec, { x, dy }) => geluBackward(rec, x, dy));
  assertClose(alone.y, dx, { tolerance, name: "geluBackward()" });
}

testOnDevices("gelu() matches float64 from the linear to the flat parts", async (device) => {
  await check(device, seededRandom(1).normal(197, 3));
  await check(device, Float64Array.of(0.5));
});
testOnDevices(
  "gelu() matches float64 at one image's hidden layer",
  (device) => check(device, seededRandom(2).normal(196 * 3072 / 4)),
);
testOnDevices(
  "gelu() neither overflows nor turns NaN for huge inputs",
  (device) =>
    check(device, Float64Array.of(-65536, -128, -16, -14.5, -8, 0, 8, 14.5, 16, 128, 65536)),
);
testOnDevices("gelu() adds to a gradient that is there already", async (device) => {
  await check(device, seededRandom(4).normal(70), 0.5);
  await check(device, seededRandom(4).normal(72), 0.5);
});
