// y = value, or y += value where ACCUMULATE.
const ROW_SUMS = false;

fn put(m: u32, n: u32, count: u32, value: vec4f) {
  let i = m * params.columns + n;
  if (ACCUMULATE) { put_y4(i, count, get_y4(i) + value); } else { put_y4(i, count, value); }
}

fn store_row_sum(m: u32, sum: f32) {}
