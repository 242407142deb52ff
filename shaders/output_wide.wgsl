// A tensor that a kernel writes, "out", where its rows are multiples of four long, two floats a store (see operand_wide.wgsl).
@group(0) @binding(3) var<storage, read_write> out: array<vec2<u64>>;

// Stores four values from flat index i on; count is four.
fn put_out4(i: u32, count: u32, four: vec4f) {
  let bits = bitcast<vec4u>(four);
  out[i >> 2u] = vec2<u64>(u64(bits.x) | (u64(bits.y) << 32u), u64(bits.z) | (u64(bits.w) << 32u));
}

fn get_out4(i: u32) -> vec4f {
  let wide = out[i >> 2u];
  return bitcast<vec4f>(vec4u(u32(wide.x), u32(wide.x >> 32u), u32(wide.y), u32(wide.y >> 32u)));
}

// Four values as they are once stored.
fn round_out4(four: vec4f) -> vec4f { return four; }
