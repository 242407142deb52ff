/**
 * Asking again: exponential backoff with jitter, in which a server's Retry-After counts.
 *
 * Above errors.ts; client.ts, download.ts and range_reader.ts use it.
 */
import { HubError, TransientError } from "./errors.ts";

/** How patient to be. */
export interface RetryLimits {
  /** How often to ask without getting any further. */
  readonly attempts: number;
  /** The first pause; each is twice the last. */
  readonly firstDelayMilliseconds: number;
  readonly longestDelayMilliseconds: number;
  /** A server that wants a longer pause than this is taken to be down. */
  readonly longestRetryAfterMilliseconds: number;
  /** A connection on which nothing comes for so long is given up. */
  readonly stallMilliseconds: number;
  /** A download that is slower than `leastBytesPerSecond` for so long is begun anew, where it is. */
  readonly slowMilliseconds: number;
  readonly leastBytesPerSecond: number;
}

/** About half a minute of pauses in all. */
export const PATIENT: RetryLimits = {
  attempts: 6,
  firstDelayMilliseconds: 1000,
  longestDelayMilliseconds: 30_000,
  longestRetryAfterMilliseconds: 300_000,
  stallMilliseconds: 30_000,
  slowMilliseconds: 60_000,
  leastBytesPerSecond: 10_000,
};

function pause(milliseconds: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const stop = () => {
      clearTimeout(timer);
      reject(signal?.reason);
    };
    const timer = setTimeout(() => {
      signal?.removeEventListener("abort", stop);
      resolve();
    }, milliseconds);
    if (signal?.aborted) stop();
    else signal?.addEventListener("abort", stop, { once: true });
  });
}

/** Counts failures of one task and waits between its attempts. */
export class Retries {
  readonly #limits: RetryLimits;
  readonly #signal: AbortSignal | undefined;
  #failures = 0;

  constructor(limits: RetryLimits, signal?: AbortSignal) {
    this.#limits = limits;
    this.#signal = signal;
  }

  /** Says that the last attempt got further than any before, though not to the end. */
  progressed(): void {
    this.#failures = 0;
  }

  /**
   * Waits before the next attempt.
   *
   * @throws the error itself if it will not pass, or did not in all attempts
   */
  async failed(error: unknown): Promise<void> {
    if (!(error instanceof TransientError)) throw error;
    this.#failures++;
    const { attempts, firstDelayMilliseconds, longestDelayMilliseconds } = this.#limits;
    if (this.#failures >= attempts) {
      const status = error.status === undefined ? {} : { status: error.status };
      throw new TransientError(`${error.message} (asked ${this.#failures} times)`, {
        cause: error,
        ...status,
      });
    }
    const asked = error.retryAfterMilliseconds ?? 0;
    if (asked > this.#limits.longestRetryAfterMilliseconds) {
      throw new HubError(
        `${error.message} (it asks to wait ${Math.round(asked / 1000)} seconds)`,
        { cause: error, ...(error.status === undefined ? {} : { status: error.status }) },
      );
    }
    const delay = Math.min(
      longestDelayMilliseconds,
      firstDelayMilliseconds * 2 ** (this.#failures - 1),
    );
    await pause(Math.max(asked, delay * (0.5 + Math.random() / 2)), this.#signal);
  }
}

/** Runs a task until it succeeds, or fails for good. */
export async function retrying<T>(limits: RetryLimits, task: () => Promise<T>): Promise<T> {
  const retries = new Retries(limits);
  while (true) {
    try {
      return await task();
    } catch (error) {
      await retries.failed(error);
    }
  }
}

type WatchLimits = Pick<
  RetryLimits,
  "stallMilliseconds" | "slowMilliseconds" | "leastBytesPerSecond"
>;

/** Gives up on a connection on which nothing comes, or too little. */
export class Watchdog implements Disposable {
  readonly #controller = new AbortController();
  readonly #limits: WatchLimits;
  #start = performance.now();
  #bytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  /** Aborts when time is up, or when `outer` does. */
  readonly signal: AbortSignal;

  constructor(limits: WatchLimits, outer?: AbortSignal) {
    this.#limits = limits;
    this.signal = outer
      ? AbortSignal.any([outer, this.#controller.signal])
      : this.#controller.signal;
    this.fed(0);
  }

  /**
   * Something came: time starts again.
   *
   * @param bytes how much, where speed matters
   * @throws {TransientError} where it has been too little for long
   */
  fed(bytes: number = Infinity): void {
    const { stallMilliseconds, slowMilliseconds, leastBytesPerSecond } = this.#limits;
    const seconds = (performance.now() - this.#start) / 1000;
    this.#bytes += bytes;
    if (seconds * 1000 >= slowMilliseconds) {
      const speed = this.#bytes / seconds;
      if (speed < leastBytesPerSecond) {
        throw new TransientError(
          `Cannot go on reading from the Hub: found ${Math.round(speed)} bytes a second for ${
            Math.round(seconds)
          } seconds, expected at least ${leastBytesPerSecond}`,
        );
      }
      this.#start = performance.now();
      this.#bytes = 0;
    }
    clearTimeout(this.#timer);
    this.#timer = setTimeout(
      () =>
        this.#controller.abort(
          new TransientError(
            `Cannot go on reading from the Hub: found no bytes for ${
              stallMilliseconds / 1000
            } seconds, expected some`,
          ),
        ),
      stallMilliseconds,
    );
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }
}
