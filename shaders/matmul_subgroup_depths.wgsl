// One step of matmul_subgroup.wgsl for lhs [rows, depth]: lane r of eight loads rows r, r + 8, r + 16 and r + 24 at four
// depths. b and c are the lane's blocks of rhs.
fn lhs_places(row: u32, lane: u32) -> vec4u {
  let m = row + lane;
  return vec4u(lhs_start(m), lhs_start(m + 8u), lhs_start(m + 16u), lhs_start(m + 24u));
}

fn step(places: vec4u, lane: u32, k: u32, rows: u32, b: mat4x4f, c: mat4x4f) {
  let a0 = lhs_depths(places[0], k);
  let a1 = lhs_depths(places[1], k);
  let a2 = lhs_depths(places[2], k);
  let a3 = lhs_depths(places[3], k);
  if (ROW_SUMS) { sum0 += a0; sum1 += a1; sum2 += a2; sum3 += a3; }
  { let x = subgroupBroadcast(a0, 0u); y0 += b * x; z0 += c * x; }
  { let x = subgroupBroadcast(a0, 1u); y1 += b * x; z1 += c * x; }
  { let x = subgroupBroadcast(a0, 2u); y2 += b * x; z2 += c * x; }
  { let x = subgroupBroadcast(a0, 3u); y3 += b * x; z3 += c * x; }
  { let x = subgroupBroadcast(a0, 4u); y4 += b * x; z4 += c * x; }
  { let x = subgroupBroadcast(a0, 5u); y5 += b * x; z5 += c * x; }
  { let x = subgroupBroadcast(a0, 6u); y6 += b * x; z6 += c * x; }
  { let x = subgroupBroadcast(a0, 7u); y7 += b * x; z7 += c * x; }
  { let x = subgroupBroadcast(a1, 0u); y8 += b * x; z8 += c * x; }
  { let x = subgroupBroadcast(a1, 1u); y9 += b * x; z9 += c * x; }
  { let x = subgroupBroadcast(a1, 2u); y10 += b * x; z10 += c * x; }
  { let x = subgroupBroadcast(a1, 3u); y11 += b * x; z11 += c * x; }
  { let x = subgroupBroadcast(a1, 4u); y12 += b * x; z12 += c * x; }
  { let x = subgroupBroadcast(a1, 5u); y13 += b * x; z13 += c * x; }
  { let x = subgroupBroadcast(a1, 6u); y14 += b * x; z14 += c * x; }
  { let x = subgroupBroadcast(a1, 7u); y15 += b * x; z15 += c * x; }
  { let x = subgroupBroadcast(a2, 0u); y16 += b * x; z16 += c * x; }
  { let x = subgroupBroadcast(a2, 1u); y17 += b * x; z17 += c * x; }
  { let x = subgroupBroadcast(a2, 2u); y18 += b * x; z18 += c * x; }
  { let x = subgroupBroadcast(a2, 3u); y19 += b * x; z19 += c * x; }
  { let x = subgroupBroadcast(a2, 4u); y20 += b * x; z20 += c * x; }
  { let x = subgroupBroadcast(a2, 5u); y21 += b * x; z21 += c * x; }
  { let x = subgroupBroadcast(a2, 6u); y22 += b * x; z22 += c * x; }
  { let x = subgroupBroadcast(a2, 7u); y23 += b * x; z23 += c * x; }
  { let x = subgroupBroadcast(a3, 0u); y24 += b * x; z24 += c * x; }
  { let x = subgroupBroadcast(a3, 1u); y25 += b * x; z25 += c * x; }
  { let x = subgroupBroadcast(a3, 2u); y26 += b * x; z26 += c * x; }
  { let x = subgroupBroadcast(a3, 3u); y27 += b * x; z27 += c * x; }
  { let x = subgroupBroadcast(a3, 4u); y28 += b * x; z28 += c * x; }
  { let x = subgroupBroadcast(a3, 5u); y29 += b * x; z29 += c * x; }
  { let x = subgroupBroadcast(a3, 6u); y30 += b * x; z30 += c * x; }
  { let x = subgroupBroadcast(a3, 7u); y31 += b * x; z31 += c * x; }
}

fn store_row_sums(row: u32, lane: u32) {
  if (lane >= 8u) { return; }
  store_row_sum(row + lane, dot(sum0, vec4f(1.0)));
  store_row_sum(row + lane + 8u, dot(sum1, vec4f(1.0)));
  store_row_sum(row + lane + 16u, dot(sum2, vec4f(1.0)));
  store_row_sum(row + lane + 24u, dot(sum3, vec4f(1.0)));
}
