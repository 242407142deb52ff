// Rotary positions by halves, in place: in the first `heads` heads of every row the pair (a, b) = (x[i], x[i + D/2])
// becomes (a cos - b sin, b cos + a sin), with cos and sin of table row position + t, t = row modulo T.
//
// x: `rows` rows of `stride`, row r being position t of a sequence of T; cos, sin (L, D/2) in f32; position u32 [1] or
// one for each sequence (position.wgsl). Arithmetic in f32.
// The rotation's matrix is orthogonal (times the scaling that the tables carry), so the gradient's rotation is its
// transpose: the same with -sin (INVERSE), in place over the gradient. One thread owns a quad, up to four neighbouring
// pairs of a head (operands.ts); `quads` counts those of all rows.
struct Params { quads: u32, T: u32, heads: u32, head_pairs: u32, stride: u32 }
override INVERSE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(3) var<storage, read> position: array<u32>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let quad = flat_index(workgroup, workgroups, 64u, local);
  if (quad >= params.quads) { return; }
  let head_quads = (params.head_pairs + 3u) / 4u;
  let i = quad % head_quads * 4u;
  let head = quad / head_quads % params.heads;
  let row = quad / head_quads / params.heads;
  let angle = (position_of(row / params.T) + row % params.T) * params.head_pairs + i;
  let c = cos_table4(angle);
  let s = select(sin_table4(angle), -sin_table4(angle), INVERSE);
  let at = row * params.stride + head * params.head_pairs * 2u + i;
  let count = min(4u, params.head_pairs - i);
  let a = get_x4(at);
  let b = get_x4(at + params.head_pairs);
  put_x4(at, count, a * c - b * s);
  put_x4(at + params.head_pairs, count, b * c + a * s);
}
