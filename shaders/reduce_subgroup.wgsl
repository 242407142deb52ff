// Sums and maxima over a row that one workgroup owns, where the workgroup is exactly one subgroup: no barriers.
// reduce_workgroup.wgsl has the same functions for devices without subgroups (row_reduction.ts chooses).
override LANES: u32 = 8u;

// Every lane gets the sum of all lanes' values.
fn row_sum(value: f32, lane: u32) -> f32 {
  return subgroupAdd(value);
}

// Every lane gets the largest of all lanes' values.
fn row_max(value: f32, lane: u32) -> f32 {
  return subgroupMax(value);
}
