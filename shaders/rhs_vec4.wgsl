// The right operand where its rows are multiples of four floats long.
@group(0) @binding(2) var<storage, read> rhs: array<vec4f>;

fn rhs4(i: u32) -> vec4f { return rhs[i >> 2u]; }
