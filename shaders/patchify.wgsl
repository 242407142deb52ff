// Patches as rows: images (B, 3, S, S) -> y (B N, 3 p p), in the order of a Conv2d weight (channel, row, column), so
// that the convolution with stride p is a product with the weight. N = side², side = floor(S / p) patches a side.
// One thread owns one element of y, which is in `act`. No gradient: images are inputs.
struct Params { length: u32, pixels: u32, width: u32, side: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> images: array<f32>;
@group(0) @binding(2) var<storage, read_write> y: array<act>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let column_in_patch = i % params.width;
  var rest = i / params.width;
  let row_in_patch = rest % params.width;
  rest /= params.width;
  let channel = rest % 3u;
  rest /= 3u;
  let column = rest % params.side * params.width + column_in_patch;
  rest /= params.side;
  let row = rest % params.side * params.width + row_in_patch;
  let b = rest / params.side;
  y[i] = act(images[((b * 3u + channel) * params.pixels + row) * params.pixels + column]);
}
