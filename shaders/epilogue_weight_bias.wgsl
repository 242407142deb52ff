// The gradients of a linear layer's weight and bias together: dweight += dyᵀ · x is the product, and dbias += the sums
// of dyᵀ's rows, which pass by anyway.
const ROW_SUMS = true;
@group(0) @binding(4) var<storage, read_write> dbias: array<f32>;

fn put(m: u32, n: u32, count: u32, value: vec4f) {
  let i = m * params.columns + n;
  put_y4(i, count, get_y4(i) + value);
}

fn store_row_sum(m: u32, sum: f32) {
  if (m < params.rows) { dbias[m] += sum; }
}
