// position += 1, for all sequences or each: the step of decoding, counted where the kernels read it. One thread.
@group(0) @binding(1) var<storage, read_write> position: array<u32>;

@compute @workgroup_size(1)
fn forward() {
  for (var b = 0u; b < arrayLength(&position); b++) { position[b] += 1u; }
}
