// One step of matmul_subgroup.wgsl for lhs [depth, rows]: lane r of eight loads one depth, k + r % 4, of four rows, those
// from 4 (r / 4) on, and as many 8, 16 and 24 rows on; a row's four depths come from four lanes. b and c are the lane's
// blocks of rhs.
fn lhs_places(row: u32, lane: u32) -> vec4u {
  let m = row + (lane >> 2u) * 4u;
  let first = vec4u(lhs_row(m), lhs_row(m + 8u), lhs_row(m + 16u), lhs_row(m + 24u));
  return first + (lane & 3u) * params.rows;
}

fn step(places: vec4u, lane: u32, k: u32, rows: u32, b: mat4x4f, c: mat4x4f) {
  let depth = k + (lane & 3u);
  let a0 = lhs_rows(places[0] + k * rows, depth);
  let a1 = lhs_rows(places[1] + k * rows, depth);
  let a2 = lhs_rows(places[2] + k * rows, depth);
  let a3 = lhs_rows(places[3] + k * rows, depth);
  if (ROW_SUMS) { sum0 += a0; sum1 += a1; sum2 += a2; sum3 += a3; }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a0, 0u),
      subgroupBroadcast(a0, 1u),
      subgroupBroadcast(a0, 2u),
      subgroupBroadcast(a0, 3u),
    ));
    y0 += b * x[0]; z0 += c * x[0];
    y1 += b * x[1]; z1 += c * x[1];
    y2 += b * x[2]; z2 += c * x[2];
    y3 += b * x[3]; z3 += c * x[3];
  }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a0, 4u),
      subgroupBroadcast(a0, 5u),
      subgroupBroadcast(a0, 6u),
      subgroupBroadcast(a0, 7u),
    ));
    y4 += b * x[0]; z4 += c * x[0];
    y5 += b * x[1]; z5 += c * x[1];
    y6 += b * x[2]; z6 += c * x[2];
    y7 += b * x[3]; z7 += c * x[3];
  }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a1, 0u),
      subgroupBroadcast(a1, 1u),
      subgroupBroadcast(a1, 2u),
      subgroupBroadcast(a1, 3u),
    ));
    y8 += b * x[0]; z8 += c * x[0];
    y9 += b * x[1]; z9 += c * x[1];
    y10 += b * x[2]; z10 += c * x[2];
    y11 += b * x[3]; z11 += c * x[3];
  }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a1, 4u),
      subgroupBroadcast(a1, 5u),
      subgroupBroadcast(a1, 6u),
      subgroupBroadcast(a1, 7u),
    ));
    y12 += b * x[0]; z12 += c * x[0];
    y13 += b * x[1]; z13 += c * x[1];
    y14 += b * x[2]; z14 += c * x[2];
    y15 += b * x[3]; z15 += c * x[3];
  }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a2, 0u),
      subgroupBroadcast(a2, 1u),
      subgroupBroadcast(a2, 2u),
      subgroupBroadcast(a2, 3u),
    ));
    y16 += b * x[0]; z16 += c * x[0];
    y17 += b * x[1]; z17 += c * x[1];
    y18 += b * x[2]; z18 += c * x[2];
    y19 += b * x[3]; z19 += c * x[3];
  }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a2, 4u),
      subgroupBroadcast(a2, 5u),
      subgroupBroadcast(a2, 6u),
      subgroupBroadcast(a2, 7u),
    ));
    y20 += b * x[0]; z20 += c * x[0];
    y21 += b * x[1]; z21 += c * x[1];
    y22 += b * x[2]; z22 += c * x[2];
    y23 += b * x[3]; z23 += c * x[3];
  }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a3, 0u),
      subgroupBroadcast(a3, 1u),
      subgroupBroadcast(a3, 2u),
      subgroupBroadcast(a3, 3u),
    ));
    y24 += b * x[0]; z24 += c * x[0];
    y25 += b * x[1]; z25 += c * x[1];
    y26 += b * x[2]; z26 += c * x[2];
    y27 += b * x[3]; z27 += c * x[3];
  }
  {
    let x = transpose(mat4x4f(
      subgroupBroadcast(a3, 4u),
      subgroupBroadcast(a3, 5u),
      subgroupBroadcast(a3, 6u),
      subgroupBroadcast(a3, 7u),
    ));
    y28 += b * x[0]; z28 += c * x[0];
    y29 += b * x[1]; z29 += c * x[1];
    y30 += b * x[2]; z30 += c * x[2];
    y31 += b * x[3]; z31 += c * x[3];
  }
}

fn store_four_sums(m: u32, lane: u32, sum: vec4f) {
  let low = subgroupBroadcast(sum, 0u) + subgroupBroadcast(sum, 1u) + subgroupBroadcast(sum, 2u) + subgroupBroadcast(sum, 3u);
  let high = subgroupBroadcast(sum, 4u) + subgroupBroadcast(sum, 5u) + subgroupBroadcast(sum, 6u) + subgroupBroadcast(sum, 7u);
  if (lane < 8u) { store_row_sum(m + lane, select(low, high, lane >= 4u)[lane & 3u]); }
}

fn store_row_sums(row: u32, lane: u32) {
  store_four_sums(row, lane, sum0);
  store_four_sums(row + 8u, lane, sum1);
  store_four_sums(row + 16u, lane, sum2);
  store_four_sums(row + 24u, lane, sum3);
}
