// The operands of a matrix product y = lhs · rhs, rows x columns, reduced over depth.
// Both stand as they are in memory: lhs is [rows, depth], or [depth, rows] where LHS_TRANSPOSED; rhs is
// [depth, columns], or [columns, depth] where RHS_TRANSPOSED (a linear layer's weight in y = x · Wᵀ).
// They are read by lhs4(i) and rhs4(i), four values from flat index i on (operand_*.wgsl); four values of the result are
// stored by put(m, n, count, value) (epilogue_*.wgsl and output_*.wgsl).
struct Params { rows: u32, columns: u32, depth: u32, residual_rows: u32, slice_depth: u32 }
override LHS_TRANSPOSED: bool = false;
override RHS_TRANSPOSED: bool = true;
// Whether depth is no multiple of four, so that the last step of the reduction must be cut off.
override DEPTH_TAIL: bool = true;
// Whether y already holds something to be added to.
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;

// The depth may be split over the grid's third dimension: this workgroup's slice begins at k = slice · slice_depth.
var<private> slice: u32;

fn slice_begin() -> u32 { return slice * params.slice_depth; }

fn slice_end() -> u32 { return min(slice_begin() + params.slice_depth, params.depth); }

// Where row m of lhs [rows, depth] begins. Rows past the end repeat the last one.
fn lhs_start(m: u32) -> u32 { return min(m, params.rows - 1u) * params.depth; }

// Depths k to k + 3 of the row that begins at `start`; zero past the end of the depth.
fn lhs_depths(start: u32, k: u32) -> vec4f {
  let a = lhs4(start + k);
  if (DEPTH_TAIL) {
    return select(vec4f(), a, vec4u(k, k + 1u, k + 2u, k + 3u) < vec4u(params.depth));
  }
  return a;
}

// Four rows of lhs [depth, rows] at depth k, which stand at flat index `place`; zero past the end of the depth.
fn lhs_rows(place: u32, k: u32) -> vec4f {
  let a = lhs4(place);
  if (DEPTH_TAIL) { return select(vec4f(), a, k < params.depth); }
  return a;
}

// Row m, or past the end four rows of which some exist: those that do not are never stored.
fn lhs_row(m: u32) -> u32 { return min(m, (params.rows - 1u) & ~3u); }

// Depths k to k + 3 (one matrix column each) by rows m to m + 3 of lhs.
fn lhs_block(m: u32, k: u32) -> mat4x4f {
  if (LHS_TRANSPOSED) {
    let row = lhs_row(m);
    return mat4x4f(
      lhs_rows(k * params.rows + row, k),
      lhs_rows((k + 1u) * params.rows + row, k + 1u),
      lhs_rows((k + 2u) * params.rows + row, k + 2u),
      lhs_rows((k + 3u) * params.rows + row, k + 3u),
    );
  }
  return transpose(mat4x4f(
    lhs_depths(lhs_start(m), k),
    lhs_depths(lhs_start(m + 1u), k),
    lhs_depths(lhs_start(m + 2u), k),
    lhs_depths(lhs_start(m + 3u), k),
  ));
}

// Where four times four values of rhs begin for columns n to n + 3: those columns' in [columns, depth], those of four depths
// in [depth, columns]; rhs_stride() is the way to the next depth.
fn rhs_start(n: u32) -> vec4u {
  let last = params.columns - 1u;
  if (RHS_TRANSPOSED) {
    return min(vec4u(n, n + 1u, n + 2u, n + 3u), vec4u(last)) * params.depth;
  }
  return min(n, last & ~3u) + vec4u(0u, 1u, 2u, 3u) * params.columns;
}

fn rhs_stride() -> u32 { return select(params.columns, 1u, RHS_TRANSPOSED); }

// Depths k to k + 3 (one matrix column each) by four columns of rhs; `offset` is k · rhs_stride(). Past the ends it holds
// other finite values: those depths meet a zero of lhs, those columns are never stored.
fn rhs_block(start: vec4u, offset: u32) -> mat4x4f {
  let block = mat4x4f(
    rhs4(start.x + offset),
    rhs4(start.y + offset),
    rhs4(start.z + offset),
    rhs4(start.w + offset),
  );
  if (RHS_TRANSPOSED) { return transpose(block); }
  return block;
}

// Columns n to n + 3 of row m of the result; what lies past the ends is dropped.
fn store(m: u32, n: u32, value: vec4f) {
  if (m < params.rows && n < params.columns) { put(m, n, min(4u, params.columns - n), value); }
}
