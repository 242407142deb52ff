// LayerNorm's gradients of the weight and the bias (layer_norm.wgsl): dweight = sum over rows of dy · n, dbias = sum over
// rows of dy.
//
// One thread owns one column of one chunk of `chunk_rows` rows and writes partial sums; column_sum.wgsl adds those. One
// value a load: by fours it took 1.2 times as long on lavapipe. All sums in f32.
struct Params { rows: u32, width: u32, chunk_rows: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<act>;
@group(0) @binding(3) var<storage, read> saved: array<vec2f>;
@group(0) @binding(4) var<storage, read_write> dweight_partial: array<f32>;
@group(0) @binding(5) var<storage, read_write> dbias_partial: array<f32>;

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
