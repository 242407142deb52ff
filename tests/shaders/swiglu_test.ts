// swiglu() against the float64 reference.
import { assertThrows } from "@std/assert";
import { Recorder } from "../../shaders/runtime/recorder.ts";
import type { Device } from "../../shaders/runtime/device.ts";
import { swiglu } from "../../shaders/swiglu.ts";
import { assertClose, seededRandom } from "../gradcheck.ts";
import { swiglu as reference, swigluBackward } from "../reference/swiglu.ts";
import { runOp, testOnDevices } from "./harness.ts";

const U = 2 ** -24;

/** The two halves of every row, as the reference takes them. */
function halves(rows: Float64Array, I: number): { gate: Float64Array; up: Float64Array } {
  const gate = rows.filter((_, i) => i % (2 * I) < I);
  return { gate, up: rows.filter((_, i) => i % (2 * I) >= I) };
}

async function check(
  device: Device,
  { rows, I, deviation = 2, existing = 0 }: {
    rows: number;
    I: number;
    deviation?: number;
    existing?: number;
  },
): Promise<void> {
  const random = seededRandom(rows + I);
  const gateUp = random.normal(rows * 2 * I, deviation);
  const dy = random.normal(rows * I);
  const { y, gradients } = await runOp(
    device,
    { gateUp: { shape: [rows, 2 * I], data: gateUp } },
    (rec, { gateUp }) => swiglu(rec, gateUp),
    existing ? { dy, existing } : { dy },
  );
  const { gate, up } = halves(gateUp, I);
  const expected = reference({ gate, up });
  // WGSL allows exp(g) an error of (3 + 2|g|) ulp, ulp = 2 U, division 2.5 ulp; three more roundings. Where the
  // exponent is capped (at 80) the result is off by |g up| exp(-80) at most.
  const tolerance = expected.map((value, i) =>
    U * (20 + 4 * Math.abs(gate[i]!)) * Math.abs(value) + Math.abs(gate[i]! * up[i]!) * 2 ** -110
  );
  assertClose(y, expected, { tolerance, name: "y" });
  const d = halves(Float64Array.from(gradients.gateUp!), I);
  const exact = swigluBackward({ gate, up }, dy);
  // Twice exp's error in s (1 - s), and |g| (1 - s) <= |g|.
  const terms = gate.map((g, i) => {
    const s = 1 / (1 + Math.exp(-g));
    return Math.abs(dy[i]! * up[i]!) * s * (1 + Math.abs(g) * (1 - s));
  });
  const rounding = (i: number) => U * (40 + 8 * Math.abs(gate[i]!));
  const capped = (i: number) => Math.abs(dy[i]!) * (1 + Math.abs(gate[i]! * up[i]!)) * 2 ** -100;
  const sum = (i: number) => 2 * U * existing + capped(i);
  assertClose(d.gate, exact.dgate.map((g) => g + existing), {
    tolerance: terms.map((t, i) => rounding(i) * t + sum(i)),
    name: "dgate",
  });
  assertClose(d.up, exact.dup.map((g) => g + existing), {
    tolerance: exact.dup.map((t, i) => rounding(i) * Math.abs(t) + sum(i)),
    name: "dup",
  });
}

testOnDevices("swiglu() matches float64 for odd widths", async (device) => {
  await check(device, { rows: 7, I: 13 });
  await check(device, { rows: 1, I: 1 });
});
testOnDevices(
  "swiglu() matches float64 at SmolLM2's width",
  (device) => check(device, { rows: 79, I: 1536 }),
);
testOnDevices(
  "swiglu() neither overflows nor turns NaN for huge gates",
  (device) => check(device, { rows: 3, I: 40, deviation: 300 }),
);
testOnDevices("swiglu() adds to a gradient that is there already", async (device) => {
  await check(device, { rows: 5, I: 9, existing: 0.5 });
  await check(device, { rows: 3, I: 12, existing: 0.5 });
});
testOnDevices("swiglu() refuses rows that cannot be halved", async (device) => {
  const rec = new Recorder(device);
  await Promise.resolve(
    assertThrows(() => swiglu(rec, rec.tensor("x", [2, 3])), TypeError, "even width"),
  );
});
