// Matrix product by one subgroup: a workgroup is one subgroup of LANES lanes and owns 16 rows by 8·LANES columns of y.
// Each lane owns two groups of four columns (n and n + 4·LANES) as 16 + 16 vec4 accumulators in f32. Along the depth, four
// at a time: a lane loads its columns' 4x4 blocks of rhs, and lane r (of the first eight) loads rows r and r + 8 of lhs, which
// subgroupBroadcast hands to all; so each loaded vec4 of rhs meets 16 rows. No workgroup memory, no barrier.
// On lavapipe (8 lanes, two cores) this reached 32 to 34 GFLOP/s in all three layouts where one group of columns had 23 to 28
// (1024 x 1536 x 576).
@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(subgroup_invocation_id) lane: u32,
) {
  let row = workgroup.y * 16u;
  let n = workgroup.x * 8u * LANES + lane * 4u;
  let n2 = n + 4u * LANES;
  let own = lane & 7u;
  var y0 = vec4f(); var y1 = vec4f(); var y2 = vec4f(); var y3 = vec4f();
  var y4 = vec4f(); var y5 = vec4f(); var y6 = vec4f(); var y7 = vec4f();
  var y8 = vec4f(); var y9 = vec4f(); var y10 = vec4f(); var y11 = vec4f();
  var y12 = vec4f(); var y13 = vec4f(); var y14 = vec4f(); var y15 = vec4f();
  var z0 = vec4f(); var z1 = vec4f(); var z2 = vec4f(); var z3 = vec4f();
  var z4 = vec4f(); var z5 = vec4f(); var z6 = vec4f(); var z7 = vec4f();
  var z8 = vec4f(); var z9 = vec4f(); var z10 = vec4f(); var z11 = vec4f();
  var z12 = vec4f(); var z13 = vec4f(); var z14 = vec4f(); var z15 = vec4f();
  var sum = vec4f();
  var sum8 = vec4f();
  for (var k = 0u; k < params.depth; k += 4u) {
    let b = rhs_block(n, k);
    let b2 = rhs_block(n2, k);
    let a = lhs4(row + own, k);
    let a8 = lhs4(row + own + 8u, k);
    if (ROW_SUMS) {
      sum += a;
      sum8 += a8;
    }
    { let x = subgroupBroadcast(a, 0u); y0 += b * x; z0 += b2 * x; }
    { let x = subgroupBroadcast(a, 1u); y1 += b * x; z1 += b2 * x; }
    { let x = subgroupBroadcast(a, 2u); y2 += b * x; z2 += b2 * x; }
    { let x = subgroupBroadcast(a, 3u); y3 += b * x; z3 += b2 * x; }
    { let x = subgroupBroadcast(a, 4u); y4 += b * x; z4 += b2 * x; }
    { let x = subgroupBroadcast(a, 5u); y5 += b * x; z5 += b2 * x; }
    { let x = subgroupBroadcast(a, 6u); y6 += b * x; z6 += b2 * x; }
    { let x = subgroupBroadcast(a, 7u); y7 += b * x; z7 += b2 * x; }
    { let x = subgroupBroadcast(a8, 0u); y8 += b * x; z8 += b2 * x; }
    { let x = subgroupBroadcast(a8, 1u); y9 += b * x; z9 += b2 * x; }
    { let x = subgroupBroadcast(a8, 2u); y10 += b * x; z10 += b2 * x; }
    { let x = subgroupBroadcast(a8, 3u); y11 += b * x; z11 += b2 * x; }
    { let x = subgroupBroadcast(a8, 4u); y12 += b * x; z12 += b2 * x; }
    { let x = subgroupBroadcast(a8, 5u); y13 += b * x; z13 += b2 * x; }
    { let x = subgroupBroadcast(a8, 6u); y14 += b * x; z14 += b2 * x; }
    { let x = subgroupBroadcast(a8, 7u); y15 += b * x; z15 += b2 * x; }
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
  if (ROW_SUMS && workgroup.x == 0u && lane < 8u) {
    store_row_sum(row + own, dot(sum, vec4f(1.0)));
    store_row_sum(row + own + 8u, dot(sum8, vec4f(1.0)));
  }
}
