// Matrix product by tiles in workgroup memory: TILE_ROWS x TILE_COLUMNS of y belong to a workgroup, 8 x 8 of them to each
// thread as four 4x4 blocks in f32. Along the depth, 16 at a time: the workgroup loads its rows of lhs and columns of rhs
// once, laid out by depth, and every thread adds 16 outer products of 8 + 8 values.
const DEPTH = 16u;
override TILE_ROWS: u32 = 64u;
override TILE_COLUMNS: u32 = 64u;
override THREADS: u32 = 64u; // TILE_ROWS · TILE_COLUMNS / 64
override LHS_BLOCKS: u32 = 256u; // DEPTH · TILE_ROWS / 4
override RHS_BLOCKS: u32 = 256u; // DEPTH · TILE_COLUMNS / 4
var<workgroup> lhs_tile: array<vec4f, LHS_BLOCKS>; // (depth, row / 4)
var<workgroup> rhs_tile: array<vec4f, RHS_BLOCKS>; // (depth, column / 4)

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

// Loads the tiles from depth k on, a 4x4 block a thread at a time: first those of lhs, then those of rhs.
fn load_tiles(row: u32, column: u32, k: u32, local: u32) {
  for (var i = local; i < TILE_ROWS + TILE_COLUMNS; i += THREADS) {
    let is_lhs = i < TILE_ROWS;
    let block = select(i - TILE_ROWS, i, is_lhs);
    let quads = select(TILE_COLUMNS, TILE_ROWS, is_lhs) / 4u;
    let quad = block % quads;
    let depth = (block / quads) * 4u;
    var values = mat4x4f();
    if (k + depth < params.depth) {
      if (is_lhs) { values = lhs_block(row + quad * 4u, k + depth); }
      else { values = rhs_block(rhs_start(column + quad * 4u), (k + depth) * rhs_stride()); }
    }
    for (var j = 0u; j < 4u; j++) {
      let place = (depth + j) * quads + quad;
      if (is_lhs) { lhs_tile[place] = values[j]; } else { rhs_tile[place] = values[j]; }
    }
  }
}

@compute @workgroup_size(THREADS)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  slice = workgroup.z;
  let row = workgroup.y * TILE_ROWS;
  let column = workgroup.x * TILE_COLUMNS;
  let across = TILE_COLUMNS / 8u; // threads side by side
  let my_row = (local / across) * 2u; // in quads
  let my_column = (local % across) * 2u;
  var y00 = mat4x4f(); var y01 = mat4x4f();
  var y10 = mat4x4f(); var y11 = mat4x4f();
  var sum = 0.0;
  let end = slice_end();
  for (var k = slice_begin(); k < end; k += DEPTH) {
    load_tiles(row, column, k, local);
    workgroupBarrier();
    for (var j = 0u; j < DEPTH; j++) {
      let a0 = lhs_tile[j * (TILE_ROWS / 4u) + my_row];
      let a1 = lhs_tile[j * (TILE_ROWS / 4u) + my_row + 1u];
      let b0 = rhs_tile[j * (TILE_COLUMNS / 4u) + my_column];
      let b1 = rhs_tile[j * (TILE_COLUMNS / 4u) + my_column + 1u];
      y00 += outer(a0, b0); y01 += outer(a0, b1);
      y10 += outer(a1, b0); y11 += outer(a1, b1);
      if (ROW_SUMS && local < TILE_ROWS) {
        sum += lhs_tile[j * (TILE_ROWS / 4u) + (local >> 2u)][local & 3u];
      }
    }
    workgroupBarrier();
  }
  let m = row + my_row * 4u;
  let n = column + my_column * 4u;
  store_block(m, n, y00); store_block(m, n + 4u, y01);
  store_block(m + 4u, n, y10); store_block(m + 4u, n + 4u, y11);
  if (ROW_SUMS && workgroup.x == 0u && local < TILE_ROWS) { store_row_sum(row + local, sum); }
}
