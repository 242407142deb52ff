// The next token of each row of logits (B, V): the largest one (the lowest index of several), or one drawn from
// softmax(kept / temperature), where top-k and then top-p decide what is kept:
// - top-k keeps the k largest logits and all that tie with the k-th (0 keeps all);
// - top-p keeps the likeliest tokens (lower indices first where equal) while their probabilities, taken over what
//   top-k kept and before the temperature, sum to at most p; the likeliest token always stays.
//
// Nothing is sorted: floats have u32 keys of the same order, and a key, bit by bit from the top, is bisected so that
// enough elements, or enough probability, lie at or above it. NaN has the lowest key and weight 0, so a token is
// always one of 0 .. V - 1.
//
// The draw: u in [0, 1) is the upper 24 bits of scramble(scramble(seed[b] + 0x9e3779b9) ^ position), scramble being Ellis's
// two-multiply hash, so the same seed and position give the same number on every device and in every batch. The token is the
// first whose running sum of weights, by index, exceeds u times their total.
//
// next (B) and history[position · B + b] get the token, probabilities[position · B + b] its probability in softmax(logits),
// before top-k, top-p and temperature; -1 where a logit is NaN or +infinity, for then there are none. One workgroup of 256 threads owns one row; in f32. At
// V = 49,152 a thread's loops take about 16,000 iterations (bisections of 32, 32 and 17 steps over 192 elements each), under the
// 65,535 at which software GPUs end them.
struct Params { batch: u32, V: u32, length: u32, top_k: u32, top_p: f32, temperature: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> logits: array<f32>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read> seed: array<u32>;
@group(0) @binding(4) var<storage, read_write> next: array<u32>;
@group(0) @binding(5) var<storage, read_write> history: array<u32>;
@group(0) @binding(6) var<storage, read_write> probabilities: array<f32>;
const THREADS: u32 = 256u;
var<workgroup> tree: array<f32, 256>;
var<workgroup> counts: array<u32, 256>;
var<workgroup> chosen: u32;

// u32 in the order of the floats: NaN below all, -0 equal to 0.
fn key_of(x: f32) -> u32 {
  let bits = bitcast<u32>(x);
  if ((bits & 0x7fffffffu) > 0x7f800000u) { return 0u; }
  if ((bits & 0x7fffffffu) == 0u) { return 0x80000000u; }
  return select(bits | 0x80000000u, ~bits, (bits >> 31u) == 1u);
}

// The float of a key.
fn value_of(key: u32) -> f32 {
  return bitcast<f32>(select(~key, key & 0x7fffffffu, (key >> 31u) == 1u));
}

fn key_at(row: u32, i: u32) -> u32 { return key_of(logits[row * params.V + i]); }

fn total_of(value: f32, local: u32) -> f32 {
  tree[local] = value;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local < half) { tree[local] += tree[local + half]; }
    workgroupBarrier();
  }
  let total = tree[0];
  workgroupBarrier();
  return total;
}

fn count_of(value: u32, local: u32) -> u32 {
  counts[local] = value;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local < half) { counts[local] += counts[local + half]; }
    workgroupBarrier();
  }
  let total = counts[0];
  workgroupBarrier();
  return total;
}

// The largest key of the row, and the lowest index that has it.
fn largest(row: u32, local: u32) -> vec2u {
  var best_key = 0u;
  var best = params.V;
  for (var i = local; i < params.V; i += THREADS) {
    let key = key_at(row, i);
    if (key > best_key || best == params.V) { best_key = key; best = i; }
  }
  counts[local] = best_key;
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local < half) { counts[local] = max(counts[local], counts[local + half]); }
    workgroupBarrier();
  }
  let key = counts[0];
  workgroupBarrier();
  counts[local] = select(params.V, best, best_key == key);
  workgroupBarrier();
  for (var half = THREADS / 2u; half > 0u; half /= 2u) {
    if (local < half) { counts[local] = min(counts[local], counts[local + half]); }
    workgroupBarrier();
  }
  let index = counts[0];
  workgroupBarrier();
  return vec2u(key, index);
}

// exp((logit - largest) / temperature): exactly 1 at the largest key (infinities included), 0 for NaN below it.
fn weight_of(x: f32, top: vec2u, row: u32, temperature: f32) -> f32 {
  let key = key_of(x);
  if (key == top.x) { return 1.0; }
  if (key == 0u) { return 0.0; }
  return exp((x - logits[row * params.V + top.y]) / temperature);
}

fn count_at_least(row: u32, threshold: u32, local: u32) -> u32 {
  var count = 0u;
  for (var i = local; i < params.V; i += THREADS) {
    if (key_at(row, i) >= threshold) { count++; }
  }
  return count_of(count, local);
}

// Weight at temperature 1 of all keys of at least `threshold`.
fn mass_at_least(row: u32, threshold: u32, top: vec2u, local: u32) -> f32 {
  var mass = 0.0;
  for (var i = local; i < params.V; i += THREADS) {
    let x = logits[row * params.V + i];
    if (key_of(x) >= threshold) { mass += weight_of(x, top, row, 1.0); }
  }
  return total_of(mass, local);
}

// The key of the k-th largest logit; 0 keeps all.
fn top_k_key(row: u32, local: u32) -> u32 {
  if (params.top_k == 0u || params.top_k >= params.V) { return 0u; }
  var threshold = 0u;
  for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
    if (count_at_least(row, threshold | bit, local) >= params.top_k) { threshold |= bit; }
  }
  return threshold;
}

// What is kept: keys above x, and among those equal to x the indices below y.
fn kept_by_top_p(row: u32, k_key: u32, top: vec2u, local: u32) -> vec2u {
  if (params.top_p >= 1.0) { return vec2u(k_key, params.V); }
  let allowed = params.top_p * mass_at_least(row, k_key, top, local);
  // The largest key whose tokens no longer all fit; there is one, since not even all the mass is allowed.
  var edge = 0u;
  for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
    if (mass_at_least(row, edge | bit, top, local) > allowed) { edge |= bit; }
  }
  let above = mass_at_least(row, edge + 1u, top, local);
  let weight = weight_of(value_of(edge), top, row, 1.0);
  let fit = u32(clamp((allowed - above) / weight, select(0.0, 1.0, edge == top.x), f32(params.V)));
  return vec2u(edge, index_after(row, edge, fit, local));
}

// An index below which exactly `fit` elements have the key `edge`.
fn index_after(row: u32, edge: u32, fit: u32, local: u32) -> u32 {
  var index = 0u;
  var bit = 1u;
  while (bit < params.V) { bit <<= 1u; }
  for (; bit > 0u; bit >>= 1u) {
    let candidate = index | bit;
    var count = 0u;
    for (var i = local; i < min(candidate, params.V); i += THREADS) {
      if (key_at(row, i) == edge) { count++; }
    }
    if (count_of(count, local) <= fit) { index = candidate; }
  }
  return index;
}

// Weight of element i in the draw; 0 where it was rejected.
fn draw_weight(row: u32, i: u32, kept: vec2u, top: vec2u) -> f32 {
  let x = logits[row * params.V + i];
  let key = key_of(x);
  if (key < kept.x || (key == kept.x && i >= kept.y)) { return 0.0; }
  return weight_of(x, top, row, params.temperature);
}

fn scramble(value: u32) -> u32 {
  var x = value;
  x ^= x >> 16u;
  x *= 0x7feb352du;
  x ^= x >> 15u;
  x *= 0x846ca68bu;
  x ^= x >> 16u;
  return x;
}

fn uniform_number(row: u32) -> f32 {
  let bits = scramble(scramble(seed[row] + 0x9e3779b9u) ^ position[0]);
  return f32(bits >> 8u) / 16777216.0;
}

// The first index whose running sum exceeds u times the total: thread s sums segment s of the row, one thread finds
// the segment, and the segment's thread the index. Rounding may leave all sums just below: then the last possible one.
fn draw(row: u32, kept: vec2u, top: vec2u, local: u32) -> u32 {
  let segment = (params.V + THREADS - 1u) / THREADS;
  let first = min(local * segment, params.V);
  let last = min(first + segment, params.V);
  var sum = 0.0;
  for (var i = first; i < last; i++) { sum += draw_weight(row, i, kept, top); }
  let total = total_of(sum, local);
  tree[local] = sum;
  workgroupBarrier();
  if (local == 0u) {
    let wanted = uniform_number(row) * total;
    var running = 0.0;
    var found = 0u;
    var rest = 0.0;
    for (var s = 0u; s < THREADS; s++) {
      if (tree[s] > 0.0) {
        found = s;
        rest = wanted - running;
        running += tree[s];
        if (running > wanted) { break; }
      }
    }
    chosen = found;
    tree[0] = rest;
  }
  workgroupBarrier();
  if (local == chosen) {
    let rest = tree[0];
    var running = 0.0;
    var token = top.y;
    for (var i = first; i < last; i++) {
      let weight = draw_weight(row, i, kept, top);
      if (weight > 0.0) {
        token = i;
        running += weight;
        if (running > rest) { break; }
      }
    }
    counts[0] = token;
  }
  workgroupBarrier();
  return counts[0];
}

const KEY_OF_INFINITY: u32 = 0xff800000u;

fn probability_of(row: u32, token: u32, top: vec2u, local: u32) -> f32 {
  var sum = 0.0;
  var broken = 0u;
  for (var i = local; i < params.V; i += THREADS) {
    let x = logits[row * params.V + i];
    let key = key_of(x);
    if (key == 0u || key == KEY_OF_INFINITY) { broken++; }
    sum += weight_of(x, top, row, 1.0);
  }
  let total = total_of(sum, local);
  let is_broken = count_of(broken, local) > 0u;
  return select(weight_of(logits[row * params.V + token], top, row, 1.0) / total, -1.0, is_broken);
}

fn store(row: u32, token: u32, top: vec2u, local: u32) {
  let probability = probability_of(row, token, top, local);
  if (local != 0u) { return; }
  next[row] = token;
  if (position[0] < params.length) {
    history[position[0] * params.batch + row] = token;
    probabilities[position[0] * params.batch + row] = probability;
  }
}

@compute @workgroup_size(256)
fn greedy(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let top = largest(workgroup.x, local);
  store(workgroup.x, top.y, top, local);
}

@compute @workgroup_size(256)
fn random(@builtin(workgroup_id) workgroup: vec3u, @builtin(local_invocation_index) local: u32) {
  let row = workgroup.x;
  let top = largest(row, local);
  let kept = kept_by_top_p(row, top_k_key(row, local), top, local);
  store(row, draw(row, kept, top, local), top, local);
}
