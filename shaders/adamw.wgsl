// One step of AdamW over flat f32 buffers, as torch computes it:
//   p *= 1 - rate · decay;  m = beta1 m + (1 - beta1) g;  v = beta2 v + (1 - beta2) g²
//   p -= rate / (1 - beta1^t) · m / (sqrt(v) / sqrt(1 - beta2^t) + eps)
// hyper: [rate, beta1, beta2, eps, decay, 1 - beta1^t, 1 - beta2^t, 1 - beta2]; the last one stands there because
// 1 - beta2 from a rounded beta2 is off by 3e-5. forward_scaled multiplies g by scale[0] first (clipping).
// One thread owns one Element: one float or four (element_*.wgsl); length counts Elements.
struct Params { length: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gradient: array<Element>;
@group(0) @binding(2) var<storage, read> hyper: array<f32>;
@group(0) @binding(3) var<storage, read> scale: array<f32>;
@group(0) @binding(4) var<storage, read_write> value: array<Element>;
@group(0) @binding(5) var<storage, read_write> m: array<Element>;
@group(0) @binding(6) var<storage, read_write> v: array<Element>;

// The corrections are 1 - beta1^t and 1 - beta2^t.
fn update(i: u32, g: Element, correction1: f32, correction2: f32) {
  let rate = hyper[0];
  let mean = hyper[1] * m[i] + (1.0 - hyper[1]) * g;
  let square = hyper[2] * v[i] + hyper[7] * g * g;
  let denominator = sqrt(square) / sqrt(correction2) + hyper[3];
  m[i] = mean;
  v[i] = square;
  value[i] = value[i] * (1.0 - rate * hyper[4]) - rate / correction1 * mean / denominator;
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i < params.length) { update(i, gradient[i], hyper[5], hyper[6]); }
}

@compute @workgroup_size(64)
fn forward_scaled(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i < params.length) { update(i, gradient[i] * scale[0], hyper[5], hyper[6]); }
}
