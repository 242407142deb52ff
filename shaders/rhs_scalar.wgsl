// The right operand where its rows have any length: four loads for one.
@group(0) @binding(2) var<storage, read> rhs: array<f32>;

fn rhs4(i: u32) -> vec4f { return vec4f(rhs[i], rhs[i + 1u], rhs[i + 2u], rhs[i + 3u]); }
