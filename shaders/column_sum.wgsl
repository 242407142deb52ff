// y[c] = sum over rows of x[r, c], or += with ACCUMULATE; x (rows, width) row-major f32, y (width).
//
// forward: one thread owns one column and adds all rows, in f32.
// sum_chunks: one thread owns one column of one chunk of `chunk_rows` rows, and writes partial_sums (chunks, width);
// `forward` over those finishes long columns. A fixed order of additions, so the same bits every time.
struct Params { rows: u32, width: u32, chunk_rows: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<f32>;
@group(0) @binding(3) var<storage, read_write> partial_sums: array<f32>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let c = flat_index(workgroup, workgroups, 64u, local);
  if (c >= params.width) { return; }
  var sum = 0.0;
  for (var r = 0u; r < params.rows; r++) { sum += x[r * params.width + c]; }
  if (ACCUMULATE) { y[c] += sum; } else { y[c] = sum; }
}

@compute @workgroup_size(64)
fn sum_chunks(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  let first = i / params.width * params.chunk_rows;
  if (first >= params.rows) { return; }
  let last = min(first + params.chunk_rows, params.rows);
  let c = i % params.width;
  var sum = 0.0;
  for (var r = first; r < last; r++) { sum += x[r * params.width + c]; }
  partial_sums[i] = sum;
}
