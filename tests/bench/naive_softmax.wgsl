// Softmax of whole rows of scores and its gradient, one thread a row: the middle of attention as a first attempt writes it.
// x, p, dp and ds are (sequences, heads, T, T). mask (B, T) hides keys with a 0; a row that sees no key gives 0.
//   forward:  p = softmax(x) over the keys that the query sees
//   backward: ds = p · (dp - Σ p · dp) · scale
struct Params { rows: u32, keys: u32, heads: u32, first_sequence: u32, scale: f32 }
override CAUSAL: bool = false;
override MASKED: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<f32>;
@group(0) @binding(2) var<storage, read> mask: array<u32>;
@group(0) @binding(3) var<storage, read_write> p: array<f32>;
@group(0) @binding(4) var<storage, read> weights: array<f32>;
@group(0) @binding(5) var<storage, read> dp: array<f32>;
@group(0) @binding(6) var<storage, read_write> ds: array<f32>;

fn sees(row: u32, key: u32) -> bool {
  if (CAUSAL && key > row % params.keys) { return false; }
  let sequence = params.first_sequence + row / (params.keys * params.heads);
  return !MASKED || mask[sequence * params.keys + key] != 0u;
}

@compute @workgroup_size(64)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) { return; }
  var highest = -3.0e38;
  for (var j = 0u; j < params.keys; j++) {
    if (sees(row, j)) { highest = max(highest, x[row * params.keys + j]); }
  }
  var sum = 0.0;
  for (var j = 0u; j < params.keys; j++) {
    if (sees(row, j)) { sum += exp(x[row * params.keys + j] - highest); }
  }
  for (var j = 0u; j < params.keys; j++) {
    var weight = 0.0;
    if (sees(row, j)) { weight = exp(x[row * params.keys + j] - highest) / sum; }
    p[row * params.keys + j] = weight;
  }
}

@compute @workgroup_size(64)
fn backward(@builtin(global_invocation_id) id: vec3u) {
  let row = id.x;
  if (row >= params.rows) { return; }
  var mean = 0.0;
  for (var j = 0u; j < params.keys; j++) {
    mean += weights[row * params.keys + j] * dp[row * params.keys + j];
  }
  for (var j = 0u; j < params.keys; j++) {
    let i = row * params.keys + j;
    ds[i] = weights[i] * (dp[i] - mean) * params.scale;
  }
}
