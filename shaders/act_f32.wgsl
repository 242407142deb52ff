// Activations in float32. act_f16.wgsl has the same names for mixed precision (activation.ts chooses).
alias act = f32;
alias act4 = vec4f;
