// Quads of a row: up to four neighbouring values from column c on, of which those past the row's end are not its own.

// How many of the quad's values exist.
fn count_at(c: u32) -> u32 { return min(4u, params.width - c); }

// The quad with zeros past the row's end, for sums.
fn within(c: u32, four: vec4f) -> vec4f {
  return select(vec4f(), four, vec4u(c, c + 1u, c + 2u, c + 3u) < vec4u(params.width));
}
