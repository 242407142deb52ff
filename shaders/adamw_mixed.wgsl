// One step of AdamW in mixed precision, behind adamw.wgsl: gradients carry a loss scale, and the new value is also
// written rounded to f16, for the next step's products. decision [3] is from loss_scale.wgsl; nothing is written where
// its first number is 0.
@group(0) @binding(7) var<storage, read> decision: array<f32>;
@group(0) @binding(8) var<storage, read_write> half: array<act4>;

@compute @workgroup_size(64)
fn forward_mixed(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length || decision[0] == 0.0) { return; }
  update(i, gradient[i] * decision[0], decision[1], decision[2]);
  half[i] = act4(value[i]);
}
