// A tensor of f16 that a kernel reads, "lhs", where its rows have any length. matmul.ts renames lhs.
enable f16;
@group(0) @binding(1) var<storage, read> lhs: array<f16>;

fn lhs4(i: u32) -> vec4f { return vec4f(vec4<f16>(lhs[i], lhs[i + 1u], lhs[i + 2u], lhs[i + 3u])); }
