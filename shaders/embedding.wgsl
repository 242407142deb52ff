// Token lookup: y[r] = table[ids[r]]; ids (rows) u32, table (V, width), y (rows, width). Rows whose id is NO_ROW get
// zeros (scatter_rows.wgsl fills them); an id beyond the table gives NaN, so that it shows. One thread owns one
// element of y.
//
// Backward: dtable[v] += sum over the rows r with ids[r] = v of dy[r], in the order of the rows and without atomics on
// floats, so with the same bits every time:
// link: one workgroup owns one row and finds the next row with its id: next (rows) or NO_ROW, previous (rows) plus 1
//   or 0, which is cleared before.
// sum_chunks: one thread owns one column of one row. Where the row is the first with its id in its chunk of CHUNK
//   rows, it walks that list to the chunk's end, writes the sum, and to jump the row where the list goes on.
// backward_table: where the row is the first of all, it walks from chunk to chunk and adds to the gradient.
// Two levels keep every walk short, even if all rows have one id: software GPUs end loops at 65,535 iterations.
struct Params { rows: u32, width: u32, vocabulary: u32 }
const NO_ROW: u32 = 0xffffffffu;
const CHUNK: u32 = 1024u;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> ids: array<u32>;
@group(0) @binding(2) var<storage, read> table: array<f32>;
@group(0) @binding(3) var<storage, read> dy: array<f32>;
@group(0) @binding(4) var<storage, read_write> y: array<f32>;
@group(0) @binding(5) var<storage, read_write> next: array<u32>;
@group(0) @binding(6) var<storage, read_write> previous: array<u32>;
@group(0) @binding(7) var<storage, read_write> jump: array<u32>;
@group(0) @binding(8) var<storage, read_write> sums: array<f32>;
@group(0) @binding(9) var<storage, read_write> dtable: array<f32>;
var<workgroup> nearest: atomic<u32>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  let row = i / params.width;
  if (row >= params.rows) { return; }
  let id = ids[row];
  if (id == NO_ROW) {
    y[i] = 0.0;
  } else if (id >= params.vocabulary) {
    var nan_bits = 0x7fc00000u;
    y[i] = bitcast<f32>(nan_bits);
  } else {
    y[i] = table[id * params.width + i % params.width];
  }
}

@compute @workgroup_size(64)
fn link(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let row = flat_index(workgroup, workgroups, 1u, 0u);
  if (row >= params.rows) { return; }
  if (local == 0u) { atomicStore(&nearest, NO_ROW); }
  workgroupBarrier();
  let id = ids[row];
  if (id != NO_ROW) {
    for (var r = row + 1u + local; r < params.rows && r < atomicLoad(&nearest); r += 64u) {
      if (ids[r] == id) { atomicMin(&nearest, r); }
    }
  }
  workgroupBarrier();
  if (local == 0u) {
    let found = atomicLoad(&nearest);
    next[row] = found;
    if (found != NO_ROW) { previous[found] = row + 1u; }
  }
}

@compute @workgroup_size(64)
fn sum_chunks(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  let row = i / params.width;
  if (row >= params.rows || ids[row] == NO_ROW) { return; }
  let chunk = row / CHUNK;
  if (previous[row] != 0u && (previous[row] - 1u) / CHUNK == chunk) { return; }
  let c = i % params.width;
  var sum = dy[i];
  var r = next[row];
  while (r != NO_ROW && r / CHUNK == chunk) {
    sum += dy[r * params.width + c];
    r = next[r];
  }
  sums[i] = sum;
  if (c == 0u) { jump[row] = r; }
}

@compute @workgroup_size(64)
fn backward_table(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  let row = i / params.width;
  if (row >= params.rows || ids[row] >= params.vocabulary || previous[row] != 0u) { return; }
  let c = i % params.width;
  var sum = sums[i];
  var r = jump[row];
  while (r != NO_ROW) {
    sum += sums[r * params.width + c];
    r = jump[r];
  }
  dtable[ids[row] * params.width + c] += sum;
}
