/**
 * Command-line flags: declared once as data, from which come the parser, its complaints and the help text.
 *
 * First step of train.ts, eval.ts and generate.ts. Ours.
 */
import { parseArgs } from "@std/cli";
import { didYouMean } from "../model/fields.ts";

/** The user called a command wrongly: exit status 2. */
export class UsageError extends Error {
  override name = "UsageError";
}

/** What a number must be. */
export interface NumberRule {
  /** Whether fractions are refused. */
  readonly whole: boolean;
  readonly least: number;
  /** Whether `least` itself is refused. */
  readonly above?: boolean;
  readonly most?: number;
}

/** One flag. */
export interface Flag {
  /** Stands for the value in the help text, such as "DIR"; absent where the flag takes none. */
  readonly value?: string;
  /** Whether the value may be left out: it is "" then. */
  readonly isValueOptional?: boolean;
  /** What it does, for the help text. */
  readonly help: string;
  /** Whether it may be given several times. */
  readonly many?: boolean;
  /** For values that are numbers. */
  readonly number?: NumberRule;
  /** For values that are one of a few words. */
  readonly choices?: readonly string[];
}

/** Flags by name, without dashes. */
export type Flags = Readonly<Record<string, Flag>>;

/** Which precision to compute in; the same in all commands. */
export const DTYPE_FLAG = {
  value: "NAME",
  choices: ["auto", "f16", "f32"],
  help: "f32, f16 (mixed precision), or auto, the default: f16 where the GPU has it and is faster",
} as const satisfies Flag;

/** A whole number of at least `least`. */
export function wholeNumber(least: number, most: number = Number.MAX_SAFE_INTEGER): NumberRule {
  return { whole: true, least, most };
}

/** What the user wrote, checked. */
export class Arguments<F extends Flags> {
  readonly #values: ReadonlyMap<string, readonly string[]>;

  /** Use parseFlags(). */
  constructor(
    /** Arguments that are no flags, in order. */
    readonly positionals: readonly string[],
    values: ReadonlyMap<string, readonly string[]>,
  ) {
    this.#values = values;
  }

  /** Whether a flag was given. */
  has(name: keyof F & string): boolean {
    return this.#values.has(name);
  }

  /** A flag's value, if it was given. */
  text(name: keyof F & string): string | undefined {
    return this.#values.get(name)?.[0];
  }

  /** A flag's value as one of its `choices`, if it was given. */
  choice<T extends string>(name: keyof F & string, choices: readonly T[]): T | undefined {
    return choices.find((choice) => choice === this.text(name));
  }

  /** All values of a flag that may be given several times. */
  texts(name: keyof F & string): readonly string[] {
    return this.#values.get(name) ?? [];
  }

  /** A flag's number, if it was given. */
  number(name: keyof F & string): number | undefined {
    const text = this.text(name);
    return text === undefined ? undefined : Number(text);
  }
}

/**
 * Reads the arguments of a command.
 *
 * @param args as in `Deno.args`
 * @param flags all that the command knows
 * @param positionals names of the arguments that are no flags; all must be there, and of a last one that ends in "…"
 * there may be more
 * @throws {UsageError} where a flag is unknown, given twice, or its value is missing or impossible, or where there are
 * too few or too many other arguments
 */
export function parseFlags<F extends Flags>(
  args: readonly string[],
  flags: F,
  positionals: readonly string[],
): Arguments<F> {
  const names = Object.keys(flags);
  const takesValue = (name: string) => flags[name]?.value !== undefined;
  const unknown: string[] = [];
  const parsed: Record<string, unknown> = parseArgs([...args], {
    string: [...names.filter(takesValue), "_"],
    boolean: names.filter((name) => !takesValue(name)),
    collect: names,
    unknown: (arg, key) => {
      if (key !== undefined) unknown.push(arg);
      return key === undefined;
    },
  });
  const values = new Map<string, readonly string[]>();
  for (const [name, flag] of Object.entries(flags)) {
    const given = [parsed[name] ?? []].flat().map(String);
    if (given.length > 0) values.set(name, checkValues(name, flag, given));
  }
  const [wrong] = unknown;
  if (wrong !== undefined) {
    const name = wrong.replace(/^-+/, "").replace(/=.*/s, "");
    const flag = flags[name]; // known, with nothing behind its "="
    if (flag !== undefined && wrong.startsWith("--")) {
      checkValues(name, { ...flag, isValueOptional: false }, [""]);
      throw new UsageError(`Cannot use "${wrong}": expected --${name}`);
    }
    throw new UsageError(
      `Cannot use "${wrong}": there is no such flag${
        didYouMean(name, names, (known) => `--${known}`)
      }`,
    );
  }
  const rest = [parsed["_"] ?? []].flat().map(String);
  checkPositionals(rest, positionals);
  return new Arguments(rest, values);
}

function checkPositionals(found: readonly string[], expected: readonly string[]): void {
  const isOpen = expected.at(-1)?.endsWith("…") === true;
  const missing = expected[found.length];
  if (missing !== undefined) {
    const all = expected.map((name) => `<${name}>`).join(" ");
    throw new UsageError(`Cannot start: found no ${missing.replace("…", "")}, expected ${all}`);
  }
  if (found.length > expected.length && !isOpen) {
    throw new UsageError(
      `Cannot use the argument "${found[expected.length]}": expected ${
        expected.length === 0 ? "flags only" : `only ${expected.join(" and ")}`
      }; put quotes around text with spaces`,
    );
  }
}

function checkValues(name: string, flag: Flag, values: readonly string[]): readonly string[] {
  if (values.length > 1 && !flag.many) {
    throw new UsageError(`Cannot use --${name}: it is given twice, expected once`);
  }
  if (flag.value === undefined) return values;
  for (const value of values) {
    const expected = expectation(flag);
    if (value === "" && flag.isValueOptional) continue;
    if (value === "") {
      throw new UsageError(
        `Cannot use --${name}: found no value, expected ${expected}; write --${name}=${flag.value} ` +
          `for a value that begins with a dash`,
      );
    }
    if (isPossible(value, flag)) continue;
    const hint = didYouMean(value, flag.choices ?? []);
    throw new UsageError(`Cannot use --${name}: found "${value}", expected ${expected}${hint}`);
  }
  return values;
}

function isPossible(text: string, { number: rule, choices }: Flag): boolean {
  if (choices) return choices.includes(text);
  if (!rule) return true;
  const number = text.trim() === "" ? NaN : Number(text);
  const { whole, least, above = false, most = Infinity } = rule;
  return Number.isFinite(number) && (!whole || Number.isInteger(number)) &&
    (above ? number > least : number >= least) && number <= most;
}

function expectation({ value, number: rule, choices }: Flag): string {
  if (choices) return choices.join(" or ");
  if (!rule) return value ?? "no value";
  const { whole, least, above = false, most = Infinity } = rule;
  const kind = whole ? "a whole number" : "a number";
  const upper = most < Number.MAX_SAFE_INTEGER ? ` and at most ${most}` : "";
  return `${kind} ${above ? "above" : "of at least"} ${least}${upper}`;
}

const HELP_WIDTH = 80;

/** The flags with their descriptions, in two columns. */
export function describeFlags(flags: Flags): string {
  const heads = Object.entries(flags).map(([name, { value, isValueOptional }]) =>
    `  --${name}${value === undefined ? "" : isValueOptional ? ` [${value}]` : ` ${value}`}`
  );
  const indent = Math.max(...heads.map((head) => head.length)) + 2;
  return Object.values(flags).map(({ help }, i) => {
    const lines = wrap(help, HELP_WIDTH - indent);
    return (heads[i] ?? "").padEnd(indent) + lines.join(`\n${" ".repeat(indent)}`);
  }).join("\n");
}

function wrap(text: string, width: number): string[] {
  const lines: string[] = [];
  for (const word of text.split(" ")) {
    const last = lines.at(-1);
    if (last === undefined || last.length + 1 + word.length > width) lines.push(word);
    else lines[lines.length - 1] = `${last} ${word}`;
  }
  return lines;
}
