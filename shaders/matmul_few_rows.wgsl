// Matrix product of few rows, y = lhs · rhsᵀ with ROWS rows (decoding: a weight read once for a few vectors). One subgroup,
// or 64 threads, owns 16 columns of y and all its rows. The lanes share the depth, 4 RUN values a lane at a time (matmul_run*.wgsl): each loads
// its part of the rows once and of all 16 columns, and sums go over the lanes at the end (reduce_*.wgsl). The limit is
// how fast rhs is read.
const COLUMNS = 16u;

@compute @workgroup_size(LANES)
fn forward(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) lane: u32,
) {
  let n = workgroup.x * COLUMNS;
  let depth = params.depth;
  let last = params.columns - 1u;
  var start: array<u32, COLUMNS>;
  var sums: array<vec4f, ROWS * COLUMNS>;
  /* unroll */ for (var c = 0u; c < 16u; c++) {
    start[c] = min(n + c, last) * depth;
    /* unroll */ for (var r = 0u; r < ROWS; r++) { sums[c * ROWS + r] = vec4f(); }
  }
  for (var k = lane * 4u * RUN; k < depth; k += LANES * 4u * RUN) {
    var x: array<vec4f, ROWS * RUN>;
    /* unroll */ for (var r = 0u; r < ROWS; r++) {
      /* unroll */ for (var j = 0u; j < RUN; j++) { x[r * RUN + j] = lhs4(r * depth + k + 4u * j); }
    }
    /* unroll */ for (var c = 0u; c < 16u; c++) {
      let w = rhs_run(start[c] + k);
      /* unroll */ for (var j = 0u; j < RUN; j++) {
        /* unroll */ for (var r = 0u; r < ROWS; r++) { sums[c * ROWS + r] += x[r * RUN + j] * w[j]; }
      }
    }
  }
  /* unroll */ for (var r = 0u; r < ROWS; r++) {
    /* unroll */ for (var q = 0u; q < 4u; q++) {
      let value = vec4f(
        row_sum(dot(sums[4u * q * ROWS + r], vec4f(1.0)), lane),
        row_sum(dot(sums[(4u * q + 1u) * ROWS + r], vec4f(1.0)), lane),
        row_sum(dot(sums[(4u * q + 2u) * ROWS + r], vec4f(1.0)), lane),
        row_sum(dot(sums[(4u * q + 3u) * ROWS + r], vec4f(1.0)), lane),
      );
      if (lane == 0u) { store(r, n + 4u * q, value); }
    }
  }
}
