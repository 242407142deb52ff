// y += x, elementwise, over flat buffers of `length`, added in f32. One thread owns up to four neighbouring elements
// (operands.ts).
struct Params { length: u32 }
@group(0) @binding(0) var<uniform> params: Params;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local) * 4u;
  if (i < params.length) { put_y4(i, min(4u, params.length - i), get_y4(i) + x4(i)); }
}
