// How eight rows reach every thread without subgroups: all threads load the same addresses.
fn keys8(head: Head, j: u32, c: u32, lane: u32) -> Eight {
  return Eight(
    mat4x4f(
      k_quad(k_start(head, j), c),
      k_quad(k_start(head, j + 1u), c),
      k_quad(k_start(head, j + 2u), c),
      k_quad(k_start(head, j + 3u), c),
    ),
    mat4x4f(
      k_quad(k_start(head, j + 4u), c),
      k_quad(k_start(head, j + 5u), c),
      k_quad(k_start(head, j + 6u), c),
      k_quad(k_start(head, j + 7u), c),
    ),
  );
}
fn values8(head: Head, j: u32, c: u32, lane: u32) -> Eight {
  return Eight(
    mat4x4f(
      v_quad(v_start(head, j), c),
      v_quad(v_start(head, j + 1u), c),
      v_quad(v_start(head, j + 2u), c),
      v_quad(v_start(head, j + 3u), c),
    ),
    mat4x4f(
      v_quad(v_start(head, j + 4u), c),
      v_quad(v_start(head, j + 5u), c),
      v_quad(v_start(head, j + 6u), c),
      v_quad(v_start(head, j + 7u), c),
    ),
  );
}
fn queries8(head: Head, t: u32, c: u32, lane: u32) -> Eight {
  return Eight(
    mat4x4f(
      q_quad(q_start(head, t), c),
      q_quad(q_start(head, t + 1u), c),
      q_quad(q_start(head, t + 2u), c),
      q_quad(q_start(head, t + 3u), c),
    ),
    mat4x4f(
      q_quad(q_start(head, t + 4u), c),
      q_quad(q_start(head, t + 5u), c),
      q_quad(q_start(head, t + 6u), c),
      q_quad(q_start(head, t + 7u), c),
    ),
  );
}
fn gradients8(head: Head, t: u32, c: u32, lane: u32) -> Eight {
  return Eight(
    mat4x4f(
      dy_quad(y_start(head, t), c),
      dy_quad(y_start(head, t + 1u), c),
      dy_quad(y_start(head, t + 2u), c),
      dy_quad(y_start(head, t + 3u), c),
    ),
    mat4x4f(
      dy_quad(y_start(head, t + 4u), c),
      dy_quad(y_start(head, t + 5u), c),
      dy_quad(y_start(head, t + 6u), c),
      dy_quad(y_start(head, t + 7u), c),
    ),
  );
}
fn allowed8(head: Head, j: u32, lane: u32) -> Scores {
  return Scores(
    vec4f(allowed(head, j), allowed(head, j + 1u), allowed(head, j + 2u), allowed(head, j + 3u)),
    vec4f(allowed(head, j + 4u), allowed(head, j + 5u), allowed(head, j + 6u), allowed(head, j + 7u)),
  );
}
fn log_sums8(head: Head, t: u32, lane: u32) -> Scores {
  return Scores(
    vec4f(log_sum[row_index(head, t)], log_sum[row_index(head, t + 1u)], log_sum[row_index(head, t + 2u)], log_sum[row_index(head, t + 3u)]),
    vec4f(log_sum[row_index(head, t + 4u)], log_sum[row_index(head, t + 5u)], log_sum[row_index(head, t + 6u)], log_sum[row_index(head, t + 7u)]),
  );
}
fn deltas8(head: Head, t: u32, lane: u32) -> Scores {
  return Scores(
    vec4f(delta[row_index(head, t)], delta[row_index(head, t + 1u)], delta[row_index(head, t + 2u)], delta[row_index(head, t + 3u)]),
    vec4f(delta[row_index(head, t + 4u)], delta[row_index(head, t + 5u)], delta[row_index(head, t + 6u)], delta[row_index(head, t + 7u)]),
  );
}
