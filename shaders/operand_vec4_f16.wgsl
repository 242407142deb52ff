// A tensor of f16 that a kernel reads, "lhs", where its rows are multiples of four long. matmul.ts renames lhs.
enable f16;
@group(0) @binding(1) var<storage, read> lhs: array<vec4<f16>>;

fn lhs4(i: u32) -> vec4f { return vec4f(lhs[i >> 2u]); }
