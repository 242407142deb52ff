// Elementwise kernels over flat buffers, one float a thread: for lengths that are no multiple of four.
alias Element = f32;
