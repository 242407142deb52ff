// A tensor of f16 that a kernel writes, "out", where its rows are multiples of four long. matmul.ts renames out.
enable f16;
@group(0) @binding(3) var<storage, read_write> out: array<vec4<f16>>;

// Stores four values from flat index i on; count is four.
fn put_out4(i: u32, count: u32, four: vec4f) { out[i >> 2u] = vec4<f16>(four); }

fn get_out4(i: u32) -> vec4f { return vec4f(out[i >> 2u]); }

// Four values as they are once stored.
fn round_out4(four: vec4f) -> vec4f { return vec4f(vec4<f16>(four)); }
