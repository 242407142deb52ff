// y = value, or y += value where ACCUMULATE.
const ROW_SUMS = false;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn store(m: u32, n: u32, value: vec4f) {
  if (m >= params.rows) { return; }
  for (var j = 0u; j < 4u; j++) {
    if (n + j >= params.columns) { return; }
    let i = m * params.columns + n + j;
    if (ACCUMULATE) { y[i] += value[j]; } else { y[i] = value[j]; }
  }
}

fn store_row_sum(m: u32, sum: f32) {}
