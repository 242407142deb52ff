// Flash attention, forward and backward (Dao et al. 2022, "FlashAttention", algorithms 1 and 4): softmax(q · kᵀ · scale) · v
// without a matrix of queries by keys in memory. Grouped query: head h reads key/value head h / (heads / kv_heads).
//
// q: rows of q_stride floats, head h of row (b, t) at q_offset + h·D; k and v likewise with kv_stride. All three may be
// one tensor (q, k, v side by side). y: (B, T, H·D). log_sum and delta: (B, H, T). mask: (B, S), 0 hides a key.
// Query t of sequence b stands at position + t (position.wgsl); with CAUSAL it sees the keys up to there. A query that
// sees no key gives 0.
//
// One workgroup owns LANES queries (in backward_kv: keys) of one head, one lane each, with its row of q, k, v and their
// gradients in registers; the other side passes by eight rows at a time. q, k, v, y and their gradients are in `act`; all
// arithmetic, log_sum and delta are f32.
//
// Backward, with p = exp(s - log_sum), delta = Σ_channels dy·y = Σ_keys p·(dy · v):
//   ds = p · (dy · v - delta) · scale,  dq = Σ_keys ds · k,  dk = Σ_queries ds · q,  dv = Σ_queries p · dy,
// the last two also over the query heads that share a key head, in order, so without atomics.
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
@group(0) @binding(10) var<storage, read_write> y_out: array<act>;
@group(0) @binding(11) var<storage, read_write> log_sum_out: array<f32>;
@group(0) @binding(12) var<storage, read_write> delta_out: array<f32>;
@group(0) @binding(13) var<storage, read_write> dq: array<act>;
@group(0) @binding(14) var<storage, read_write> dkv: array<act>;

const LOWEST = -3.0e38;
const QUADS = (HEAD_WIDTH + 3u) / 4u;

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
  return min(params.keys, position_of(head.b) + min(first + LANES, params.queries));
}

@compute @workgroup_size(LANES)
fn forward(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = query_head(workgroup.y);
  let first = workgroup.x * LANES;
  let t = first + lane;
  let at = position_of(head.b) + t;
  let start = q_start(head, t);
  var query: array<vec4f, QUADS>;
  var out: array<vec4f, QUADS>;
  for (var c = 0u; c < QUADS; c++) {
    query[c] = q_quad(start, c) * params.scale;
    out[c] = vec4f();
  }
  var highest = LOWEST;
  var sum = 0.0;
  let end = key_end(head, first);
  for (var j = 0u; j < end; j += 8u) {
    let seen = sees(at, j, allowed8(head, j, lane));
    var low = vec4f();
    var high = vec4f();
    for (var c = 0u; c < QUADS; c++) {
      let keys = keys8(head, j, c, lane);
      low += query[c] * keys.low;
      high += query[c] * keys.high;
    }
    low = select(vec4f(LOWEST), low, seen[0]);
    high = select(vec4f(LOWEST), high, seen[1]);
    let both = max(low, high);
    let new_highest = max(highest, max(max(both.x, both.y), max(both.z, both.w)));
    let shrink = exp(highest - new_highest);
    low = select(vec4f(), exp(low - new_highest), seen[0]);
    high = select(vec4f(), exp(high - new_highest), seen[1]);
    highest = new_highest;
    sum = sum * shrink + dot(low + high, vec4f(1.0));
    for (var c = 0u; c < QUADS; c++) {
      let values = values8(head, j, c, lane);
      out[c] = out[c] * shrink + (values.low * low + values.high * high);
    }
  }
  if (t >= params.queries) { return; }
  let inverse = select(0.0, 1.0 / sum, sum > 0.0);
  log_sum_out[row_index(head, t)] = select(-LOWEST, highest + log(sum), sum > 0.0);
  let y_row = y_start(head, t);
  for (var c = 0u; c < HEAD_WIDTH; c++) { y_out[y_row + c] = act(out[c / 4u][c % 4u] * inverse); }
}

@compute @workgroup_size(LANES)
fn backward_q(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = query_head(workgroup.y);
  let first = workgroup.x * LANES;
  let t = first + lane;
  let at = position_of(head.b) + t;
  let start = q_start(head, t);
  let y_row = y_start(head, t);
  var query: array<vec4f, QUADS>;
  var gradient: array<vec4f, QUADS>;
  var dquery: array<vec4f, QUADS>;
  var my_delta = 0.0;
  for (var c = 0u; c < QUADS; c++) {
    query[c] = q_quad(start, c) * params.scale;
    gradient[c] = dy_quad(y_row, c);
    dquery[c] = vec4f();
    my_delta += dot(gradient[c], y_quad(y_row, c));
  }
  let my_log_sum = log_sum[row_index(head, t)];
  let end = key_end(head, first);
  for (var j = 0u; j < end; j += 8u) {
    let seen = sees(at, j, allowed8(head, j, lane));
    var low = vec4f();
    var high = vec4f();
    var dlow = vec4f();
    var dhigh = vec4f();
    for (var c = 0u; c < QUADS; c++) {
      let keys = keys8(head, j, c, lane);
      low += query[c] * keys.low;
      high += query[c] * keys.high;
      let values = values8(head, j, c, lane);
      dlow += gradient[c] * values.low;
      dhigh += gradient[c] * values.high;
    }
    dlow = select(vec4f(), exp(low - my_log_sum) * (dlow - my_delta), seen[0]);
    dhigh = select(vec4f(), exp(high - my_log_sum) * (dhigh - my_delta), seen[1]);
    for (var c = 0u; c < QUADS; c++) {
      let keys = keys8(head, j, c, lane);
      dquery[c] += keys.low * dlow + keys.high * dhigh;
    }
  }
  if (t >= params.queries) { return; }
  delta_out[row_index(head, t)] = my_delta;
  for (var c = 0u; c < HEAD_WIDTH; c++) {
    let value = dquery[c / 4u][c % 4u] * params.scale;
    if (ACCUMULATE) { dq[start + c] = act(f32(dq[start + c]) + value); } else { dq[start + c] = act(value); }
  }
}

@compute @workgroup_size(LANES)
fn backward_kv(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = params.heads / params.kv_heads;
  let kv = workgroup.y % params.kv_heads;
  var head = Head(workgroup.y / params.kv_heads, kv * group, kv);
  let first = workgroup.x * LANES;
  let j = first + lane;
  let start = k_start(head, j);
  let v_row = v_start(head, j);
  var key: array<vec4f, QUADS>;
  var value: array<vec4f, QUADS>;
  var dkey: array<vec4f, QUADS>;
  var dvalue: array<vec4f, QUADS>;
  for (var c = 0u; c < QUADS; c++) {
    key[c] = k_quad(start, c) * params.scale;
    value[c] = v_quad(v_row, c);
    dkey[c] = vec4f();
    dvalue[c] = vec4f();
  }
  let permitted = allowed(head, j) > 0.5;
  // The first query that may see any of these keys, as a block of eight; the position is 0 where gradients flow.
  let t_start = select(0u, first & ~7u, CAUSAL);
  for (var g = 0u; g < group; g++) {
    head.h = kv * group + g;
    for (var t = t_start; t < params.queries; t += 8u) {
      let low_t = vec4u(t, t + 1u, t + 2u, t + 3u);
      let high_t = low_t + 4u;
      var low = vec4f();
      var high = vec4f();
      var dlow = vec4f();
      var dhigh = vec4f();
      for (var c = 0u; c < QUADS; c++) {
        let queries = queries8(head, t, c, lane);
        low += key[c] * queries.low;
        high += key[c] * queries.high;
        let gradients = gradients8(head, t, c, lane);
        dlow += value[c] * gradients.low;
        dhigh += value[c] * gradients.high;
      }
      let begin = vec4u(select(0u, j, CAUSAL));
      let seen_low = vec4<bool>(permitted) & (low_t >= begin) & (low_t < vec4u(params.queries));
      let seen_high = vec4<bool>(permitted) & (high_t >= begin) & (high_t < vec4u(params.queries));
      let log_sums = log_sums8(head, t, lane);
      let deltas = deltas8(head, t, lane);
      low = select(vec4f(), exp(low - log_sums.low), seen_low);
      high = select(vec4f(), exp(high - log_sums.high), seen_high);
      dlow = low * (dlow - deltas.low);
      dhigh = high * (dhigh - deltas.high);
      for (var c = 0u; c < QUADS; c++) {
        let gradients = gradients8(head, t, c, lane);
        dvalue[c] += gradients.low * low + gradients.high * high;
        let queries = queries8(head, t, c, lane);
        dkey[c] += queries.low * dlow + queries.high * dhigh;
      }
    }
  }
  if (j >= params.keys) { return; }
  for (var c = 0u; c < HEAD_WIDTH; c++) {
    let dk = dkey[c / 4u][c % 4u] * params.scale;
    let dv = dvalue[c / 4u][c % 4u];
    if (ACCUMULATE) {
      dkv[start + c] = act(f32(dkv[start + c]) + dk);
      dkv[v_row + c] = act(f32(dkv[v_row + c]) + dv);
    } else {
      dkv[start + c] = act(dk);
      dkv[v_row + c] = act(dv);
    }
  }
}
