/**
 * Time that the calling thread spends on feeding the GPU: uploads, encoding and submitting.
 *
 * Wraps the synchronous calls that the product makes for each step, so that no product code knows of it.
 */
import { BatchInputs } from "../../model/inputs.ts";
import { Plan } from "../../shaders/runtime/plan.ts";

/** What was spent between start and stop. */
export interface HostTime {
  readonly milliseconds: number;
  /** Kernel launches encoded by Plan.run(). */
  readonly dispatches: number;
}

/**
 * Runs `work` and adds up the time inside BatchInputs.upload(), Plan.run(), and the queue's writeBuffer() and submit(),
 * wherever they are called from; nested calls count once.
 */
export async function hostTimeOf(work: () => Promise<void>): Promise<HostTime> {
  let [milliseconds, dispatches, depth] = [0, 0, 0];
  /** Replaces a method by one that is timed; gives a function that puts it back. */
  const wrap = <K extends string>(
    prototype: Record<K, unknown>,
    name: K,
    before: (self: unknown) => void = () => {},
  ) => {
    const original = prototype[name];
    if (typeof original !== "function") throw new TypeError(`Cannot time ${name}(): no such method`);
    prototype[name] = function (this: unknown, ...args: unknown[]) {
      before(this);
      const start = performance.now();
      depth++;
      try {
        return original.apply(this, args);
      } finally {
        if (--depth === 0) milliseconds += performance.now() - start;
      }
    };
    return () => {
      prototype[name] = original;
    };
  };
  const restore = [
    wrap(BatchInputs.prototype, "upload"),
    wrap(Plan.prototype, "run", (plan) => {
      if (plan instanceof Plan) dispatches += plan.dispatches;
    }),
    wrap(GPUQueue.prototype, "writeBuffer"),
    wrap(GPUQueue.prototype, "submit"),
  ];
  try {
    await work();
  } finally {
    for (const undo of restore) undo();
  }
  return { milliseconds, dispatches };
}
