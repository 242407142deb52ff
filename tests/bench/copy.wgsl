// The device's copying speed: y = x, a vec4 at a time, PER_THREAD of them a thread, neighbours by neighbouring threads.
struct Params { length: u32, stride: u32 }
override PER_THREAD: u32 = 1u;

@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> x: array<vec4f>;
@group(0) @binding(2) var<storage, read_write> y: array<vec4f>;

@compute @workgroup_size(256)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let first = flat_index(workgroup, workgroups, 256u, local);
  for (var j = 0u; j < PER_THREAD; j++) {
    let i = first + j * params.stride;
    if (i < params.length) { y[i] = x[i]; }
  }
}
