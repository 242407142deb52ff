// Loads of attention's inputs for any head width; channels past the head's end are zero.
@group(0) @binding(1) var<storage, read> q: array<act>;
@group(0) @binding(2) var<storage, read> k: array<act>;
@group(0) @binding(3) var<storage, read> v: array<act>;
@group(0) @binding(4) var<storage, read> y: array<act>;
@group(0) @binding(5) var<storage, read> dy: array<act>;

fn cut(x: vec4f, c: u32) -> vec4f {
  let channel = vec4u(0u, 1u, 2u, 3u) + 4u * c;
  return select(vec4f(), x, channel < vec4u(HEAD_WIDTH));
}

fn q_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(f32(q[j]), f32(q[j + 1u]), f32(q[j + 2u]), f32(q[j + 3u])), c);
}
fn k_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(f32(k[j]), f32(k[j + 1u]), f32(k[j + 2u]), f32(k[j + 3u])), c);
}
fn v_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(f32(v[j]), f32(v[j + 1u]), f32(v[j + 2u]), f32(v[j + 3u])), c);
}
fn y_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(f32(y[j]), f32(y[j + 1u]), f32(y[j + 2u]), f32(y[j + 3u])), c);
}
fn dy_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(f32(dy[j]), f32(dy[j + 1u]), f32(dy[j + 2u]), f32(dy[j + 3u])), c);
}
