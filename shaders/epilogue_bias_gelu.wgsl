// pre = value + bias, kept for the backward pass, and y = gelu(pre) (gelu.wgsl) of pre as it is kept, so that y can be
// made again from it bit for bit.
const ROW_SUMS = false;

fn put(m: u32, n: u32, count: u32, value: vec4f) {
  let i = m * params.columns + n;
  let x = round_pre4(value + bias4(n));
  put_pre4(i, count, x);
  put_y4(i, count, vec4f(gelu(x.x), gelu(x.y), gelu(x.z), gelu(x.w)));
}

fn store_row_sum(m: u32, sum: f32) {}
