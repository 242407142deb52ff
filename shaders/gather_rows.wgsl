// Rows by index: y[i] = x[rows[i]], and its gradient dx[rows[i]] += dy[i]. An index of 0xffffffff gives a row of zeros and
// no gradient. The others are distinct, so each row of dx has one writer. One thread owns one element of y. In `act`.
struct Params { count: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<act>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read_write> y: array<act>;
@group(0) @binding(4) var<storage, read> dy: array<act>;
@group(0) @binding(5) var<storage, read_write> dx: array<act>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.count * params.width) { return; }
  let row = rows[i / params.width];
  if (row == 0xffffffffu) { y[i] = act(0.0); } else { y[i] = x[row * params.width + i % params.width]; }
}

@compute @workgroup_size(64)
fn backward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.count * params.width) { return; }
  let row = rows[i / params.width];
  if (row != 0xffffffffu) {
    let at = row * params.width + i % params.width;
    dx[at] = act(f32(dx[at]) + f32(dy[i]));
  }
}
