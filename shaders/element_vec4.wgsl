// Elementwise kernels over flat buffers, four floats a thread.
alias Element = vec4f;
