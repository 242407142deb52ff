// A tensor that a kernel writes, "out", where its rows have any length. matmul.ts renames out.
@group(0) @binding(3) var<storage, read_write> out: array<f32>;

// Stores the first `count` of four values from flat index i on.
fn put_out4(i: u32, count: u32, four: vec4f) {
  for (var j = 0u; j < count; j++) { out[i + j] = four[j]; }
}

fn get_out4(i: u32) -> vec4f { return vec4f(out[i], out[i + 1u], out[i + 2u], out[i + 3u]); }

// Four values as they are once stored.
fn round_out4(four: vec4f) -> vec4f { return four; }
