// pre = value + bias, kept for the backward pass, and y = gelu(pre) (gelu.wgsl).
const ROW_SUMS = false;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> pre: array<f32>;

fn store(m: u32, n: u32, value: vec4f) {
  if (m >= params.rows) { return; }
  for (var j = 0u; j < 4u; j++) {
    if (n + j >= params.columns) { return; }
    let i = m * params.columns + n + j;
    let x = value[j] + bias[n + j];
    pre[i] = x;
    y[i] = gelu(x);
  }
}

fn store_row_sum(m: u32, sum: f32) {}
