// Appends keys and values to a cache: row (b, t) of qkv holds them behind its queries, and they go to row position + t of
// the cache (B, S, width). One thread owns one number.
struct Params { batch: u32, queries: u32, stride: u32, offset: u32, keys: u32, width: u32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> qkv: array<act>;
@group(0) @binding(2) var<storage, read> position: array<u32>;
@group(0) @binding(3) var<storage, read_write> cache: array<act>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.batch * params.queries * params.width) { return; }
  let row = i / params.width;
  let b = row / params.queries;
  let s = position_of(b) + row % params.queries;
  if (s >= params.keys) { return; }
  let channel = i % params.width;
  cache[(b * params.keys + s) * params.width + channel] = qkv[row * params.stride + params.offset + channel];
}
