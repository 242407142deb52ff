// Sums and maxima over a row that one workgroup of 64 threads owns, as a tree in workgroup memory.
// reduce_subgroup.wgsl has the same functions for devices with subgroups (row_reduction.ts chooses).
const LANES: u32 = 64u;
var<workgroup> row_tree: array<f32, 64>;

// Every lane gets the sum of all lanes' values.
fn row_sum(value: f32, lane: u32) -> f32 {
  row_tree[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_tree[lane] += row_tree[lane + half]; }
    workgroupBarrier();
  }
  let sum = row_tree[0];
  workgroupBarrier();
  return sum;
}

// Every lane gets the largest of all lanes' values.
fn row_max(value: f32, lane: u32) -> f32 {
  row_tree[lane] = value;
  workgroupBarrier();
  for (var half = LANES / 2u; half > 0u; half /= 2u) {
    if (lane < half) { row_tree[lane] = max(row_tree[lane], row_tree[lane + half]); }
    workgroupBarrier();
  }
  let largest = row_tree[0];
  workgroupBarrier();
  return largest;
}
