// Activations in half precision: only memory is f16, loads convert to f32 at once.
// act_f32.wgsl has the same names for float32 (activation.ts chooses).
enable f16;
alias act = f16;
alias act4 = vec4<f16>;
