// y = value + residual; a residual with fewer rows than y repeats (a position embedding over the batch).
const ROW_SUMS = false;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;

fn put(m: u32, n: u32, value: f32) {
  y[m * params.columns + n] = value + residual[(m % params.residual_rows) * params.columns + n];
}

fn store_row_sum(m: u32, sum: f32) {}
