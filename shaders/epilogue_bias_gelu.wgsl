// pre = value + bias, kept for the backward pass, and y = gelu(pre) (gelu.wgsl).
const ROW_SUMS = false;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read> bias: array<f32>;
@group(0) @binding(5) var<storage, read_write> pre: array<f32>;

fn put(m: u32, n: u32, value: f32) {
  let i = m * params.columns + n;
  let x = value + bias[n];
  pre[i] = x;
  y[i] = gelu(x);
}

fn store_row_sum(m: u32, sum: f32) {}
