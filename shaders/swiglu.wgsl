// SwiGLU's elementwise half: y = silu(gate) · up, silu(g) = g · s, s = 1 / (1 + exp(-g)).
// gate_up (rows, 2 width): in every row first the gate, then up; y (rows, width). One thread owns a quad, up to four
// neighbouring elements of a row of y (operands.ts); `quads` counts those of all rows.
//
// dup = dy · silu(gate); dgate = dy · up · s (1 + gate (1 - s)), and 1 - s = exp(-g) · s, which does not cancel.
// exp's argument is capped, so nothing overflows. Arithmetic in f32.
struct Params { quads: u32, width: u32 }
override ACCUMULATE: bool = false;
@group(0) @binding(0) var<uniform> params: Params;

// A quad's place: flat indices into y and gate_up, and how many of its elements exist.
struct Quad { y: u32, gate: u32, count: u32 }

fn place(quad: u32) -> Quad {
  let row_quads = (params.width + 3u) / 4u;
  let row = quad / row_quads;
  let c = (quad - row * row_quads) * 4u;
  let y = row * params.width + c;
  return Quad(y, y + row * params.width, min(4u, params.width - c));
}

@compute @workgroup_size(64)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let quad = flat_index(workgroup, workgroups, 64u, local);
  if (quad >= params.quads) { return; }
  let at = place(quad);
  let gate = gate_up4(at.gate);
  let up = gate_up4(at.gate + params.width);
  put_y4(at.y, at.count, gate / (1.0 + exp(min(-gate, vec4f(80.0)))) * up);
}

@compute @workgroup_size(64)
fn backward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(num_workgroups) workgroups: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  let quad = flat_index(workgroup, workgroups, 64u, local);
  if (quad >= params.quads) { return; }
  let at = place(quad);
  let gate = gate_up4(at.gate);
  let decay = exp(min(-gate, vec4f(80.0)));
  let s = 1.0 / (1.0 + decay);
  let gradient = dy4(at.y);
  var dgate = gradient * gate_up4(at.gate + params.width) * s * (1.0 + gate * (decay * s));
  var dup = gradient * gate * s;
  if (ACCUMULATE) {
    dgate += get_dgate_up4(at.gate);
    dup += get_dgate_up4(at.gate + params.width);
  }
  put_dgate_up4(at.gate, at.count, dgate);
  put_dgate_up4(at.gate + params.width, at.count, dup);
}
