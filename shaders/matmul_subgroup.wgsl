// Matrix product by one subgroup: a workgroup is one subgroup of LANES lanes and owns 32 rows by 8·LANES columns of y.
// Each lane owns two groups of four columns (n and n + 4·LANES) as 32 + 32 vec4 accumulators in f32. Along the depth, four
// at a time: a lane loads its columns' 4x4 blocks of rhs, and the first eight lanes load 32 rows of lhs, which
// subgroupBroadcast hands to all; so each loaded value of rhs meets 32 rows, and each of lhs 8·LANES columns. No workgroup
// memory, no barrier.
// The time goes into loads as much as into products: on lavapipe (8 lanes, GFLOP/s per CPU second at 1024 x 1536 x 576)
// 16 rows had 22, 32 rows 26, 32 rows with wide loads 33, and 64 without any load.
//
// How eight lanes hold 32 rows at four depths, in a mat4x4 of which column g is the lane's part of rows 8g to 8g + 7:
// of lhs [rows, depth], lane r holds row r at four depths; of lhs [depth, rows], lane r holds four rows, from 4 (r / 4)
// on, at depth r % 4.

// Where the lane's four parts begin.
fn lhs_places(row: u32, lane: u32) -> vec4u {
  if (LHS_TRANSPOSED) {
    let m = row + (lane >> 2u) * 4u;
    let first = vec4u(lhs_row(m), lhs_row(m + 8u), lhs_row(m + 16u), lhs_row(m + 24u));
    return first + (lane & 3u) * params.rows;
  }
  let m = row + lane;
  return vec4u(lhs_start(m), lhs_start(m + 8u), lhs_start(m + 16u), lhs_start(m + 24u));
}

fn lhs_values(places: vec4u, lane: u32, k: u32, rows: u32) -> mat4x4f {
  if (LHS_TRANSPOSED) {
    let at = places + k * rows;
    let depth = k + (lane & 3u);
    return mat4x4f(
      lhs_rows(at[0], depth),
      lhs_rows(at[1], depth),
      lhs_rows(at[2], depth),
      lhs_rows(at[3], depth),
    );
  }
  return mat4x4f(
    lhs_depths(places[0], k),
    lhs_depths(places[1], k),
    lhs_depths(places[2], k),
    lhs_depths(places[3], k),
  );
}

// Adds the depths of rows m to m + 7, held as said above, to their sums.
fn store_row_sums(m: u32, lane: u32, values: vec4f) {
  var sum = dot(values, vec4f(1.0));
  if (LHS_TRANSPOSED) {
    let low = subgroupBroadcast(values, 0u) + subgroupBroadcast(values, 1u) +
      subgroupBroadcast(values, 2u) + subgroupBroadcast(values, 3u);
    let high = subgroupBroadcast(values, 4u) + subgroupBroadcast(values, 5u) +
      subgroupBroadcast(values, 6u) + subgroupBroadcast(values, 7u);
    sum = select(low, high, lane >= 4u)[lane & 3u];
  }
  if (lane < 8u) { store_row_sum(m + lane, sum); }
}

// The 32 rows' sums for the lane's two groups of columns, alternating. As a variable of the function, or as two arrays, they
// cost 15 % of the speed on lavapipe.
var<private> tile: array<vec4f, 64>;

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  slice = workgroup.z;
  let row = workgroup.y * 32u;
  let n = workgroup.x * 8u * LANES + lane * 4u;
  let n2 = n + 4u * LANES;
  let places = lhs_places(row, lane & 7u);
  let start = rhs_start(n);
  let start2 = rhs_start(n2);
  let stride = rhs_stride();
  let rows = params.rows;
  let end = slice_end();

  /* unroll */ for (var r = 0u; r < 32u; r++) {
    tile[2u * r] = vec4f();
    tile[2u * r + 1u] = vec4f();
  }
  var sums = mat4x4f();
  for (var k = slice_begin(); k < end; k += 4u) {
    let b = rhs_block(start, k * stride);
    let b2 = rhs_block(start2, k * stride);
    let a = lhs_values(places, lane, k, rows);
    if (ROW_SUMS) { sums += a; }
    if (LHS_TRANSPOSED) {
      /* unroll */ for (var r = 0u; r < 32u; r++) {
        let value = a[r / 8u][r % 4u];
        let x = vec4f(
          subgroupBroadcast(value, r % 8u / 4u * 4u),
          subgroupBroadcast(value, r % 8u / 4u * 4u + 1u),
          subgroupBroadcast(value, r % 8u / 4u * 4u + 2u),
          subgroupBroadcast(value, r % 8u / 4u * 4u + 3u),
        );
        tile[2u * r] += b * x;
        tile[2u * r + 1u] += b2 * x;
      }
    } else {
      /* unroll */ for (var r = 0u; r < 32u; r++) {
        let x = subgroupBroadcast(a[r / 8u], r % 8u);
        tile[2u * r] += b * x;
        tile[2u * r + 1u] += b2 * x;
      }
    }
  }
  /* unroll */ for (var r = 0u; r < 32u; r++) {
    store(row + r, n, tile[2u * r]);
    store(row + r, n2, tile[2u * r + 1u]);
  }
  if (ROW_SUMS && workgroup.x == 0u) {
    /* unroll */ for (var g = 0u; g < 4u; g++) { store_row_sums(row + 8u * g, lane, sums[g]); }
  }
}
