// The operands of a matrix product y = lhs · rhs, rows x columns, reduced over depth.
// Both stand as they are in memory: lhs is [rows, depth], or [depth, rows] where LHS_TRANSPOSED; rhs is
// [depth, columns], or [columns, depth] where RHS_TRANSPOSED (a linear layer's weight in y = x · Wᵀ).
// The right operand is read by rhs4(i), four values from flat index i on (rhs_vec4.wgsl or rhs_scalar.wgsl); one value
// of the result is stored by put(m, n, value) (epilogue_*.wgsl).
struct Params { rows: u32, columns: u32, depth: u32, residual_rows: u32 }
override LHS_TRANSPOSED: bool = false;
override RHS_TRANSPOSED: bool = true;
// Whether depth is no multiple of four, so that the last step of the reduction must be cut off.
override DEPTH_TAIL: bool = true;
// Whether y already holds something to be added to.
override ACCUMULATE: bool = false;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> lhs: array<f32>;

// Row m of lhs at depths k to k + 3; zero past the end of the depth. Rows past the end repeat the last one.
fn lhs4(row: u32, k: u32) -> vec4f {
  let m = min(row, params.rows - 1u);
  var i = m * params.depth + k;
  var stride = 1u;
  if (LHS_TRANSPOSED) {
    i = k * params.rows + m;
    stride = params.rows;
  }
  let a = vec4f(lhs[i], lhs[i + stride], lhs[i + 2u * stride], lhs[i + 3u * stride]);
  if (DEPTH_TAIL) {
    return select(vec4f(), a, vec4u(k, k + 1u, k + 2u, k + 3u) < vec4u(params.depth));
  }
  return a;
}

// Depths k to k + 3 (one matrix column each) by columns n to n + 3 of rhs. Past the ends it holds other finite
// entries of rhs: those depths meet a zero of lhs4, those columns are never stored.
fn rhs_block(column: u32, k: u32) -> mat4x4f {
  let last = params.columns - 1u;
  if (RHS_TRANSPOSED) {
    return transpose(mat4x4f(
      rhs4(min(column, last) * params.depth + k),
      rhs4(min(column + 1u, last) * params.depth + k),
      rhs4(min(column + 2u, last) * params.depth + k),
      rhs4(min(column + 3u, last) * params.depth + k),
    ));
  }
  let n = min(column, last & ~3u);
  let end = params.depth - 1u;
  if (DEPTH_TAIL) {
    return mat4x4f(
      rhs4(k * params.columns + n),
      rhs4(min(k + 1u, end) * params.columns + n),
      rhs4(min(k + 2u, end) * params.columns + n),
      rhs4(min(k + 3u, end) * params.columns + n),
    );
  }
  let i = k * params.columns + n;
  return mat4x4f(
    rhs4(i),
    rhs4(i + params.columns),
    rhs4(i + 2u * params.columns),
    rhs4(i + 3u * params.columns),
  );
}

// Columns n to n + 3 of row m of the result; what lies past the ends is dropped.
fn store(m: u32, n: u32, value: vec4f) {
  if (m >= params.rows) { return; }
  if (n + 4u <= params.columns) {
    put(m, n, value.x);
    put(m, n + 1u, value.y);
    put(m, n + 2u, value.z);
    put(m, n + 3u, value.w);
    return;
  }
  for (var j = 0u; n + j < params.columns; j++) { put(m, n + j, value[j]); }
}
