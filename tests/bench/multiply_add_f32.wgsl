// Chains of one f32 for multiply_add.wgsl.
alias Element = f32;
fn constant(x: f32) -> Element { return x; }
fn start(chain: u32) -> Element { return f32(chain); }
fn total(x: Element) -> f32 { return x; }
