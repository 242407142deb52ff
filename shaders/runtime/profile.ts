/**
 * Times of kernels, as Plan.profile() measures them.
 *
 * Beside plan.ts.
 */

/** Time of one kernel over a profiled run. */
export interface KernelTime {
  readonly name: string;
  readonly count: number;
  readonly milliseconds: number;
  /** Floating-point operations, for products. */
  readonly flops: number;
}

/** Sums by kernel, slowest first. */
export function sumTimes(times: readonly KernelTime[]): KernelTime[] {
  const sums = new Map<string, KernelTime>();
  for (const { name, count, milliseconds, flops } of times) {
    const sum = sums.get(name) ?? { name, count: 0, milliseconds: 0, flops: 0 };
    sums.set(name, {
      name,
      count: sum.count + count,
      milliseconds: sum.milliseconds + milliseconds,
      flops: sum.flops + flops,
    });
  }
  return [...sums.values()].sort((a, b) => b.milliseconds - a.milliseconds);
}
