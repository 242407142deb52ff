// A tensor of f16 that a kernel writes, "out", where its rows are multiples of four long, four numbers a store (see
// operand_wide.wgsl).
@group(0) @binding(3) var<storage, read_write> out: array<u64>;

// Stores four values from flat index i on; count is four.
fn put_out4(i: u32, count: u32, four: vec4f) {
  out[i >> 2u] = u64(pack2x16float(four.xy)) | (u64(pack2x16float(four.zw)) << 32u);
}

fn get_out4(i: u32) -> vec4f {
  let wide = out[i >> 2u];
  return vec4f(unpack2x16float(u32(wide)), unpack2x16float(u32(wide >> 32u)));
}

// Four values as they are once stored.
fn round_out4(four: vec4f) -> vec4f {
  return vec4f(unpack2x16float(pack2x16float(four.xy)), unpack2x16float(pack2x16float(four.zw)));
}
