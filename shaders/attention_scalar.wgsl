// Loads of attention's inputs for any head width; channels past the head's end are zero.
@group(0) @binding(1) var<storage, read> q: array<f32>;
@group(0) @binding(2) var<storage, read> k: array<f32>;
@group(0) @binding(3) var<storage, read> v: array<f32>;
@group(0) @binding(4) var<storage, read> y: array<f32>;
@group(0) @binding(5) var<storage, read> dy: array<f32>;

fn cut(x: vec4f, c: u32) -> vec4f {
  let channel = vec4u(0u, 1u, 2u, 3u) + 4u * c;
  return select(vec4f(), x, channel < vec4u(HEAD_WIDTH));
}

fn q_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(q[j], q[j + 1u], q[j + 2u], q[j + 3u]), c);
}
fn k_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(k[j], k[j + 1u], k[j + 2u], k[j + 3u]), c);
}
fn v_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(v[j], v[j + 1u], v[j + 2u], v[j + 3u]), c);
}
fn y_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(y[j], y[j + 1u], y[j + 2u], y[j + 3u]), c);
}
fn dy_quad(i: u32, c: u32) -> vec4f {
  let j = i + 4u * c;
  return cut(vec4f(dy[j], dy[j + 1u], dy[j + 2u], dy[j + 3u]), c);
}
