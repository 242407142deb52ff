// Four channels of a head, from quad c on, of the row that begins at flat index i; those past the head's end are zero.
fn cut(x: vec4f, c: u32) -> vec4f {
  if (HEAD_WIDTH % 4u == 0u) { return x; }
  return select(vec4f(), x, vec4u(0u, 1u, 2u, 3u) + 4u * c < vec4u(HEAD_WIDTH));
}

fn q_quad(i: u32, c: u32) -> vec4f { return cut(q4(i + 4u * c), c); }
fn k_quad(i: u32, c: u32) -> vec4f { return cut(k4(i + 4u * c), c); }
fn v_quad(i: u32, c: u32) -> vec4f { return cut(v4(i + 4u * c), c); }
fn y_quad(i: u32, c: u32) -> vec4f { return cut(y4(i + 4u * c), c); }
fn dy_quad(i: u32, c: u32) -> vec4f { return cut(dy4(i + 4u * c), c); }

// How many of quad c's channels exist.
fn channels(c: u32) -> u32 { return min(4u, HEAD_WIDTH - 4u * c); }
