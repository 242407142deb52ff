// Image rows into their places: y[rows[k]] = image[k], in place; y (R, width), image (N, width), rows (N) u32, all
// different. Entries NO_ROW are skipped. One thread owns one element of image.
//
// The rows are copied, so dimage[k] (+)= dy[rows[k]], and 0 where the entry is NO_ROW.
struct Params { length: u32, width: u32 }
override ACCUMULATE: bool = false;
const NO_ROW: u32 = 0xffffffffu;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> image: array<f32>;
@group(0) @binding(2) var<storage, read> rows: array<u32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> dimage: array<f32>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let row = rows[i / params.width];
  if (row != NO_ROW) { y[row * params.width + i % params.width] = image[i]; }
}

@compute @workgroup_size(64)
fn backward_image(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let row = rows[i / params.width];
  var gradient = 0.0;
  if (row != NO_ROW) { gradient = dy[row * params.width + i % params.width]; }
  if (ACCUMULATE) { dimage[i] += gradient; } else { dimage[i] = gradient; }
}
