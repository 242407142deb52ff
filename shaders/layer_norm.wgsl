// LayerNorm over the last axis: y = n · weight + bias, n = (x - mean) · rstd, rstd = 1 / sqrt(variance + eps),
// the variance dividing by C. x, y (rows, width) row-major; weight, bias (width); statistics (rows, 2): mean, rstd.
//
// With g = dy · weight: dx = rstd · (g - mean(g) - n · mean(g · n)), since mean and rstd depend on every element
// of the row; dweight = sum over rows of dy · n; dbias = sum over rows of dy.
//
// forward, backward_x: one workgroup owns one row, its lanes stride over it by four values each (operands.ts).
// layer_norm_weight.wgsl has the sums over rows. All in f32.
struct Params { rows: u32, width: u32, eps: f32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(5) var<storage, read> saved: array<vec2f>;
@group(0) @binding(6) var<storage, read_write> statistics: array<vec2f>;

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
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    sum += dot(within(c, x4(start + c)), vec4f(1.0));
  }
  let mean = row_sum(sum, lane) / f32(params.width);
  var squares = 0.0;
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    let centered = within(c, x4(start + c) - mean);
    squares += dot(centered, centered);
  }
  let variance = row_sum(squares, lane) / f32(params.width);
  let rstd = 1.0 / sqrt(variance + params.eps);
  if (lane == 0u) { statistics[row] = vec2f(mean, rstd); }
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    put_y4(start + c, count_at(c), (x4(start + c) - mean) * rstd * weight4(c) + bias4(c));
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
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    let g = within(c, dy4(start + c) * weight4(c));
    sum_g += dot(g, vec4f(1.0));
    sum_gn += dot(g, within(c, (x4(start + c) - mean) * rstd));
  }
  let mean_g = row_sum(sum_g, lane) / f32(params.width);
  let mean_gn = row_sum(sum_gn, lane) / f32(params.width);
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    let n = (x4(start + c) - mean) * rstd;
    var gradient = rstd * (dy4(start + c) * weight4(c) - mean_g - n * mean_gn);
    if (ACCUMULATE) { gradient += get_dx4(start + c); }
    put_dx4(start + c, count_at(c), gradient);
  }
}
