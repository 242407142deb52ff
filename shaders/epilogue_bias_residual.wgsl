// y = (value + bias) + residual; a residual with fewer rows than y repeats.
const ROW_SUMS = false;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read> residual: array<f32>;

fn put(m: u32, n: u32, value: f32) {
  let i = (m % params.residual_rows) * params.columns + n;
  y[m * params.columns + n] = (value + bias[n]) + residual[i];
}

fn store_row_sum(m: u32, sum: f32) {}
