// Declaring and compiling kernels: TypeScript and WGSL cannot drift apart silently.

import { assertEquals, assertRejects, assertThrows } from "@std/assert";
import { kernel, packParams, ShaderError } from "../../../shaders/runtime/kernel.ts";
import { Plan } from "../../../shaders/runtime/plan.ts";
import { Recorder } from "../../../shaders/runtime/recorder.ts";
import { persistent } from "../../../shaders/runtime/tensor.ts";
import { testOnDevices } from "../harness.ts";

const WGSL = `
struct Params { length: u32, factor: f32 }
override LANES: u32 = 64u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@compute @workgroup_size(LANES) fn forward(@builtin(global_invocation_id) id: vec3u) {
  if (id.x < params.length) { y[id.x] = x[id.x] * params.factor; }
}`;
const SPEC = {
  name: "scale",
  code: [WGSL],
  entry: "forward",
  params: { length: "u32", factor: "f32" },
  bindings: ["x", "y"],
} as const;

Deno.test("kernel() refuses params in another order, of another type or missing", () => {
  const other = { factor: "f32", length: "u32" } as const;
  assertThrows(() => kernel({ ...SPEC, params: other }), ShaderError, "expected {factor: f32");
  assertThrows(
    () => kernel({ ...SPEC, params: { length: "i32", factor: "f32" } }),
    ShaderError,
    "Params is {length: u32",
  );
  assertThrows(
    () => kernel({ ...SPEC, params: { length: "u32" } }),
    ShaderError,
    "Cannot declare scale",
  );
});

Deno.test("kernel() refuses bindings and entry points that the WGSL does not have", () => {
  assertThrows(
    () => kernel({ ...SPEC, bindings: ["x", "z"] }),
    ShaderError,
    'no storage binding "z"',
  );
  assertThrows(
    () => kernel({ ...SPEC, entry: "backward" }),
    ShaderError,
    'no entry point "backward"',
  );
  const twice = WGSL.replace("@binding(2)", "@binding(1)");
  assertThrows(() => kernel({ ...SPEC, code: [twice] }), ShaderError, "binding numbers repeat");
});

Deno.test("packParams() refuses values of the wrong kind", () => {
  const scale = kernel(SPEC);
  assertThrows(
    () => packParams(scale, { length: 1.5, factor: 1 }),
    TypeError,
    "length is 1.5, expected u32",
  );
  assertThrows(
    () => packParams(scale, { length: 1 }),
    TypeError,
    "factor is undefined, expected f32",
  );
});

Deno.test("kernel() reads element types, through aliases and vectors, and refuses structures", () => {
  const typed = (x: string, y: string) =>
    WGSL.replace("x: array<f32>", `x: array<${x}>`).replace("y: array<f32>", `y: array<${y}>`);
  const types = (...code: string[]) =>
    [...kernel({ ...SPEC, code }).layout.values()].map(({ dtype }) => dtype);
  assertEquals(types(WGSL), ["f32", "f32"]);
  assertEquals(types("alias act4 = vec4<f16>;", typed("act4", "vec2f")), ["f16", "f32"]);
  assertEquals(types(typed("u32", "atomic<u32>")), ["u32", "u32"]);
  assertThrows(() => types(typed("Pair", "f32")), ShaderError, '"x" is an array of Pair');
});

testOnDevices("a tensor whose elements are not of the kernel's type throws", (device) => {
  const rec = new Recorder(device);
  const [x, y] = [rec.tensor("x", [4], "f16"), rec.tensor("y", [4])];
  const options = { params: { length: 4, factor: 2 }, tensors: { x, y }, workgroups: [1] } as const;
  assertThrows(
    () => rec.dispatch(kernel(SPEC), options),
    TypeError,
    '"x" is f16 x [4], expected f32',
  );
  return Promise.resolve();
});

testOnDevices("directives work in any of a kernel's files", async (device) => {
  if (!device.f16) return console.log(`skipped: ${device.description} has no shader-f16`);
  const code = [WGSL.replace("x: array<f32>", "x: array<f16>").replace("x[id.x]", "f32(x[id.x])")];
  const scale = kernel({
    ...SPEC,
    name: "scale f16",
    code: [...code, "enable f16;", "// WIDTH is declared before", "enable f16;"],
    constants: ["WIDTH"],
  });
  const x = persistent(device, "x", [3], "f16", Float16Array.of(1, 2, 3));
  const plan = await Plan.record(device, (rec) => {
    const y = rec.keep(rec.tensor("y", [3]));
    rec.dispatch(scale, {
      params: { length: 3, factor: 2 },
      tensors: { x, y },
      workgroups: [1],
      constants: { WIDTH: 1 },
    });
    return y;
  });
  plan.run();
  assertEquals(await plan.read(plan.result), [Float32Array.of(2, 4, 6)]);
  plan.destroy();
});

testOnDevices(
  "a kernel that does not compile throws with its name and the compiler's words",
  async (device) => {
    const broken = kernel({
      ...SPEC,
      name: "broken",
      code: [WGSL.replace("params.factor", "params.nothing")],
    });
    const x = persistent(device, "x", [4]);
    const y = persistent(device, "y", [4]);
    await assertRejects(
      () =>
        Plan.record(device, (rec) =>
          rec.dispatch(broken, {
            params: { length: 4, factor: 2 },
            tensors: { x, y },
            workgroups: [1],
          })),
      ShaderError,
      "compile broken",
    );
  },
);

testOnDevices("a kernel whose constant is missing throws", async (device) => {
  const needs = kernel({ ...SPEC, name: "needs a constant", constants: ["WIDTH"] });
  const x = persistent(device, "x", [4]);
  const y = persistent(device, "y", [4]);
  await assertRejects(
    () =>
      Plan.record(
        device,
        (rec) =>
          rec.dispatch(needs, {
            params: { length: 4, factor: 2 },
            tensors: { x, y },
            workgroups: [1],
          }),
      ),
    ShaderError,
    "WIDTH is missing",
  );
});
