// Appends keys and values to a cache: row (b, t) of qkv holds them behind its queries, and they go to row position + t of
// the cache (B, S, width). One thread owns a quad, up to four neighbouring numbers of a row (operands.ts).
struct Params { batch: u32, queries: u32, stride: u32, offset: u32, keys: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read> position: array<u32>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let quad = flat_index(workgroup, workgroups, 64u, local);
  let row_quads = (params.width + 3u) / 4u;
  if (quad >= params.batch * params.queries * row_quads) { return; }
  let row = quad / row_quads;
  let b = row / params.queries;
  let s = position_of(b) + row % params.queries;
  if (s >= params.keys) { return; }
  let c = quad % row_quads * 4u;
  let four = qkv4(row * params.stride + params.offset + c);
  put_cache4((b * params.keys + s) * params.width + c, count_at(c), four);
}
