// One step of AdamW in mixed precision, behind adamw.wgsl: gradients carry a loss scale, and the new value is also
// written rounded to f16, for the next step's products. decision [3] is from loss_scale.wgsl; nothing is written where
// its first number is 0.
@group(0) @binding(7) var<storage, read> decision: array<f32>;

@compute @workgroup_size(64)
fn forward_mixed(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let factor = decision[0];
  if (factor == 0.0) { return; }
  let s = step_of(decision[1], decision[2]);
  let first = first_value(workgroup, workgroups, local);
  for (var i = first; i < min(first + 256u, params.length); i += 32u) {
    let count = min(4u, params.length - i);
    put_half4(i, count, update(i, count, gradient4(i) * factor, s));
  }
}
