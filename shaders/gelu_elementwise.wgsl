// y = gelu(x), and dx = dy · gelu'(x) (gelu.wgsl), elementwise over `length` values, computed in f32. One thread owns up to
// four neighbouring elements (operands.ts).
struct Params { length: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local) * 4u;
  if (i >= params.length) { return; }
  let v = x4(i);
  put_y4(i, min(4u, params.length - i), vec4f(gelu(v.x), gelu(v.y), gelu(v.z), gelu(v.w)));
}

@compute @workgroup_size(64)
fn backward_x(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local) * 4u;
  if (i >= params.length) { return; }
  let v = x4(i);
  let slope = vec4f(gelu_gradient(v.x), gelu_gradient(v.y), gelu_gradient(v.z), gelu_gradient(v.w));
  var gradient = dy4(i) * slope;
  if (ACCUMULATE) { gradient += get_dx4(i); }
  put_dx4(i, min(4u, params.length - i), gradient);
}
