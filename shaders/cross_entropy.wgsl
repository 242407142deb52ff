// Cross-entropy over rows of logits: token_loss[r] = lse - logits[r, label], lse = max + log(sum of exp(logit - max)).
// logits (rows, V), overwritten with the gradient where GRADIENT; labels (rows) u32, NO_LABEL rows do not count;
// count [1] u32, the labelled rows of the whole batch, whose mean is the loss; token_loss (rows), 0 where not counted.
//
// The loss is the mean of the token losses and d lse / d logit is the softmax, so
// dlogits = (softmax - onehot(label)) / count · loss_scale[0]; 0 in rows that do not count. A label beyond V gives NaN,
// so that it shows. One workgroup owns one row, its lanes stride over it; in f32, and stable since no exponent is positive.
struct Params { rows: u32, V: u32 }
override GRADIENT: bool = false;
const NO_LABEL: u32 = 0xffffffffu;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> labels: array<u32>;
@group(0) @binding(2) var<storage, read> count: array<u32>;
@group(0) @binding(3) var<storage, read_write> logits: array<f32>;
@group(0) @binding(4) var<storage, read_write> token_loss: array<f32>;
@group(0) @binding(5) var<storage, read> loss_scale: array<f32>;

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let row = flat_index(workgroup, workgroups, 1u, 0u);
  if (row >= params.rows) { return; }
  let start = row * params.V;
  let label = labels[row];
  if (label == NO_LABEL) {
    if (lane == 0u) { token_loss[row] = 0.0; }
    if (GRADIENT) { for (var v = lane; v < params.V; v += LANES) { logits[start + v] = 0.0; } }
    return;
  }
  var lane_max = -3.40282347e38;
  for (var v = lane; v < params.V; v += LANES) { lane_max = max(lane_max, logits[start + v]); }
  let largest = row_max(lane_max, lane);
  var lane_sum = 0.0;
  for (var v = lane; v < params.V; v += LANES) { lane_sum += exp(logits[start + v] - largest); }
  let sum = row_sum(lane_sum, lane);
  if (lane == 0u) {
    var nan_bits = 0x7fc00000u;
    var loss = bitcast<f32>(nan_bits);
    if (label < params.V) { loss = log(sum) + (largest - logits[start + label]); }
    token_loss[row] = loss;
  }
  if (GRADIENT) {
    // Lane 0 has read the label's logit before it is overwritten.
    storageBarrier();
    let scale = select(1.0 / f32(count[0]), 0.0, count[0] == 0u) * loss_scale[0];
    for (var v = lane; v < params.V; v += LANES) {
      let probability = exp(logits[start + v] - largest) / sum;
      logits[start + v] = (probability - select(0.0, 1.0, v == label)) * scale;
    }
  }
}
