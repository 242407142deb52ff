// Recorder and plan: gradients' bookkeeping, memory that is reused but never while it lives, and errors that surface.

import { assertEquals, assertLess, assertRejects, assertThrows } from "@std/assert";
import { addInto } from "../../../shaders/add.ts";
import { gelu } from "../../../shaders/gelu.ts";
import { linear } from "../../../shaders/linear.ts";
import { formatOf } from "../../../shaders/operands.ts";
import { Device, DeviceError } from "../../../shaders/runtime/device.ts";
import { BufferPool } from "../../../shaders/runtime/memory.ts";
import { Plan } from "../../../shaders/runtime/plan.ts";
import { Recorder } from "../../../shaders/runtime/recorder.ts";
import { persistent, read, type Tensor } from "../../../shaders/runtime/tensor.ts";
import { seededRandom } from "../../gradcheck.ts";
import { testOnDevices } from "../harness.ts";

function input(device: Device, ...values: number[]): Tensor {
  return persistent(device, "x", [values.length], "f32", Float32Array.from(values));
}

testOnDevices("a plan replays its list: the same run gives the same bits", async (device) => {
  const random = seededRandom(1);
  const x = persistent(device, "x", [33, 64], "f32", Float32Array.from(random.normal(33 * 64)));
  const weight = persistent(device, "w", [64, 64], "f32", Float32Array.from(random.normal(4096)));
  const plan = await Plan.record(device, (rec) => {
    let y = x;
    for (let i = 0; i < 6; i++) {
      y = gelu(rec, linear(rec, y, { weight: { value: weight, gradient: undefined } }));
    }
    return rec.keep(y);
  });
  plan.run();
  const [first] = await plan.read(plan.result);
  for (let i = 0; i < 3; i++) plan.run();
  const [later] = await plan.read(plan.result);
  assertEquals(later, first);
  assertEquals(plan.dispatches, 12);
  // Twelve results of 33 x 64, but no more than two live at a time beside the one that is kept.
  assertLess(plan.ownPool?.bytes ?? Infinity, 4 * 33 * 64 * 4);
});

testOnDevices("memory is not reused while a later launch still reads it", async (device) => {
  const x = input(device, 1, 2, 3);
  const plan = await Plan.record(device, (rec) => {
    const fresh = () => {
      const y = rec.tensor("y", [3]);
      rec.clear(y);
      return y;
    };
    const early = fresh();
    addInto(rec, early, x);
    const scratch = fresh();
    addInto(rec, scratch, x);
    const sum = fresh();
    addInto(rec, sum, scratch);
    addInto(rec, sum, early);
    return rec.keep(sum);
  });
  plan.run();
  assertEquals(await plan.read(plan.result), [Float32Array.of(2, 4, 6)]);
});

testOnDevices("plans that share a pool share its memory", async (device) => {
  const pool = new BufferPool();
  const x = input(device, 1, 2, 3, 4);
  const record = () => Plan.record(device, (rec) => rec.keep(gelu(rec, gelu(rec, x))), { pool });
  const first = await record();
  const bytes = pool.bytes;
  const second = await record();
  assertEquals(pool.bytes, bytes);
  first.run();
  const [a] = await first.read(first.result);
  second.run();
  assertEquals(await second.read(second.result), [a!]);
  first.destroy();
  second.run();
  assertEquals(await second.read(second.result), [a!]);
});

testOnDevices("a gradient buffer that was handed on cannot be read", (device) => {
  const rec = new Recorder(device, true);
  const [x, dy] = [input(device, 1), input(device, 1)];
  x.needsGradient = true;
  rec.passGradient(x, dy);
  assertThrows(() => addInto(rec, input(device, 0), dy), TypeError, "was handed on");
  return Promise.resolve();
});

testOnDevices("a tensor that is read and written by one launch throws", (device) => {
  const x = input(device, 1, 2);
  assertThrows(
    () => addInto(new Recorder(device), x, x),
    TypeError,
    'read as "x" and written at once',
  );
  return Promise.resolve();
});

testOnDevices("gradients of an input that is used twice add up", async (device) => {
  const x = input(device, 0.5, -1);
  x.needsGradient = true;
  const seed = input(device, 1, 1);
  const once = await gradient(device, x, seed, 1);
  const twice = await gradient(device, x, seed, 2);
  assertEquals(twice, once.map((d) => 2 * d));
});

/** The gradient of Σ over `uses` of gelu(x), each with the same seed. */
async function gradient(
  device: Device,
  x: Tensor,
  seed: Tensor,
  uses: number,
): Promise<Float32Array> {
  const plan = await Plan.record(device, (rec) => {
    const outputs = Array.from({ length: uses }, () => gelu(rec, x));
    const y = rec.tensor("y", x.shape);
    rec.backward(y, [x], () => {
      for (const output of outputs) rec.passGradient(output, copyOf(rec, seed));
    });
    rec.backprop(y, seed);
    const dx = rec.gradientOf(x);
    if (!dx) throw new Error("x got no gradient");
    return rec.keep(dx);
  }, { training: true });
  plan.run();
  const [dx = new Float32Array()] = await plan.read(plan.result);
  plan.destroy();
  return dx;
}

function copyOf(rec: Recorder, x: Tensor): Tensor {
  const y = rec.tensor("copy", x.shape);
  rec.clear(y);
  addInto(rec, y, x);
  return y;
}

testOnDevices(
  "a binding that is too large names the kernel, the shapes and the limit",
  async (device) => {
    const elements = device.limits.maxStorageBufferBindingSize / 4 + 64;
    if (elements * 4 > device.limits.maxBufferSize) return;
    const rec = Plan.record(device, (rec) => gelu(rec, rec.tensor("huge", [elements])));
    const kernel = `gelu.forward.${formatOf(device, elements)}`;
    await assertRejects(() => rec, DeviceError, `${kernel} on x [${elements}]`);
  },
);

testOnDevices("a grid that is too large throws at record time", (device) => {
  const rec = new Recorder(device);
  const weight = { value: persistent(device, "w", [1, 1]), gradient: undefined };
  const x = rec.tensor("x", [65536 * 128, 1]);
  assertThrows(() => linear(rec, x, { weight }), RangeError, "expected at most 65535 each");
  return Promise.resolve();
});

Deno.test("errors that no scope caught are thrown at the next check", async () => {
  let device: Device;
  try {
    device = await Device.open();
  } catch (error) {
    if (!(error instanceof DeviceError)) throw error;
    return console.log(`skipped: ${error.message}`);
  }
  device.gpu.createBindGroupLayout({
    entries: [0, 0].map((binding) => ({ binding, visibility: 4, buffer: {} })),
  });
  await assertRejects(() => device.idle(), DeviceError, "the GPU reported");
  assertThrows(() => device.check(), DeviceError);
  await assertRejects(() => read(device, persistent(device, "x", [1])), DeviceError);
  device.destroy();
});
