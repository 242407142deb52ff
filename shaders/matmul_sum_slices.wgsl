// The last part of a matrix product whose depth was split: adds the slices (slices, rows, columns), read by lhs4(), in order
// and hands the sums to the epilogue. One thread owns four columns of a row; params.depth is the number of slices.
@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let quads = (params.columns + 3u) / 4u;
  let i = flat_index(workgroup, workgroups, 64u, local);
  let m = i / quads;
  let n = i % quads * 4u;
  if (m >= params.rows) { return; }
  var sum = vec4f();
  for (var s = 0u; s < params.depth; s++) {
    sum += lhs4((s * params.rows + m) * params.columns + n);
  }
  store(m, n, sum);
}
