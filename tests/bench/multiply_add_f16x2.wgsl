enable f16;
// Chains of two f16, as many GPUs pack them, for multiply_add.wgsl.
alias Element = vec2<f16>;
fn constant(x: f32) -> Element { return vec2<f16>(f16(x)); }
fn start(chain: u32) -> Element { return vec2<f16>(0.0h, 1.0h) + 2.0h * f16(chain); }
fn total(x: Element) -> f32 { return f32(x.x) + f32(x.y); }
