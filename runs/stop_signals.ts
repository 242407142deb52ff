/**
 * SIGINT and SIGTERM while a run or an evaluation goes on: the first one asks it to stop, the second one ends the process at once.
 *
 * Beside the loop of train.ts, and eval.ts. Ours.
 */

/** The exit statuses that say so. */
export const EXIT_STATUS = { SIGINT: 130, SIGTERM: 143 } as const;
type Name = keyof typeof EXIT_STATUS;

/** What asks a run to stop. */
export interface Stop {
  /** The signal that asked for it, if any did. */
  readonly signal: Name | undefined;
  /** Aborted when that comes. */
  readonly asked: AbortSignal;
  /** Nothing looks at it any more: what comes is to be as if it were not there. */
  close(): void;
}

/** Never asks. */
export const NEVER: Stop = {
  signal: undefined,
  asked: new AbortController().signal,
  close: () => {},
};

/** Listens until it is closed; before and after, signals end the process as ever. */
export class StopSignals implements Stop, Disposable {
  readonly asked: AbortSignal;
  #signal: Name | undefined;
  #listeners: readonly (readonly [Name, () => void])[];

  /** `onFirst` is called when the first signal comes. */
  constructor(onFirst: (name: Name) => void) {
    const controller = new AbortController();
    this.asked = controller.signal;
    // Windows knows no SIGTERM.
    const names: Name[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
    this.#listeners = names.map((name) => {
      const listener = () => {
        if (this.#signal) Deno.exit(EXIT_STATUS[name]);
        this.#signal = name;
        controller.abort();
        onFirst(name);
      };
      Deno.addSignalListener(name, listener);
      return [name, listener];
    });
  }

  get signal(): Name | undefined {
    return this.#signal;
  }

  close(): void {
    for (const [name, listener] of this.#listeners) Deno.removeSignalListener(name, listener);
    this.#listeners = [];
  }

  [Symbol.dispose](): void {
    this.close();
  }
}
