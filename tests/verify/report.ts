/**
 * What a verification finds: one result a quantity, printed as it comes or all at once as JSON.
 *
 * Below tests/verify.ts; every case writes into a Report. Ours; no upstream.
 */

/** How a comparison ended. `skipped` names what this program does not support. */
export type Status = "ok" | "FAIL" | "skipped";

/** One quantity of one case. */
export interface Result {
  /** Name of the golden folder. */
  readonly case: string;
  readonly quantity: string;
  readonly status: Status;
  /** The largest deviation; in JSON null where it is not finite. */
  readonly deviation?: number;
  /** The largest deviation that is still ok. */
  readonly tolerance?: number;
  /** A reason, or what the numbers count. */
  readonly note?: string;
}

/** Results of each kind. */
export type Totals = Readonly<Record<Status, number>>;

/** Collects results. */
export class Report {
  readonly results: Result[] = [];

  /** `onResult` gets every result at once, to be printed while the rest still runs. */
  constructor(readonly onResult: (result: Result) => void = () => {}) {}

  /** The part of the report that belongs to one golden folder. */
  for(name: string): CaseReport {
    return new CaseReport(this, name);
  }

  /** Adds a result. */
  add(result: Result): void {
    this.results.push(result);
    this.onResult(result);
  }

  /** How many results of each kind there are. */
  get totals(): Totals {
    const count = (status: Status) => this.results.filter((one) => one.status === status).length;
    return { ok: count("ok"), FAIL: count("FAIL"), skipped: count("skipped") };
  }
}

/** The results of one golden folder. */
export class CaseReport {
  constructor(readonly report: Report, readonly name: string) {}

  /** Adds a comparison: ok if `deviation` is at most `tolerance`, which NaN is not. */
  compare(quantity: string, deviation: number, tolerance: number, note?: string): void {
    const status = deviation <= tolerance ? "ok" : "FAIL";
    this.#add({ quantity, status, deviation, tolerance, ...(note ? { note } : {}) });
  }

  /** Adds something that cannot be compared, with the reason. */
  skip(quantity: string, note: string): void {
    this.#add({ quantity, status: "skipped", note });
  }

  /** Runs a part of the verification; what it throws becomes a FAIL of `quantity`, and the rest goes on. */
  async attempt(quantity: string, part: () => void | Promise<void>): Promise<void> {
    try {
      await part();
    } catch (error) {
      const note = error instanceof Error ? error.message : String(error);
      this.#add({ quantity, status: "FAIL", note });
    }
  }

  #add(result: Omit<Result, "case">): void {
    this.report.add({ case: this.name, ...result });
  }
}

/** A result as a line: status, case, quantity, deviation and tolerance, reason. */
export function formatResult(result: Result): string {
  const { status, quantity, deviation, tolerance, note } = result;
  const numbers = deviation === undefined || tolerance === undefined
    ? []
    : [`deviation ${short(deviation)}, tolerance ${short(tolerance)}`];
  const rest = [...numbers, ...(note ? [note] : [])].join("; ");
  return `${status.padEnd(7)} ${result.case}  ${quantity}: ${rest}`;
}

function short(value: number): string {
  return Number.isInteger(value) ? String(value) : value.toExponential(2);
}

/** The last line. */
export function formatTotals({ ok, FAIL, skipped }: Totals): string {
  return `total: ${ok} ok, ${FAIL} FAIL, ${skipped} skipped`;
}
