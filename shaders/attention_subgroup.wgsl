// How eight rows reach every lane of a workgroup that is one subgroup: each of the first eight lanes loads one row's
// channels and subgroupBroadcast hands them round.
fn spread(x: vec4f) -> Eight {
  return Eight(
    mat4x4f(
      subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u),
    ),
    mat4x4f(
      subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u),
    ),
  );
}

fn spread_scalar(x: f32) -> Scores {
  return Scores(
    vec4f(subgroupBroadcast(x, 0u), subgroupBroadcast(x, 1u), subgroupBroadcast(x, 2u), subgroupBroadcast(x, 3u)),
    vec4f(subgroupBroadcast(x, 4u), subgroupBroadcast(x, 5u), subgroupBroadcast(x, 6u), subgroupBroadcast(x, 7u)),
  );
}

fn keys8(head: Head, j: u32, c: u32, lane: u32) -> Eight { return spread(k_quad(k_start(head, j + (lane & 7u)), c)); }
fn values8(head: Head, j: u32, c: u32, lane: u32) -> Eight { return spread(v_quad(v_start(head, j + (lane & 7u)), c)); }
fn queries8(head: Head, t: u32, c: u32, lane: u32) -> Eight { return spread(q_quad(q_start(head, t + (lane & 7u)), c)); }
fn gradients8(head: Head, t: u32, c: u32, lane: u32) -> Eight { return spread(dy_quad(y_start(head, t + (lane & 7u)), c)); }
fn allowed8(head: Head, j: u32, lane: u32) -> Scores { return spread_scalar(allowed(head, j + (lane & 7u))); }
fn log_sums8(head: Head, t: u32, lane: u32) -> Scores { return spread_scalar(log_sum[row_index(head, t + (lane & 7u))]); }
fn deltas8(head: Head, t: u32, lane: u32) -> Scores { return spread_scalar(delta[row_index(head, t + (lane & 7u))]); }
