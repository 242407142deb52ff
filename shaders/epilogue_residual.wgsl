// y = value + residual; a residual with fewer rows than y repeats (a position embedding over the batch).
const ROW_SUMS = false;

fn put(m: u32, n: u32, count: u32, value: vec4f) {
  let i = (m % params.residual_rows) * params.columns + n;
  put_y4(m * params.columns + n, count, value + residual4(i));
}

fn store_row_sum(m: u32, sum: f32) {}
