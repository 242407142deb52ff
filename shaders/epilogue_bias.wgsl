// y = value + bias.
const ROW_SUMS = false;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;

fn store(m: u32, n: u32, value: vec4f) {
  if (m >= params.rows) { return; }
  for (var j = 0u; j < 4u; j++) {
    if (n + j >= params.columns) { return; }
    y[m * params.columns + n + j] = value[j] + bias[n + j];
  }
}

fn store_row_sum(m: u32, sum: f32) {}
