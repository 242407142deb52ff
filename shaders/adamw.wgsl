// One step of AdamW over flat f32 buffers, as torch computes it:
//   p *= 1 - rate · decay;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g²
//   p -= rate / (1 - beta1^t) · m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// hyper: [rate, beta1, beta2, eps, decay, 1 - beta1^t, 1 - beta2^t, 1 - beta2]; the last one stands there because
// 1 - beta2 from a rounded beta2 is off by 3e-5. forward_scaled multiplies g by scale[0] first (clipping).
// A workgroup of 64 threads owns 2,048 values, a thread eight times four of them, 32 apart; all tensors are read and written
// in fours (operands.ts).
struct Params { length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> hyper: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;

struct Step { rate: f32, beta1: f32, beta2: f32, epsilon: f32, keep: f32, correction1: f32, root2: f32, rest2: f32 }

// The corrections are 1 - beta1^t and 1 - beta2^t.
fn step_of(correction1: f32, correction2: f32) -> Step {
  let rate = hyper[0];
  let keep = 1.0 - rate * hyper[4];
  return Step(rate, hyper[1], hyper[2], hyper[3], keep, correction1, sqrt(correction2), hyper[7]);
}

// Updates `count` values from index i on and returns them.
fn update(i: u32, count: u32, g: vec4f, s: Step) -> vec4f {
  let mean = s.beta1 * get_m4(i) + (1.0 - s.beta1) * g;
  let square = s.beta2 * get_v4(i) + s.rest2 * g * g;
  let denominator = sqrt(square) / s.root2 + s.epsilon;
  let value = get_value4(i) * s.keep - s.rate / s.correction1 * mean / denominator;
  put_m4(i, count, mean);
  put_v4(i, count, square);
  put_value4(i, count, value);
  return value;
}

// The thread's first value: eight threads next to each other own 256 values next to each other.
fn first_value(workgroup: vec3u, workgroups: vec3u, local: u32) -> u32 {
  return flat_index(workgroup, workgroups, 2048u, (local >> 3u) * 256u + (local & 7u) * 4u);
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let s = step_of(hyper[5], hyper[6]);
  let first = first_value(workgroup, workgroups, local);
  for (var i = first; i < min(first + 256u, params.length); i += 32u) {
    update(i, min(4u, params.length - i), gradient4(i), s);
  }
}

@compute @workgroup_size(64)
fn forward_scaled(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let s = step_of(hyper[5], hyper[6]);
  let factor = scale[0];
  let first = first_value(workgroup, workgroups, local);
  for (var i = first; i < min(first + 256u, params.length); i += 32u) {
    update(i, min(4u, params.length - i), gradient4(i) * factor, s);
  }
}
