// One slice of the depth: y is (slices, rows, columns), to be summed by matmul_sum_slices.wgsl.
const ROW_SUMS = false;

fn put(m: u32, n: u32, count: u32, value: vec4f) {
  put_y4((slice * params.rows + m) * params.columns + n, count, value);
}

fn store_row_sum(m: u32, sum: f32) {}
