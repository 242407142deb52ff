// SwiGLU's elementwise half: y = silu(gate) · up, silu(g) = g · s, s = 1 / (1 + exp(-g)).
// gate_up (rows, 2 width): in every row first the gate, then up; y (rows, width). One thread owns one element of y.
//
// dup = dy · silu(gate); dgate = dy · up · s (1 + gate (1 - s)), and 1 - s = exp(-g) · s, which does not cancel.
// exp's argument is capped, so nothing overflows. All arrays in `act`, arithmetic in f32.
struct Params { length: u32, width: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate_up: array<act>;
@group(0) @binding(2) var<storage, read> dy: array<act>;
@group(0) @binding(3) var<storage, read_write> y: array<act>;
@group(0) @binding(4) var<storage, read_write> dgate_up: array<act>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let at = i + i / params.width * params.width;
  let gate = f32(gate_up[at]);
  y[i] = act(gate / (1.0 + exp(min(-gate, 80.0))) * f32(gate_up[at + params.width]));
}

@compute @workgroup_size(64)
fn backward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let at = i + i / params.width * params.width;
  let gate = f32(gate_up[at]);
  let decay = exp(min(-gate, 80.0));
  let s = 1.0 / (1.0 + decay);
  let gradient = f32(dy[i]);
  let dgate = gradient * f32(gate_up[at + params.width]) * s * (1.0 + gate * (decay * s));
  let dup = gradient * gate * s;
  if (ACCUMULATE) {
    dgate_up[at] = act(f32(dgate_up[at]) + dgate);
    dgate_up[at + params.width] = act(f32(dgate_up[at + params.width]) + dup);
  } else {
    dgate_up[at] = act(dgate);
    dgate_up[at + params.width] = act(dup);
  }
}
