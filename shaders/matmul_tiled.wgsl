// Matrix product by tiles in workgroup memory: 64 threads own 64 x 64 of y, each thread 8 x 8 as four 4x4 blocks in f32.
// Along the depth, 16 at a time: the workgroup loads 64 rows of lhs and 64 columns of rhs once, laid out by depth, and
// every thread adds 16 outer products of 8 + 8 values. 8 KiB of workgroup memory.
const TILE = 64u;
const DEPTH = 16u;
var<workgroup> lhs_tile: array<vec4f, 256>; // (depth, row / 4)
var<workgroup> rhs_tile: array<vec4f, 256>; // (depth, column / 4)

// Adds a's four rows by b's four columns; column i of the matrix is row i of y.
fn outer(a: vec4f, b: vec4f) -> mat4x4f {
  return mat4x4f(a.x * b, a.y * b, a.z * b, a.w * b);
}

fn store_block(m: u32, n: u32, block: mat4x4f) {
  store(m, n, block[0]);
  store(m + 1u, n, block[1]);
  store(m + 2u, n, block[2]);
  store(m + 3u, n, block[3]);
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = workgroup.y * TILE;
  let column = workgroup.x * TILE;
  let quad = local & 15u; // four rows of lhs and four columns of rhs to load
  let depth4 = (local >> 4u) * 4u; // at these four depths
  let my_row = (local >> 3u) * 2u; // in quads
  let my_column = (local & 7u) * 2u;
  var y00 = mat4x4f(); var y01 = mat4x4f();
  var y10 = mat4x4f(); var y11 = mat4x4f();
  var sum = 0.0;
  for (var k = 0u; k < params.depth; k += DEPTH) {
    var a = mat4x4f();
    var b = mat4x4f();
    if (k + depth4 < params.depth) {
      let m = row + quad * 4u;
      a = transpose(mat4x4f(
        lhs4(m, k + depth4),
        lhs4(m + 1u, k + depth4),
        lhs4(m + 2u, k + depth4),
        lhs4(m + 3u, k + depth4),
      ));
      b = rhs_block(column + quad * 4u, k + depth4);
    }
    for (var j = 0u; j < 4u; j++) {
      lhs_tile[(depth4 + j) * 16u + quad] = a[j];
      rhs_tile[(depth4 + j) * 16u + quad] = b[j];
    }
    workgroupBarrier();
    for (var j = 0u; j < DEPTH; j++) {
      let a0 = lhs_tile[j * 16u + my_row];
      let a1 = lhs_tile[j * 16u + my_row + 1u];
      let b0 = rhs_tile[j * 16u + my_column];
      let b1 = rhs_tile[j * 16u + my_column + 1u];
      y00 += outer(a0, b0); y01 += outer(a0, b1);
      y10 += outer(a1, b0); y11 += outer(a1, b1);
      if (ROW_SUMS) { sum += lhs_tile[j * 16u + (local >> 2u)][local & 3u]; }
    }
    workgroupBarrier();
  }
  let m = row + my_row * 4u;
  let n = column + my_column * 4u;
  store_block(m, n, y00); store_block(m, n + 4u, y01);
  store_block(m + 4u, n, y10); store_block(m + 4u, n + 4u, y11);
  if (ROW_SUMS && workgroup.x == 0u) { store_row_sum(row + local, sum); }
}
