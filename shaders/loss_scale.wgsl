// Dynamic loss scaling, decided without the host (torch.amp.GradScaler.update). The loss's gradient was multiplied by the
// scale, so that small gradients survive in f16; scaled_norm [1] is the norm of all gradients so made.
//
// state [4]: scale, steps skipped so far, good steps since the scale changed, steps applied so far (whole numbers; f32
// counts to 2^24). Where the norm is finite the step is applied: good and applied grow by one, and after `interval` good
// steps the scale doubles. Where it is not, the step is skipped and the scale halves. norm [1]: the norm without the
// scale. decision [3], for adamw_mixed.wgsl: what to multiply gradients by, 0 to skip; 1 - beta1^t and 1 - beta2^t, t
// counting the steps applied. One thread.
//
// Differs from GradScaler: the scale stays within 2^-64 and 2^64, so that it and its reciprocal are numbers even if
// gradients vanish for ever, or are never finite.
struct Params { ln_beta1: f32, ln_beta2: f32, interval: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(1) var<storage, read> scaled_norm: array<f32>;
@group(0) @binding(2) var<storage, read_write> state: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> decision: array<f32>;

const LARGEST = 18446744073709551616.0;
const EXPONENT = 0x7f800000u;

// 1 - exp(x) for x <= 0, to a few units in the last place: near 0 a series, where exp(x) is nearly 1. Twelve terms leave
// out less than 2e-10 of the result at -1.
fn one_minus_exp(x: f32) -> f32 {
  if (x < -1.0) { return 1.0 - exp(x); }
  var sum = 1.0;
  for (var k = 13.0; k > 1.5; k -= 1.0) { sum = 1.0 + x / k * sum; }
  return -x * sum;
}

@compute @workgroup_size(1)
fn forward() {
  let scale = state[0];
  norm[0] = scaled_norm[0] / scale;
  if ((bitcast<u32>(scaled_norm[0]) & EXPONENT) == EXPONENT) {
    state[0] = max(scale / 2.0, 1.0 / LARGEST);
    state[1] += 1.0;
    state[2] = 0.0;
    decision[0] = 0.0;
    decision[1] = 1.0;
    decision[2] = 1.0;
    return;
  }
  let good = state[2] + 1.0;
  let grows = good >= params.interval;
  state[0] = select(scale, min(2.0 * scale, LARGEST), grows);
  state[2] = select(good, 0.0, grows);
  let t = state[3] + 1.0;
  state[3] = t;
  decision[0] = 1.0 / scale;
  decision[1] = one_minus_exp(t * params.ln_beta1);
  decision[2] = one_minus_exp(t * params.ln_beta2);
}
