// The flat index of a thread in a grid folded into two dimensions (recorder.ts: grid()).
fn flat_index(workgroup: vec3u, workgroups: vec3u, size: u32, local: u32) -> u32 {
  return (workgroup.y * workgroups.x + workgroup.x) * size + local;
}
