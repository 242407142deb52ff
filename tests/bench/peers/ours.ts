/**
 * Our side of the comparison with other WebGPU libraries: prints what the peers' scripts print.
 *
 * A process of its own under main.ts; by itself: deno run -A tests/bench/peers/ours.ts matmul|attn|train [--profile],
 * where --profile adds the time by kernel.
 */
import { openDevice } from "../../../commands/device.ts";
import { attention } from "../../../shaders/attention.ts";
import { matmul } from "../../../shaders/matmul.ts";
import type { Device } from "../../../shaders/runtime/device.ts";
import { Plan } from "../../../shaders/runtime/plan.ts";
import { persistent, read } from "../../../shaders/runtime/tensor.ts";
import { recordTraining } from "./training.ts";
import { time, type Timing } from "./timing.ts";
import { ATTENTION, attentionData, MATMUL, matmulData, TRAINING_STEPS } from "./workloads.ts";

/** Untimed calls at the start, as the peers have. */
const WARMUP = 2;

async function runMatmul(device: Device): Promise<void> {
  const { M: rows, K: depth, N: columns } = MATMUL;
  const data = matmulData();
  const lhs = persistent(device, "lhs", [rows, depth], "f32", data.lhs);
  const rhs = persistent(device, "rhs", [depth, columns], "f32", data.rhs);
  const y = persistent(device, "y", [rows, columns]);
  const plan = await Plan.record(
    device,
    (rec) => matmul(rec, { lhs, rhs, y, rows, columns, depth }),
  );
  const timing = await time(() => runOnce(plan), { warmup: WARMUP, runs: 7 });
  print("matmul_f32_1024x768x3072", timing);
  const result = await read(device, y);
  console.log("check c[0],c[12345]", result[0], result[12345]);
  await profile(plan);
}

async function runAttention(device: Device, causal: boolean): Promise<void> {
  const { T, H, D } = ATTENTION;
  const { q, k, v } = attentionData();
  const packed = new Float32Array(T * 3 * H * D);
  for (let t = 0; t < T; t++) {
    [q, k, v].forEach((x, i) =>
      packed.set(x.subarray(t * H * D, (t + 1) * H * D), (3 * t + i) * H * D)
    );
  }
  const qkv = persistent(device, "qkv", [1, T, 3 * H * D], "f32", packed);
  const plan = await Plan.record(device, (rec) => {
    const position = rec.constant("position 0", [1], "u32", new Uint32Array(1));
    return rec.keep(
      attention(rec, qkv, { heads: H, kvHeads: H, headWidth: D, causal, position }),
    );
  });
  const timing = await time(() => runOnce(plan), { warmup: WARMUP, runs: 15 });
  print(`attention_9h_T128_d64${causal ? "_causal" : ""}`, timing);
  const [result] = await plan.read(plan.result);
  console.log("check", result?.[0], result?.[4321]);
  await profile(plan);
}

async function runTraining(device: Device): Promise<void> {
  const { plan, setStep } = await recordTraining(device);
  const losses: number[] = [];
  const step = async () => {
    setStep(losses.length + 1);
    plan.run();
    const [loss] = await plan.read(plan.result);
    losses.push(loss?.[0] ?? NaN);
  };
  const timing = await time(step, { warmup: WARMUP, runs: TRAINING_STEPS - WARMUP });
  print("train_step_llama_d192_L4_T128_B8", timing);
  console.log("losses", losses.map((loss) => loss.toFixed(4)).join(" "));
  await profile(plan);
}

/** Replays a plan and waits until it is done. */
async function runOnce(plan: Plan): Promise<void> {
  plan.run();
  await plan.device.idle();
}

function print(name: string, timing: Timing): void {
  console.log(JSON.stringify({ name, ...timing }));
}

async function profile(plan: Plan): Promise<void> {
  if (!Deno.args.includes("--profile")) return;
  for (const { name, count, milliseconds } of await plan.profile()) {
    console.log(
      `${milliseconds.toFixed(3).padStart(10)} ms ${String(count).padStart(4)} x ${name}`,
    );
  }
}

const WORKLOADS: Readonly<Record<string, (device: Device) => Promise<void>>> = {
  matmul: runMatmul,
  attn: async (device) => {
    await runAttention(device, false);
    await runAttention(device, true);
  },
  train: runTraining,
};

async function main(name = ""): Promise<void> {
  const run = WORKLOADS[name];
  if (!run) {
    throw new RangeError(`Cannot run "${name}": expected ${Object.keys(WORKLOADS).join(", ")}`);
  }
  const device = await openDevice(true);
  const { vendor, architecture, device: id, description } = device.adapter;
  console.log(JSON.stringify({ adapter: [vendor, architecture, id, description].join("|") }));
  await run(device);
  device.destroy();
}

if (import.meta.main) await main(Deno.args[0]);
