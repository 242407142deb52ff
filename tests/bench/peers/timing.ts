/**
 * Wall clock and CPU time of a repeated action, as the peers' harness measures them.
 *
 * Under ours.ts and ../pytorch/ours.ts. CPU time is that of the whole process: where the GPU is Mesa's software, that is
 * the computation, and on a shared machine it is steadier than the clock.
 */
import process from "node:process";

/** Medians over the timed calls, in milliseconds. */
export interface Timing {
  readonly ms: number;
  readonly cpu_ms: number;
  /** The first call, which compiles shaders. */
  readonly first_ms: number;
}

/** How often to call. */
export interface Repetition {
  readonly warmup: number;
  readonly runs: number;
}

/** Times `action`, which waits for the GPU. */
export async function time(
  action: () => Promise<unknown>,
  { warmup, runs }: Repetition,
): Promise<Timing> {
  const calls: { ms: number; cpu: number }[] = [];
  for (let call = 0; call < warmup + runs; call++) {
    const [cpu, start] = [cpuMilliseconds(), performance.now()];
    await action();
    calls.push({ ms: performance.now() - start, cpu: cpuMilliseconds() - cpu });
  }
  const timed = calls.slice(warmup);
  return {
    ms: median(timed.map(({ ms }) => ms)),
    cpu_ms: median(timed.map(({ cpu }) => cpu)),
    first_ms: calls[0]?.ms ?? NaN,
  };
}

/** CPU time of this process so far, on all cores. */
export function cpuMilliseconds(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The middle of some numbers, or the mean of both middle ones; NaN of none. */
export function median(numbers: readonly number[]): number {
  const sorted = numbers.toSorted((a, b) => a - b);
  const middle = (sorted.length - 1) / 2;
  return ((sorted[Math.floor(middle)] ?? NaN) + (sorted[Math.ceil(middle)] ?? NaN)) / 2;
}
