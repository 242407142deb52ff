// Loads of attention's inputs where the head width is a multiple of four: one vec4 is four channels of a head.
@group(0) @binding(1) var<storage, read> q: array<act4>;
@group(0) @binding(2) var<storage, read> k: array<act4>;
@group(0) @binding(3) var<storage, read> v: array<act4>;
@group(0) @binding(4) var<storage, read> y: array<act4>;
@group(0) @binding(5) var<storage, read> dy: array<act4>;

fn q_quad(i: u32, c: u32) -> vec4f { return vec4f(q[i / 4u + c]); }
fn k_quad(i: u32, c: u32) -> vec4f { return vec4f(k[i / 4u + c]); }
fn v_quad(i: u32, c: u32) -> vec4f { return vec4f(v[i / 4u + c]); }
fn y_quad(i: u32, c: u32) -> vec4f { return vec4f(y[i / 4u + c]); }
fn dy_quad(i: u32, c: u32) -> vec4f { return vec4f(dy[i / 4u + c]); }
