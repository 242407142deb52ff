// position[0] += 1: the step of decoding, counted where the kernels read it. One thread.
@group(0) @binding(1) var<storage, read_write> position: array<u32>;

@compute @workgroup_size(1)
fn forward() { position[0] += 1u; }
