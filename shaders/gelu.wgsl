// GELU in its tanh form and its derivative, for kernels and epilogues that concatenate this file.
//
// gelu(x) = x · s, where s = 0.5 (1 + tanh(u)) = 1 / (1 + exp(-2u)) and u = sqrt(2/π) (x + 0.044715 x³): written
// with exp, whose argument is capped, nothing overflows. gelu'(x) = s + x · ds/dx, ds/dx = 2 s (1 - s) u', and
// 1 - s = exp(-2u) · s, which does not cancel where s is nearly 1.
const GELU_SCALE: f32 = 0.7978845608028654;
const GELU_CUBIC: f32 = 0.044715;
// Beyond this |x| the derivative is 0 or 1 to the last bit of f32.
const GELU_FLAT: f32 = 15.0;

fn gelu_decay(x: f32) -> f32 {
  return exp(min(-2.0 * GELU_SCALE * (x + GELU_CUBIC * x * x * x), 80.0));
}

fn gelu(x: f32) -> f32 {
  return x / (1.0 + gelu_decay(x));
}

fn gelu_gradient(x: f32) -> f32 {
  if (abs(x) > GELU_FLAT) { return select(0.0, 1.0, x > 0.0); }
  let decay = gelu_decay(x);
  let s = 1.0 / (1.0 + decay);
  return s + x * 2.0 * s * (decay * s) * GELU_SCALE * (1.0 + 3.0 * GELU_CUBIC * x * x);
}
