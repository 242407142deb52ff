// The backward kernels of attention.wgsl, which see its header and its functions.
//
// With p = exp(s - log_sum), delta = Σ_channels dy·y = Σ_keys p·(dy · v):
//   ds = p · (dy · v - delta) · scale,  dq = Σ_keys ds · k,  dk = Σ_queries ds · q,  dv = Σ_queries p · dy,
// the last two also over the query heads that share a key head, in order, so without atomics.
fn put_dq(start: u32, c: u32, value: vec4f) {
  let i = start + 4u * c;
  if (ACCUMULATE) { put_dq4(i, channels(c), get_dq4(i) + value); }
  else { put_dq4(i, channels(c), value); }
}

@compute @workgroup_size(LANES)
fn backward_q(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let head = query_head(workgroup.y);
  let first = workgroup.x * LANES * ROWS;
  let at = position_of(head.b) + first + lane;
  var query: array<array<vec4f, QUADS>, ROWS>;
  var gradient: array<array<vec4f, QUADS>, ROWS>;
  var dquery: array<array<vec4f, QUADS>, ROWS>;
  var my_delta: array<f32, ROWS>;
  var my_log_sum: array<f32, ROWS>;
  /* unroll */ for (var r = 0u; r < ROWS; r++) {
    let t = first + lane + r * LANES;
    let start = q_start(head, t);
    let y_row = y_start(head, t);
    my_delta[r] = 0.0;
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      query[r][c] = q_quad(start, c) * params.scale;
      gradient[r][c] = dy_quad(y_row, c);
      dquery[r][c] = vec4f();
      my_delta[r] += dot(gradient[r][c], y_quad(y_row, c));
    }
    my_log_sum[r] = log_sum[row_index(head, t)];
  }
  let end = key_end(head, first);
  for (var j = 0u; j < end; j += 8u) {
    let permitted = allowed8(head, j, lane);
    var low: array<vec4f, ROWS>;
    var high: array<vec4f, ROWS>;
    var dlow: array<vec4f, ROWS>;
    var dhigh: array<vec4f, ROWS>;
    /* unroll */ for (var r = 0u; r < ROWS; r++) {
      low[r] = vec4f();
      high[r] = vec4f();
      dlow[r] = vec4f();
      dhigh[r] = vec4f();
    }
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      let keys = keys8(head, j, c, lane);
      /* unroll */ for (var r = 0u; r < ROWS; r++) {
        low[r] += query[r][c] * keys.low;
        high[r] += query[r][c] * keys.high;
      }
      let values = values8(head, j, c, lane);
      /* unroll */ for (var r = 0u; r < ROWS; r++) {
        dlow[r] += gradient[r][c] * values.low;
        dhigh[r] += gradient[r][c] * values.high;
      }
    }
    /* unroll */ for (var r = 0u; r < ROWS; r++) {
      let seen = sees(at + r * LANES, j, permitted);
      dlow[r] = select(vec4f(), exp(low[r] - my_log_sum[r]) * (dlow[r] - my_delta[r]), seen[0]);
      dhigh[r] = select(vec4f(), exp(high[r] - my_log_sum[r]) * (dhigh[r] - my_delta[r]), seen[1]);
    }
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      let keys = keys8(head, j, c, lane);
      /* unroll */ for (var r = 0u; r < ROWS; r++) { dquery[r][c] += keys.low * dlow[r] + keys.high * dhigh[r]; }
    }
  }
  /* unroll */ for (var r = 0u; r < ROWS; r++) {
    let t = first + lane + r * LANES;
    if (t >= params.queries) { return; }
    delta_out[row_index(head, t)] = my_delta[r];
    let start = q_start(head, t);
    /* unroll */ for (var c = 0u; c < QUADS; c++) { put_dq(start, c, dquery[r][c] * params.scale); }
  }
}

fn put_dkv(start: u32, c: u32, value: vec4f) {
  let i = start + 4u * c;
  if (ACCUMULATE) { put_dkv4(i, channels(c), get_dkv4(i) + value); }
  else { put_dkv4(i, channels(c), value); }
}

@compute @workgroup_size(LANES)
fn backward_kv(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) lane: u32) {
  let group = params.heads / params.kv_heads;
  let kv = workgroup.y % params.kv_heads;
  var head = Head(workgroup.y / params.kv_heads, kv * group, kv);
  let first = workgroup.x * LANES * ROWS;
  var key: array<array<vec4f, QUADS>, ROWS>;
  var value: array<array<vec4f, QUADS>, ROWS>;
  var dkey: array<array<vec4f, QUADS>, ROWS>;
  var dvalue: array<array<vec4f, QUADS>, ROWS>;
  var permitted: array<bool, ROWS>;
  /* unroll */ for (var r = 0u; r < ROWS; r++) {
    let j = first + lane + r * LANES;
    let start = k_start(head, j);
    let v_row = v_start(head, j);
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      key[r][c] = k_quad(start, c) * params.scale;
      value[r][c] = v_quad(v_row, c);
      dkey[r][c] = vec4f();
      dvalue[r][c] = vec4f();
    }
    permitted[r] = allowed(head, j) > 0.5;
  }
  // The first query that may see any of these keys, as a block of eight; the position is 0 where gradients flow.
  let t_start = select(0u, first & ~7u, CAUSAL);
  for (var g = 0u; g < group; g++) {
    head.h = kv * group + g;
    for (var t = t_start; t < params.queries; t += 8u) {
      let low_t = vec4u(t, t + 1u, t + 2u, t + 3u);
      let high_t = low_t + 4u;
      var low: array<vec4f, ROWS>;
      var high: array<vec4f, ROWS>;
      var dlow: array<vec4f, ROWS>;
      var dhigh: array<vec4f, ROWS>;
      /* unroll */ for (var r = 0u; r < ROWS; r++) {
        low[r] = vec4f();
        high[r] = vec4f();
        dlow[r] = vec4f();
        dhigh[r] = vec4f();
      }
      /* unroll */ for (var c = 0u; c < QUADS; c++) {
        let queries = queries8(head, t, c, lane);
        /* unroll */ for (var r = 0u; r < ROWS; r++) {
          low[r] += key[r][c] * queries.low;
          high[r] += key[r][c] * queries.high;
        }
        let gradients = gradients8(head, t, c, lane);
        /* unroll */ for (var r = 0u; r < ROWS; r++) {
          dlow[r] += value[r][c] * gradients.low;
          dhigh[r] += value[r][c] * gradients.high;
        }
      }
      let log_sums = log_sums8(head, t, lane);
      let deltas = deltas8(head, t, lane);
      /* unroll */ for (var r = 0u; r < ROWS; r++) {
        let begin = vec4u(select(0u, first + lane + r * LANES, CAUSAL));
        let seen_low = vec4<bool>(permitted[r]) & (low_t >= begin) & (low_t < vec4u(params.queries));
        let seen_high = vec4<bool>(permitted[r]) & (high_t >= begin) & (high_t < vec4u(params.queries));
        low[r] = select(vec4f(), exp(low[r] - log_sums.low), seen_low);
        high[r] = select(vec4f(), exp(high[r] - log_sums.high), seen_high);
        dlow[r] = low[r] * (dlow[r] - deltas.low);
        dhigh[r] = high[r] * (dhigh[r] - deltas.high);
      }
      /* unroll */ for (var c = 0u; c < QUADS; c++) {
        let gradients = gradients8(head, t, c, lane);
        /* unroll */ for (var r = 0u; r < ROWS; r++) { dvalue[r][c] += gradients.low * low[r] + gradients.high * high[r]; }
        let queries = queries8(head, t, c, lane);
        /* unroll */ for (var r = 0u; r < ROWS; r++) { dkey[r][c] += queries.low * dlow[r] + queries.high * dhigh[r]; }
      }
    }
  }
  /* unroll */ for (var r = 0u; r < ROWS; r++) {
    let j = first + lane + r * LANES;
    if (j >= params.keys) { return; }
    let start = k_start(head, j);
    let v_row = v_start(head, j);
    /* unroll */ for (var c = 0u; c < QUADS; c++) {
      put_dkv(start, c, dkey[r][c] * params.scale);
      put_dkv(v_row, c, dvalue[r][c]);
    }
  }
}
