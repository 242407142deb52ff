// A tensor that a kernel reads, "lhs", where its rows are multiples of four long, two floats a load. lavapipe loads lane by
// lane, so it takes half as long: 24 ns for a vec4 in each of 8 lanes, 44 as a vec4f. matmul.ts renames lhs.
@group(0) @binding(1) var<storage, read> lhs: array<vec2<u64>>;

fn lhs4(i: u32) -> vec4f {
  let wide = lhs[i >> 2u];
  return bitcast<vec4f>(vec4u(u32(wide.x), u32(wide.x >> 32u), u32(wide.y), u32(wide.y >> 32u)));
}
