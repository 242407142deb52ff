// Flash attention, forward and backward (Dao et al. 2022, "FlashAttention", algorithms 1 and 4): softmax(q · kᵀ · scale) · v
// without a matrix of queries by keys in memory. Grouped query: head h reads key/value head h / (heads / kv_heads).
//
// q: rows of q_stride floats, head h of row (b, t) at q_offset + h·D; k and v likewise with kv_stride. All three may be
// one tensor (q, k, v side by side). y: (B, T, H·D). log_sum and delta: (B, H, T). mask: (B, S), 0 hides a key.
// Query t of sequence b stands at position + t (position.wgsl); with CAUSAL it sees the keys up to there. A query that
// sees no key gives 0.
//
// One workgroup owns LANES · ROWS queries (in backward_kv: keys) of one head, ROWS a lane, with their q, k, v and gradients
// in registers; the other side passes by eight rows at a time. All accumulators are f32. QUADS is HEAD_WIDTH / 4, rounded up.
struct Params {
  queries: u32,
  keys: u32,
  heads: u32,
  kv_heads: u32,
  q_stride: u32,
  q_offset: u32,
  kv_stride: u32,
  k_offset: u32,
  v_offset: u32,
  scale: f32,
}
override CAUSAL: bool = false;
override MASKED: bool = false;
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(6) var<storage, read> position: array<u32>;
@group(0) @binding(7) var<storage, read> mask: array<u32>;
@group(0) @binding(8) var<storage, read> log_sum: array<f32>;
@group(0) @binding(9) var<storage, read> delta: array<f32>;
@group(0) @binding(11) var<storage, read_write> log_sum_out: array<f32>;
@group(0) @binding(12) var<storage, read_write> delta_out: array<f32>;

const LOWEST = -3.0e38;

// A query head of one picture or text: b, h, and the key head that it reads.
struct Head { b: u32, h: u32, kv: u32 }
// Four channels of eight rows, a row a column; and a number for each of eight rows.
struct Eight { low: mat4x4f, high: mat4x4f }
struct Scores { low: vec4f, high: vec4f }

fn query_head(index: u32) -> Head {
  let h = index % params.heads;
  return Head(index / params.heads, h, h / (params.heads / params.kv_heads));
}

// Where rows begin, the row clamped to the last one so that every load is in bounds.
fn q_start(head: Head, t: u32) -> u32 {
  let row = head.b * params.queries + min(t, params.queries - 1u);
  return row * params.q_stride + params.q_offset + head.h * HEAD_WIDTH;
}
fn k_start(head: Head, j: u32) -> u32 {
  let row = head.b * params.keys + min(j, params.keys - 1u);
  return row * params.kv_stride + params.k_offset + head.kv * HEAD_WIDTH;
}
fn v_start(head: Head, j: u32) -> u32 { return k_start(head, j) - params.k_offset + params.v_offset; }
fn y_start(head: Head, t: u32) -> u32 {
  let row = head.b * params.queries + min(t, params.queries - 1u);
  return (row * params.heads + head.h) * HEAD_WIDTH;
}
fn row_index(head: Head, t: u32) -> u32 {
  return (head.b * params.heads + head.h) * params.queries + min(t, params.queries - 1u);
}

// 1 where key j exists and is not masked, else 0.
fn allowed(head: Head, j: u32) -> f32 {
  if (j >= params.keys) { return 0.0; }
  if (MASKED) { return select(0.0, 1.0, mask[head.b * params.keys + j] != 0u); }
  return 1.0;
}

// Whether the query at position `at` sees keys j to j + 7.
fn sees(at: u32, j: u32, permitted: Scores) -> array<vec4<bool>, 2> {
  let low = vec4u(j, j + 1u, j + 2u, j + 3u);
  let high = low + 4u;
  let end = vec4u(select(0xffffffffu, at, CAUSAL));
  return array(
    (permitted.low > vec4f(0.5)) & (low <= end),
    (permitted.high > vec4f(0.5)) & (high <= end),
  );
}

// One past the last key that any query of this workgroup may see.
fn key_end(head: Head, first: u32) -> u32 {
  if (!CAUSAL) { return params.keys; }
  return min(params.keys, position_of(head.b) + min(first + LANES * ROWS, params.queries));
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = query_head(workgroup.y);
  let first = workgroup.x * LANES * ROWS;
  let at = position_of(head.b) + first + lane;
  var query: array<array<vec4f, QUADS>, ROWS>;
  var out: array<array<vec4f, QUADS>, ROWS>;
  var highest: array<f32, ROWS>;
  var sum: array<f32, ROWS>;
  /* unroll */ for (var r = 0u; r < ROWS; r++) {
    let start = q_start(head, first + lane + r * LANES);
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      query[r][c] = q_quad(start, c) * params.scale;
      out[r][c] = vec4f();
    }
    highest[r] = LOWEST;
    sum[r] = 0.0;
  }
  let end = key_end(head, first);
  for (var j = 0u; j < end; j += 8u) {
    let permitted = allowed8(head, j, lane);
    var low: array<vec4f, ROWS>;
    var high: array<vec4f, ROWS>;
    /* unroll */ for (var r = 0u; r < ROWS; r++) {
      low[r] = vec4f();
      high[r] = vec4f();
    }
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      let keys = keys8(head, j, c, lane);
      /* unroll */ for (var r = 0u; r < ROWS; r++) {
        low[r] += query[r][c] * keys.low;
        high[r] += query[r][c] * keys.high;
      }
    }
    var shrink: array<f32, ROWS>;
    /* unroll */ for (var r = 0u; r < ROWS; r++) {
      let seen = sees(at + r * LANES, j, permitted);
      low[r] = select(vec4f(LOWEST), low[r], seen[0]);
      high[r] = select(vec4f(LOWEST), high[r], seen[1]);
      let both = max(low[r], high[r]);
      let new_highest = max(highest[r], max(max(both.x, both.y), max(both.z, both.w)));
      shrink[r] = exp(highest[r] - new_highest);
      low[r] = select(vec4f(), exp(low[r] - new_highest), seen[0]);
      high[r] = select(vec4f(), exp(high[r] - new_highest), seen[1]);
      highest[r] = new_highest;
      sum[r] = sum[r] * shrink[r] + dot(low[r] + high[r], vec4f(1.0));
    }
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      let values = values8(head, j, c, lane);
      /* unroll */ for (var r = 0u; r < ROWS; r++) {
        out[r][c] = out[r][c] * shrink[r] + (values.low * low[r] + values.high * high[r]);
      }
    }
  }
  /* unroll */ for (var r = 0u; r < ROWS; r++) {
    let t = first + lane + r * LANES;
    if (t >= params.queries) { return; }
    let inverse = select(0.0, 1.0 / sum[r], sum[r] > 0.0);
    log_sum_out[row_index(head, t)] = select(-LOWEST, highest[r] + log(sum[r]), sum[r] > 0.0);
    let y_row = y_start(head, t);
    /* unroll */ for (var c = 0u; c < QUADS; c++) { put_y_out4(y_row + 4u * c, channels(c), out[r][c] * inverse); }
  }
}
