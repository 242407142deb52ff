// A tensor that a kernel reads, "lhs", where its rows are multiples of four long. matmul.ts renames lhs.
@group(0) @binding(1) var<storage, read> lhs: array<vec4f>;

fn lhs4(i: u32) -> vec4f { return lhs[i >> 2u]; }
