// Matrix product by one subgroup: a workgroup is one subgroup of LANES lanes and owns 32 rows by 8·LANES columns of y.
// Each lane owns two groups of four columns (n and n + 4·LANES) as 32 + 32 vec4 accumulators in f32. Along the depth, four
// at a time: a lane loads its columns' 4x4 blocks of rhs, and the first eight lanes load 32 rows of lhs, which
// subgroupBroadcast hands to all (step() in matmul_subgroup_depths.wgsl or matmul_subgroup_rows.wgsl); so each loaded value
// of rhs meets 32 rows, and each of lhs 8·LANES columns. No workgroup memory, no barrier.
// The time goes into loads as much as into products: on lavapipe (8 lanes, GFLOP/s per CPU second at 1024 x 1536 x 576)
// 16 rows had 22, 32 rows 26, 32 rows with wide loads 33, and 64 without any load.
var<private> y0: vec4f; var<private> y1: vec4f; var<private> y2: vec4f; var<private> y3: vec4f;
var<private> y4: vec4f; var<private> y5: vec4f; var<private> y6: vec4f; var<private> y7: vec4f;
var<private> y8: vec4f; var<private> y9: vec4f; var<private> y10: vec4f; var<private> y11: vec4f;
var<private> y12: vec4f; var<private> y13: vec4f; var<private> y14: vec4f; var<private> y15: vec4f;
var<private> y16: vec4f; var<private> y17: vec4f; var<private> y18: vec4f; var<private> y19: vec4f;
var<private> y20: vec4f; var<private> y21: vec4f; var<private> y22: vec4f; var<private> y23: vec4f;
var<private> y24: vec4f; var<private> y25: vec4f; var<private> y26: vec4f; var<private> y27: vec4f;
var<private> y28: vec4f; var<private> y29: vec4f; var<private> y30: vec4f; var<private> y31: vec4f;
var<private> z0: vec4f; var<private> z1: vec4f; var<private> z2: vec4f; var<private> z3: vec4f;
var<private> z4: vec4f; var<private> z5: vec4f; var<private> z6: vec4f; var<private> z7: vec4f;
var<private> z8: vec4f; var<private> z9: vec4f; var<private> z10: vec4f; var<private> z11: vec4f;
var<private> z12: vec4f; var<private> z13: vec4f; var<private> z14: vec4f; var<private> z15: vec4f;
var<private> z16: vec4f; var<private> z17: vec4f; var<private> z18: vec4f; var<private> z19: vec4f;
var<private> z20: vec4f; var<private> z21: vec4f; var<private> z22: vec4f; var<private> z23: vec4f;
var<private> z24: vec4f; var<private> z25: vec4f; var<private> z26: vec4f; var<private> z27: vec4f;
var<private> z28: vec4f; var<private> z29: vec4f; var<private> z30: vec4f; var<private> z31: vec4f;
// Sums of lhs over the depth, for store_row_sum().
var<private> sum0: vec4f; var<private> sum1: vec4f; var<private> sum2: vec4f; var<private> sum3: vec4f;

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let row = workgroup.y * 32u;
  let n = workgroup.x * 8u * LANES + lane * 4u;
  let n2 = n + 4u * LANES;
  let places = lhs_places(row, lane & 7u);
  let rhs_n = rhs_start(n);
  let rhs_n2 = rhs_start(n2);
  let stride = rhs_stride();
  let rows = params.rows;
  let depth = params.depth;
  for (var k = 0u; k < depth; k += 4u) {
    step(places, lane, k, rows, rhs_block(rhs_n, k * stride), rhs_block(rhs_n2, k * stride));
  }
  store(row + 0u, n, y0); store(row + 0u, n2, z0);
  store(row + 1u, n, y1); store(row + 1u, n2, z1);
  store(row + 2u, n, y2); store(row + 2u, n2, z2);
  store(row + 3u, n, y3); store(row + 3u, n2, z3);
  store(row + 4u, n, y4); store(row + 4u, n2, z4);
  store(row + 5u, n, y5); store(row + 5u, n2, z5);
  store(row + 6u, n, y6); store(row + 6u, n2, z6);
  store(row + 7u, n, y7); store(row + 7u, n2, z7);
  store(row + 8u, n, y8); store(row + 8u, n2, z8);
  store(row + 9u, n, y9); store(row + 9u, n2, z9);
  store(row + 10u, n, y10); store(row + 10u, n2, z10);
  store(row + 11u, n, y11); store(row + 11u, n2, z11);
  store(row + 12u, n, y12); store(row + 12u, n2, z12);
  store(row + 13u, n, y13); store(row + 13u, n2, z13);
  store(row + 14u, n, y14); store(row + 14u, n2, z14);
  store(row + 15u, n, y15); store(row + 15u, n2, z15);
  store(row + 16u, n, y16); store(row + 16u, n2, z16);
  store(row + 17u, n, y17); store(row + 17u, n2, z17);
  store(row + 18u, n, y18); store(row + 18u, n2, z18);
  store(row + 19u, n, y19); store(row + 19u, n2, z19);
  store(row + 20u, n, y20); store(row + 20u, n2, z20);
  store(row + 21u, n, y21); store(row + 21u, n2, z21);
  store(row + 22u, n, y22); store(row + 22u, n2, z22);
  store(row + 23u, n, y23); store(row + 23u, n2, z23);
  store(row + 24u, n, y24); store(row + 24u, n2, z24);
  store(row + 25u, n, y25); store(row + 25u, n2, z25);
  store(row + 26u, n, y26); store(row + 26u, n2, z26);
  store(row + 27u, n, y27); store(row + 27u, n2, z27);
  store(row + 28u, n, y28); store(row + 28u, n2, z28);
  store(row + 29u, n, y29); store(row + 29u, n2, z29);
  store(row + 30u, n, y30); store(row + 30u, n2, z30);
  store(row + 31u, n, y31); store(row + 31u, n2, z31);
  if (ROW_SUMS && workgroup.x == 0u) { store_row_sums(row, lane); }
}
