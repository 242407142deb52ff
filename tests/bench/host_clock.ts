/**
 * What feeding the GPU costs the calling thread, and how many launches a step makes, without product code knowing of it.
 */
import process from "node:process";
import { Plan } from "../../shaders/runtime/plan.ts";

/** Nanoseconds that this thread has computed, on Linux; the kernel counts them when the thread stops, so at least every 4 ms. */
const SCHEDULER = "/proc/thread-self/schedstat";

/**
 * Milliseconds that this thread has computed so far. Not the time that passes: lavapipe's submit() waits, without
 * computing, until the work before it is done.
 */
export function threadMilliseconds(): number {
  if (Deno.build.os === "linux") {
    try {
      return Number(Deno.readTextFileSync(SCHEDULER).split(" ")[0]) / 1e6;
    } catch (error) {
      // Only with all permissions; what follows counts in steps of 10 ms on Linux.
      if (!(error instanceof Deno.errors.NotCapable)) throw error;
    }
  }
  const { user, system } = process.threadCpuUsage();
  return (user + system) / 1e3;
}

/** What plans do while some work runs. */
export interface Launches {
  readonly dispatches: number;
  readonly flops: number;
}

/** Runs `work` and counts the kernel launches of all plans that it encodes, and their floating-point operations. */
export async function launchesOf(work: () => Promise<void>): Promise<Launches> {
  const original = Plan.prototype.encode;
  let [dispatches, flops] = [0, 0];
  Plan.prototype.encode = function (encoder) {
    dispatches += this.size.dispatches;
    flops += this.size.flops;
    original.call(this, encoder);
  };
  try {
    await work();
  } finally {
    Plan.prototype.encode = original;
  }
  return { dispatches, flops };
}
