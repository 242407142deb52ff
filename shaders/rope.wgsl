// Rotary positions by halves, in place: in the first `heads` heads of every row the pair (a, b) = (x[i], x[i + D/2])
// becomes (a cos - b sin, b cos + a sin), with cos and sin of table row position + t, t = row modulo T.
//
// x: `rows` rows of `stride` of `act`, row r being position t of a sequence of T; cos, sin (L, D/2); position u32 [1] or
// one for each sequence (position.wgsl).
// The rotation's matrix is orthogonal (times the scaling that the tables carry), so the gradient's rotation is its
// transpose: the same with -sin (INVERSE), in place over the gradient. One thread owns one pair.
struct Params { pairs: u32, T: u32, heads: u32, head_pairs: u32, stride: u32 }
override INVERSE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> cos_table: array<f32>;
@group(0) @binding(2) var<storage, read> sin_table: array<f32>;
@group(0) @binding(3) var<storage, read> position: array<u32>;
@group(0) @binding(4) var<storage, read_write> x: array<act>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let pair = flat_index(workgroup, workgroups, 64u, local);
  if (pair >= params.pairs) { return; }
  let i = pair % params.head_pairs;
  let head = pair / params.head_pairs % params.heads;
  let row = pair / params.head_pairs / params.heads;
  let angle = (position_of(row / params.T) + row % params.T) * params.head_pairs + i;
  let c = cos_table[angle];
  let s = select(sin_table[angle], -sin_table[angle], INVERSE);
  let at = row * params.stride + head * params.head_pairs * 2u + i;
  let a = f32(x[at]);
  let b = f32(x[at + params.head_pairs]);
  x[at] = act(a * c - b * s);
  x[at + params.head_pairs] = act(b * c + a * s);
}
