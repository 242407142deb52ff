// Pixel shuffle: f x f neighbouring patches become one token. x (B, side, side, C), row-major;
// y (B, side/f, side/f, f, f, C): y[b, r, q, i, j, c] = x[b, r f + i, q f + j, c].
//
// A permutation, so the gradient goes back by its inverse: dx at the source (+)= dy at the target. One thread owns
// one element, of `act`.
struct Params { length: u32, side: u32, factor: u32, width: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<act>;
@group(0) @binding(2) var<storage, read> dy: array<act>;
@group(0) @binding(3) var<storage, read_write> y: array<act>;
@group(0) @binding(4) var<storage, read_write> dx: array<act>;

// Index in x of element i of y.
fn source(i: u32) -> u32 {
  let c = i % params.width;
  var rest = i / params.width;
  let column_in_block = rest % params.factor;
  rest /= params.factor;
  let row_in_block = rest % params.factor;
  rest /= params.factor;
  let blocks = params.side / params.factor;
  let column = rest % blocks * params.factor + column_in_block;
  rest /= blocks;
  let row = rest % blocks * params.factor + row_in_block;
  let b = rest / blocks;
  return ((b * params.side + row) * params.side + column) * params.width + c;
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i < params.length) { y[i] = x[source(i)]; }
}

@compute @workgroup_size(64)
fn backward_x(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let at = source(i);
  if (ACCUMULATE) { dx[at] = act(f32(dx[at]) + f32(dy[i])); } else { dx[at] = act(f32(dy[i])); }
}
