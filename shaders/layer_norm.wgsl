// LayerNorm over the last axis: y = n · weight + bias, n = (x - mean) · rstd, rstd = 1 / sqrt(variance + eps),
// the variance dividing by C. x, y (rows, width) row-major, y in `act`; weight, bias (width); statistics (rows, 2): mean, rstd.
//
// With g = dy · weight: dx = rstd · (g - mean(g) - n · mean(g · n)), since mean and rstd depend on every element
// of the row; dweight = sum over rows of dy · n; dbias = sum over rows of dy.
//
// forward, backward_x: one workgroup owns one row, its lanes stride over it. backward_weight: one thread owns one
// column of one chunk of `chunk_rows` rows and writes partial sums; column_sum.wgsl adds those. All in f32.
struct Params { rows: u32, width: u32, chunk_rows: u32, eps: f32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> weight: array<f32>;
@group(0) @binding(3) var<storage, read> bias: array<f32>;
@group(0) @binding(4) var<storage, read> dy: array<act>;
@group(0) @binding(5) var<storage, read> saved: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> statistics: array<vec2f>;
@group(0) @binding(7) var<storage, read_write> y: array<act>;
@group(0) @binding(8) var<storage, read_write> dx: array<f32>;
@group(0) @binding(9) var<storage, read_write> dweight_partial: array<f32>;
@group(0) @binding(10) var<storage, read_write> dbias_partial: array<f32>;

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = flat_index(workgroup, workgroups, 1u, 0u);
  if (row >= params.rows) { return; }
  let start = row * params.width;
  var sum = 0.0;
  for (var c = lane; c < params.width; c += LANES) { sum += x[start + c]; }
  let mean = row_sum(sum, lane) / f32(params.width);
  var squares = 0.0;
  for (var c = lane; c < params.width; c += LANES) {
    let centered = x[start + c] - mean;
    squares += centered * centered;
  }
  let variance = row_sum(squares, lane) / f32(params.width);
  let rstd = 1.0 / sqrt(variance + params.eps);
  if (lane == 0u) { statistics[row] = vec2f(mean, rstd); }
  for (var c = lane; c < params.width; c += LANES) {
    y[start + c] = act((x[start + c] - mean) * rstd * weight[c] + bias[c]);
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
  let mean = saved[row].x;
  let rstd = saved[row].y;
  var sum_g = 0.0;
  var sum_gn = 0.0;
  for (var c = lane; c < params.width; c += LANES) {
    let g = f32(dy[start + c]) * weight[c];
    sum_g += g;
    sum_gn += g * (x[start + c] - mean) * rstd;
  }
  let mean_g = row_sum(sum_g, lane) / f32(params.width);
  let mean_gn = row_sum(sum_gn, lane) / f32(params.width);
  for (var c = lane; c < params.width; c += LANES) {
    let n = (x[start + c] - mean) * rstd;
    let gradient = rstd * (f32(dy[start + c]) * weight[c] - mean_g - n * mean_gn);
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
  var dbias = 0.0;
  for (var r = first; r < last; r++) {
    let d = f32(dy[r * params.width + c]);
    dweight += d * (x[r * params.width + c] - saved[r].x) * saved[r].y;
    dbias += d;
  }
  dweight_partial[i] = dweight;
  dbias_partial[i] = dbias;
}
