enable f16;
// Chains of four f16 for multiply_add.wgsl.
alias Element = vec4<f16>;
fn constant(x: f32) -> Element { return vec4<f16>(f16(x)); }
fn start(chain: u32) -> Element { return vec4<f16>(0.0h, 1.0h, 2.0h, 3.0h) + 4.0h * f16(chain); }
fn total(x: Element) -> f32 { return f32(x.x) + f32(x.y) + f32(x.z) + f32(x.w); }
