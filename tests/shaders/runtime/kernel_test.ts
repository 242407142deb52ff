// Declaring and compiling kernels: TypeScript and WGSL cannot drift apart silently.

import { assertRejects, assertThrows } from "@std/assert";
import { kernel, packParams, ShaderError } from "../../../shaders/runtime/kernel.ts";
import { Plan } from "../../../shaders/runtime/plan.ts";
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
