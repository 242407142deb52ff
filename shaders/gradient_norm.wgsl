// norm[0] = sqrt(sum of g² over all gradients), and scale[0] = min(1, max_norm / (norm + 1e-6)), as torch clips.
//
// square_sums: `groups` workgroups of 256 threads share one gradient of `length` f32, four at a time; workgroup k writes its sum of
// squares to partial_sums[first + k]. finish: one workgroup adds all `length` partial sums. Trees in workgroup memory
// and a fixed order of additions, in f32. A gradient that is not finite makes the norm so, and the scale NaN or 0.
struct Params { length: u32, groups: u32, first: u32, max_norm: f32 }
@group(0) @binding(0) var<uniform> params: Params;
@group(0) @binding(2) var<storage, read_write> partial_sums: array<f32>;
@group(0) @binding(3) var<storage, read_write> norm: array<f32>;
@group(0) @binding(4) var<storage, read_write> scale: array<f32>;
var<workgroup> tree: array<f32, 256>;

fn tree_sum(value: f32, local: u32) -> f32 {
  tree[local] = value;
  workgroupBarrier();
  for (var half = 128u; half > 0u; half /= 2u) {
    if (local < half) { tree[local] += tree[local + half]; }
    workgroupBarrier();
  }
  return tree[0];
}

@compute @workgroup_size(256)
fn square_sums(
  @builtin(workgroup_id) workgroup: vec3u,
  @builtin(local_invocation_index) local: u32,
) {
  var sum = 0.0;
  // Eight threads next to each other own a run of whole rounds of 32 values.
  let runs = params.groups * 32u;
  let run = (params.length + runs * 32u - 1u) / (runs * 32u) * 32u;
  let begin = (workgroup.x * 32u + (local >> 3u)) * run;
  for (var i = begin + (local & 7u) * 4u; i < min(begin + run, params.length); i += 32u) {
    let g = select(vec4f(), gradient4(i), vec4u(i, i + 1u, i + 2u, i + 3u) < vec4u(params.length));
    sum += dot(g, g);
  }
  let total = tree_sum(sum, local);
  if (local == 0u) { partial_sums[params.first + workgroup.x] = total; }
}

@compute @workgroup_size(256)
fn finish(@builtin(local_invocation_index) local: u32) {
  var sum = 0.0;
  for (var i = local; i < params.length; i += 256u) { sum += partial_sums[i]; }
  let total = sqrt(tree_sum(sum, local));
  if (local == 0u) {
    norm[0] = total;
    let wanted = params.max_norm / (total + 1e-6);
    scale[0] = select(wanted, 1.0, wanted > 1.0);
  }
}
