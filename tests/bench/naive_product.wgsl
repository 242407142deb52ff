// The matrix product as a first attempt writes it: one thread an element of y, every operand read from memory each time.
// The baseline of the benches, and the answer that the product's own kernels must agree with.
//
// y[z, i, n] = scale · Σ_k lhs[z, row(i), k] · rhs[z, k, n], both operands strided. z counts heads of sequences; a head of
// lhs is read by lhs_group heads of y (grouped queries), of rhs by rhs_group. Of `rows` rows only `samples` are computed,
// evenly spread from the first to the last: row(i).
struct Params {
  heads: u32,
  rows: u32,
  samples: u32,
  columns: u32,
  depth: u32,
  lhs_first: u32,
  lhs_sequence: u32,
  lhs_head: u32,
  lhs_group: u32,
  lhs_row: u32,
  lhs_depth: u32,
  rhs_first: u32,
  rhs_sequence: u32,
  rhs_head: u32,
  rhs_group: u32,
  rhs_depth: u32,
  rhs_column: u32,
  scale: f32,
}
// Σ |terms| instead: what an error bound needs.
override MAGNITUDE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> lhs: array<f32>;
@group(0) @binding(2) var<storage, read> rhs: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

@compute @workgroup_size(8, 8)
fn forward(@builtin(global_invocation_id) id: vec3u) {
  if (id.x >= params.columns || id.y >= params.samples) { return; }
  let sequence = id.z / params.heads;
  let head = id.z % params.heads;
  var row = id.y;
  if (params.samples < params.rows) {
    row = id.y * (params.rows - 1u) / max(1u, params.samples - 1u);
  }
  let l = params.lhs_first + sequence * params.lhs_sequence +
    head / params.lhs_group * params.lhs_head + row * params.lhs_row;
  let r = params.rhs_first + sequence * params.rhs_sequence +
    head / params.rhs_group * params.rhs_head + id.x * params.rhs_column;
  var sum = 0.0;
  for (var k = 0u; k < params.depth; k++) {
    let term = lhs[l + k * params.lhs_depth] * rhs[r + k * params.rhs_depth];
    if (MAGNITUDE) { sum += abs(term); } else { sum += term; }
  }
  y[(id.z * params.samples + id.y) * params.columns + id.x] = sum * params.scale;
}
