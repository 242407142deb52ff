// What matmul_few_rows.wgsl reads of rhs at once: RUN times four values, here one time.

fn rhs_run(i: u32) -> array<vec4f, RUN> { return array(rhs4(i)); }
