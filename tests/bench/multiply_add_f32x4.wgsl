// Chains of four f32 for multiply_add.wgsl.
alias Element = vec4f;
fn constant(x: f32) -> Element { return vec4f(x); }
fn start(chain: u32) -> Element { return vec4f(0.0, 1.0, 2.0, 3.0) + 4.0 * f32(chain); }
fn total(x: Element) -> f32 { return x.x + x.y + x.z + x.w; }
