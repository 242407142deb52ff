/**
 * SIGINT and SIGTERM while a run goes on: the first one asks it to save and stop, the second one ends the process at once.
 *
 * Beside the loop of train.ts. Ours.
 */

/** The exit statuses that say so. */
export const EXIT_STATUS = { SIGINT: 130, SIGTERM: 143 } as const;
type Name = keyof typeof EXIT_STATUS;

/** What asks a run to stop. */
export interface Stop {
  /** The signal that asked for it, if any did. */
  readonly signal: Name | undefined;
  /** Settles when that comes. */
  readonly asked: Promise<void>;
  /** Nothing looks at it any more: what comes is to be as if it were not there. */
  close(): void;
}

/** Never asks. */
export const NEVER: Stop = { signal: undefined, asked: new Promise(() => {}), close: () => {} };

/** Listens until it is closed; before and after, signals end the process as ever. */
export class StopSignals implements Stop {
  readonly asked: Promise<void>;
  #signal: Name | undefined;
  #listeners: readonly (readonly [Name, () => void])[];

  /** `onFirst` is called when the first signal comes. */
  constructor(onFirst: (name: Name) => void) {
    const { promise, resolve } = Promise.withResolvers<void>();
    this.asked = promise;
    // Windows knows no SIGTERM.
    const names: Name[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
    this.#listeners = names.map((name) => {
      const listener = () => {
        if (this.#signal) Deno.exit(EXIT_STATUS[name]);
        this.#signal = name;
        resolve();
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
}
