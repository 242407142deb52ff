// The device's multiply-add peak: every thread runs up to eight independent chains x = x · a + b in registers, with memory
// touched only at the end. Element (multiply_add_f32.wgsl and its neighbours) is what a register of a chain holds.
//
// a and b come from a uniform, chains and components start apart, and the result is stored, so nothing can be left out or
// shared. With a = b = 1 each step adds 1, exactly in f32: the host checks that all steps were taken. Loops stay short,
// because lavapipe stops an invocation after 65,535 iterations.
struct Params { iterations: u32, a: f32, b: f32 }
override CHAINS: u32 = 8u;
// fma(), or a product and a sum that the driver may contract.
override FUSED: bool = true;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read_write> y: array<f32>;

struct Chains {
  x0: Element,
  x1: Element,
  x2: Element,
  x3: Element,
  x4: Element,
  x5: Element,
  x6: Element,
  x7: Element,
}

fn multiply_add(x: Element, a: Element, b: Element) -> Element {
  if (FUSED) { return fma(x, a, b); }
  return x * a + b;
}

// One step of every chain.
fn step1(x: Chains, a: Element, b: Element) -> Chains {
  var next = x;
  next.x0 = multiply_add(x.x0, a, b);
  if (CHAINS > 1u) { next.x1 = multiply_add(x.x1, a, b); }
  if (CHAINS > 2u) { next.x2 = multiply_add(x.x2, a, b); }
  if (CHAINS > 3u) { next.x3 = multiply_add(x.x3, a, b); }
  if (CHAINS > 4u) { next.x4 = multiply_add(x.x4, a, b); }
  if (CHAINS > 5u) { next.x5 = multiply_add(x.x5, a, b); }
  if (CHAINS > 6u) { next.x6 = multiply_add(x.x6, a, b); }
  if (CHAINS > 7u) { next.x7 = multiply_add(x.x7, a, b); }
  return next;
}

fn step4(x: Chains, a: Element, b: Element) -> Chains {
  return step1(step1(step1(step1(x, a, b), a, b), a, b), a, b);
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let a = constant(params.a);
  let b = constant(params.b);
  var x = Chains(
    start(0u), start(1u), start(2u), start(3u), start(4u), start(5u), start(6u), start(7u),
  );
  for (var i = 0u; i < params.iterations; i++) {
    x = step4(step4(step4(step4(x, a, b), a, b), a, b), a, b);
  }
  var sum = total(x.x0);
  if (CHAINS > 1u) { sum += total(x.x1); }
  if (CHAINS > 2u) { sum += total(x.x2); }
  if (CHAINS > 3u) { sum += total(x.x3); }
  if (CHAINS > 4u) { sum += total(x.x4); }
  if (CHAINS > 5u) { sum += total(x.x5); }
  if (CHAINS > 6u) { sum += total(x.x6); }
  if (CHAINS > 7u) { sum += total(x.x7); }
  y[id.x] = sum;
}
