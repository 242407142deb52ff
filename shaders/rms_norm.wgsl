// RMSNorm over the last axis: y = n · weight, n = x · inverse, inverse = 1 / sqrt(mean(x²) + eps).
// x, y (rows, width) row-major, y in `act`; weight (width); inverses (rows).
//
// With g = dy · weight: dx = inverse · (g - n · mean(g · n)), since the inverse depends on every element of the
// row; dweight = sum over rows of dy · n.
//
// forward, backward_x: one workgroup owns one row, its lanes stride over it. backward_weight: one thread owns one
// column of one chunk of `chunk_rows` rows and writes partial sums; column_sum.wgsl adds those. All in f32.
struct Params { rows: u32, width: u32, chunk_rows: u32, eps: f32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<act>;
@group(0) @binding(4) var<storage, read> saved: array<f32>;
@group(0) @binding(5) var<storage, read_write> inverses: array<f32>;
@group(0) @binding(6) var<storage, read_write> y: array<act>;
@group(0) @binding(7) var<storage, read_write> dx: array<f32>;
@group(0) @binding(8) var<storage, read_write> dweight_partial: array<f32>;

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = flat_index(workgroup, workgroups, 1u, 0u);
  if (row >= params.rows) { return; }
  let start = row * params.width;
  var squares = 0.0;
  for (var c = lane; c < params.width; c += LANES) { squares += x[start + c] * x[start + c]; }
  let inverse = 1.0 / sqrt(row_sum(squares, lane) / f32(params.width) + params.eps);
  if (lane == 0u) { inverses[row] = inverse; }
  for (var c = lane; c < params.width; c += LANES) {
    y[start + c] = act(x[start + c] * inverse * weight[c]);
  }
}

@compute @workgroup_size(LANES)
fn backward_x(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = flat_index(workgroup, workgroups, 1u, 0u);
  if (row >= params.rows) { return; }
  let start = row * params.width;
  let inverse = saved[row];
  var sum_gn = 0.0;
  for (var c = lane; c < params.width; c += LANES) {
    sum_gn += f32(dy[start + c]) * weight[c] * x[start + c] * inverse;
  }
  let mean_gn = row_sum(sum_gn, lane) / f32(params.width);
  for (var c = lane; c < params.width; c += LANES) {
    let n = x[start + c] * inverse;
    let gradient = inverse * (f32(dy[start + c]) * weight[c] - n * mean_gn);
    if (ACCUMULATE) { dx[start + c] += gradient; } else { dx[start + c] = gradient; }
  }
}

@compute @workgroup_size(64)
fn backward_weight(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  let first = i / params.width * params.chunk_rows;
  if (first >= params.rows) { return; }
  let last = min(first + params.chunk_rows, params.rows);
  let c = i % params.width;
  var dweight = 0.0;
  for (var r = first; r < last; r++) {
    let at = r * params.width + c;
    dweight += f32(dy[at]) * x[at] * saved[r];
  }
  dweight_partial[i] = dweight;
}
