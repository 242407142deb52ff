// y = gelu(x), and dx = dy · gelu'(x) (gelu.wgsl), elementwise over `length` of `act`, computed in f32. One thread owns
// one element.
struct Params { length: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<act>;
@group(0) @binding(2) var<storage, read> dy: array<act>;
@group(0) @binding(3) var<storage, read_write> y: array<act>;
@group(0) @binding(4) var<storage, read_write> dx: array<act>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i < params.length) { y[i] = act(gelu(f32(x[i]))); }
}

@compute @workgroup_size(64)
fn backward_x(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let gradient = f32(dy[i]) * gelu_gradient(f32(x[i]));
  if (ACCUMULATE) { dx[i] = act(f32(dx[i]) + gradient); } else { dx[i] = act(gradient); }
}
