// A tensor of f16 that a kernel reads, "lhs", where its rows are multiples of four long, four numbers a load (see
// operand_wide.wgsl). matmul.ts renames lhs.
@group(0) @binding(1) var<storage, read> lhs: array<u64>;

fn lhs4(i: u32) -> vec4f {
  let wide = lhs[i >> 2u];
  return vec4f(unpack2x16float(u32(wide)), unpack2x16float(u32(wide >> 32u)));
}
