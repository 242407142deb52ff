// A tensor that a kernel reads, "lhs", where its rows have any length: four loads for four values. matmul.ts renames lhs.
@group(0) @binding(1) var<storage, read> lhs: array<f32>;

fn lhs4(i: u32) -> vec4f { return vec4f(lhs[i], lhs[i + 1u], lhs[i + 2u], lhs[i + 3u]); }
