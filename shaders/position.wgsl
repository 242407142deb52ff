// The position of the first row of sequence b: `position` holds one number for all sequences, or one for each.
fn position_of(b: u32) -> u32 {
  return position[min(b, arrayLength(&position) - 1u)];
}
