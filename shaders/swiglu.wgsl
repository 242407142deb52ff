// SwiGLU's elementwise half: y = silu(gate) · up, silu(g) = g · s, s = 1 / (1 + exp(-g)).
// gate_up (rows, 2 width): in every row first the gate, then up; y (rows, width). One thread owns one element of y.
//
// dup = dy · silu(gate); dgate = dy · up · s (1 + gate (1 - s)), and 1 - s = exp(-g) · s, which does not cancel.
// exp's argument is capped, so nothing overflows. In f32.
struct Params { length: u32, width: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> gate_up: array<f32>;
@group(0) @binding(2) var<storage, read> dy: array<f32>;
@group(0) @binding(3) var<storage, read_write> y: array<f32>;
@group(0) @binding(4) var<storage, read_write> dgate_up: array<f32>;

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let i = flat_index(workgroup, workgroups, 64u, local);
  if (i >= params.length) { return; }
  let at = i + i / params.width * params.width;
  let gate = gate_up[at];
  y[i] = gate / (1.0 + exp(min(-gate, 80.0))) * gate_up[at + params.width];
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
  let gate = gate_up[at];
  let decay = exp(min(-gate, 80.0));
  let s = 1.0 / (1.0 + decay);
  let dgate = dy[i] * gate_up[at + params.width] * s * (1.0 + gate * (decay * s));
  let dup = dy[i] * gate * s;
  if (ACCUMULATE) {
    dgate_up[at] += dgate;
    dgate_up[at + params.width] += dup;
  } else {
    dgate_up[at] = dgate;
    dgate_up[at + params.width] = dup;
  }
}
