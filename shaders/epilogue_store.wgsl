// y = value, or y += value where ACCUMULATE.
const ROW_SUMS = false;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;

fn put(m: u32, n: u32, value: f32) {
  let i = m * params.columns + n;
  if (ACCUMULATE) { y[i] += value; } else { y[i] = value; }
}

fn store_row_sum(m: u32, sum: f32) {}
