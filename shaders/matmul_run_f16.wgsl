// What matmul_few_rows.wgsl reads of rhs at once: RUN times four values, here sixteen f16 in one load of 256 bits, where
// loads are made lane by lane (operand_wide.wgsl). On lavapipe a row times 3072 x 576 took 0.80 CPU ms, by fours 0.98.
@group(0) @binding(2) var<storage, read> rhs: array<vec4<u64>>;

fn four_f16(bits: u64) -> vec4f {
  return vec4f(unpack2x16float(u32(bits)), unpack2x16float(u32(bits >> 32u)));
}

fn rhs_run(i: u32) -> array<vec4f, RUN> {
  let wide = rhs[i >> 4u];
  return array(four_f16(wide.x), four_f16(wide.y), four_f16(wide.z), four_f16(wide.w));
}

fn rhs4(i: u32) -> vec4f { return rhs_run(i)[i / 4u % 4u]; }
