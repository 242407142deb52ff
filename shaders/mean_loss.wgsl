// loss[0] = sum of token_loss (rows) / count[0], or += with ACCUMULATE; 0 for a count of 0. One workgroup of 256
// threads strides over the rows and adds up a tree in workgroup memory: a fixed order, in f32.
struct Params { rows: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> token_loss: array<f32>;
@group(0) @binding(2) var<storage, read> count: array<u32>;
@group(0) @binding(3) var<storage, read_write> loss: array<f32>;
var<workgroup> tree: array<f32, 256>;

@compute @workgroup_size(256)
fn forward(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var r = local; r < params.rows; r += 256u) { sum += token_loss[r]; }
  tree[local] = sum;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (local < half) { tree[local] += tree[local + half]; }
    workgroupBarrier();
  }
  if (local == 0u) {
    let mean = select(tree[0] / f32(count[0]), 0.0, count[0] == 0u);
    if (ACCUMULATE) { loss[0] += mean; } else { loss[0] = mean; }
  }
}
