// RMSNorm over the last axis: y = n · weight, n = x · inverse, inverse = 1 / sqrt(mean(x²) + eps).
// x, y (rows, width) row-major; weight (width); inverses (rows).
//
// With g = dy · weight: dx = inverse · (g - n · mean(g · n)), since the inverse depends on every element of the
// row; dweight = sum over rows of dy · n.
//
// forward, backward_x: one workgroup owns one row, its lanes stride over it by four values each (operands.ts).
// rms_norm_weight.wgsl has the sums over rows. All in f32.
struct Params { rows: u32, width: u32, eps: f32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(4) var<storage, read> saved: array<f32>;
@group(0) @binding(5) var<storage, read_write> inverses: array<f32>;

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
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    let x = within(c, x4(start + c));
    squares += dot(x, x);
  }
  let inverse = 1.0 / sqrt(row_sum(squares, lane) / f32(params.width) + params.eps);
  if (lane == 0u) { inverses[row] = inverse; }
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    put_y4(start + c, count_at(c), x4(start + c) * inverse * weight4(c));
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
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    sum_gn += dot(within(c, dy4(start + c) * weight4(c)), within(c, x4(start + c) * inverse));
  }
  let mean_gn = row_sum(sum_gn, lane) / f32(params.width);
  for (var c = 4u * lane; c < params.width; c += 4u * LANES) {
    let n = x4(start + c) * inverse;
    var gradient = inverse * (dy4(start + c) * weight4(c) - n * mean_gn);
    if (ACCUMULATE) { gradient += get_dx4(start + c); }
    put_dx4(start + c, count_at(c), gradient);
  }
}
