// y = gelu(x), and dx = dy · gelu'(x) (gelu.wgsl), elementwise over `length` f32. One thread owns one element.
struct Params { length: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> dx: array<f32>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i < params.length) { y[i] = gelu(x[i]); }
}

@compute @workgroup_size(64)
fn backward_x(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let gradient = dy[i] * gelu_gradient(x[i]);
  if (ACCUMULATE) { dx[i] += gradient; } else { dx[i] = gradient; }
}
