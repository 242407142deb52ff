// Loads of attention's inputs where the head width is a multiple of four: one vec4 is four channels of a head.
@group(0) @binding(1) var<storage, read> q: array<vec4f>;
@group(0) @binding(2) var<storage, read> k: array<vec4f>;
@group(0) @binding(3) var<storage, read> v: array<vec4f>;
@group(0) @binding(4) var<storage, read> y: array<vec4f>;
@group(0) @binding(5) var<storage, read> dy: array<vec4f>;

fn q_quad(i: u32, c: u32) -> vec4f { return q[i / 4u + c]; }
fn k_quad(i: u32, c: u32) -> vec4f { return k[i / 4u + c]; }
fn v_quad(i: u32, c: u32) -> vec4f { return v[i / 4u + c]; }
fn y_quad(i: u32, c: u32) -> vec4f { return y[i / 4u + c]; }
fn dy_quad(i: u32, c: u32) -> vec4f { return dy[i / 4u + c]; }
