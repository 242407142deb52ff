// parseArgs() of `jsr:@std/cli`, without dotted keys (`--a.b=1` stays the key "a.b"). Our own stand-in, see ../README.md.

/** What parseArgs() understands; every field as in the real package. */
export interface ParseOptions<
  B extends string = string,
  S extends string = string,
  C extends string = string,
  D extends Record<string, unknown> = Record<string, unknown>,
  DD extends boolean = boolean,
> {
  /** Put what follows `--` under the key "--" instead of under `_`. */
  "--"?: DD;
  /** Other names of a key; all of them are set. */
  alias?: Record<string, string | readonly string[]>;
  /** Keys without a value; `true` makes every `--key` without `=` one. */
  boolean?: boolean | B | readonly B[];
  default?: D;
  /** Put everything after the first argument that is no option under `_`. */
  stopEarly?: boolean;
  /** Keys whose values stay strings. */
  string?: S | readonly S[];
  /** Keys whose values are all kept, in an array. */
  collect?: C | readonly C[];
  /** Keys that `--no-key` sets to false. */
  negatable?: string | readonly string[];
  /** Called for what is not defined; what returns false is left out. */
  unknown?: (arg: string, key?: string, value?: unknown) => unknown;
}

type Simplify<T> = { [K in keyof T]: T[K] };

/** The result of parseArgs(): one property per declared key, and `_` with what is no option. */
export type Args<
  B extends string,
  S extends string,
  C extends string,
  D extends Record<string, unknown>,
  DD extends boolean,
> = Simplify<
  & { [K in Exclude<B, C>]: boolean }
  & { [K in Extract<B, C>]: boolean[] }
  & { [K in Extract<S, C>]: string[] }
  & { [K in Exclude<C, S | B>]: unknown[] }
  & { [K in Extract<Exclude<S, C>, keyof D>]: string | D[K] }
  & { [K in Exclude<S, C | keyof D>]?: string | undefined }
  & { [K in Exclude<keyof D, S | B | C>]: unknown }
  & { _: Array<string | number> }
  & (DD extends true ? { "--": string[] } : unknown)
>;

const FLAG = /^-(?:(?<doubleDash>-)(?<negated>no-)?)?(?<key>.+?)(?:=(?<value>.+?))?$/s;
const SHORT_VALUE = /=(?<value>.+)/s;
const NUMBER_AT_END = /-?\d+(\.\d*)?(e-?\d+)?$/;

function isNumber(text: string): boolean {
  return /^0x[0-9a-f]+$/i.test(text) || /^[-+]?(?:\d+(?:\.\d*)?|\.\d+)(e[-+]?\d+)?$/.test(text);
}

function toList<T extends string>(value: T | readonly T[] | undefined): readonly T[] {
  if (value === undefined) return [];
  return typeof value === "string" ? [value] : value;
}

class Parser {
  readonly result: Record<string, unknown> = {};
  readonly rest: Array<string | number> = [];
  readonly booleans: Set<string>;
  readonly strings: Set<string>;
  readonly #aliases = new Map<string, Set<string>>();
  readonly #collected: Set<string>;
  readonly #negatable: Set<string>;
  readonly #allBooleans: boolean;

  constructor(readonly args: readonly string[], readonly options: ParseOptions) {
    for (const [key, value] of Object.entries(options.alias ?? {})) {
      const names = [key, ...toList(value)];
      for (const name of names) this.#aliases.set(name, new Set(names.filter((other) => other !== name)));
    }
    this.#allBooleans = options.boolean === true;
    this.booleans = this.#withAliases(typeof options.boolean === "boolean" ? [] : toList(options.boolean));
    this.strings = this.#withAliases(toList(options.string));
    this.#collected = this.#withAliases(toList(options.collect));
    this.#negatable = this.#withAliases(toList(options.negatable));
  }

  #withAliases(keys: readonly string[]): Set<string> {
    return new Set(keys.flatMap((key) => [key, ...(this.#aliases.get(key) ?? [])]));
  }

  put(key: string, value: unknown, collect: boolean): void {
    for (const name of [key, ...(this.#aliases.get(key) ?? [])]) {
      const old = this.result[name];
      if (!collect || !this.#collected.has(name)) this.result[name] = value;
      else if (Array.isArray(old)) old.push(value);
      else this.result[name] = [value];
    }
  }

  /** Sets what the user wrote, unless it is unknown and the caller refuses it. */
  set(key: string, value: string | boolean, arg: string, collect = true): void {
    const known = this.booleans.has(key) || this.strings.has(key) || this.#aliases.has(key) ||
      (this.#allBooleans && /^--[^=]+$/.test(arg));
    if (!known && this.options.unknown?.(arg, key, value) === false) return;
    const number = typeof value === "string" && !this.strings.has(key) && isNumber(value);
    this.put(key, number ? Number(value) : value, collect);
  }

  /** Whether the argument after a `key` without `=` may be its value. */
  takesValue(key: string): boolean {
    return !this.booleans.has(key);
  }

  /** One `--key`, `--key=value`, `--no-key` or `--key value`; returns how many arguments it used. */
  long(arg: string, next: string | undefined, groups: Record<string, string | undefined>): number {
    let key = groups["key"] ?? "";
    const { value, negated } = groups;
    if (value !== undefined) {
      this.set((negated ?? "") + key, this.booleans.has(key) ? value !== "false" : value, arg);
      return 1;
    }
    if (negated !== undefined) {
      if (this.#negatable.has(key)) {
        this.set(key, false, arg, false);
        return 1;
      }
      key = `no-${key}`;
    }
    if (next !== undefined && next !== "" && !this.#allBooleans && this.takesValue(key) && !next.startsWith("-")) {
      this.set(key, next, arg);
      return 2;
    }
    return this.#flag(key, arg, next);
  }

  #flag(key: string, arg: string, next: string | undefined): number {
    if (next === "true" || next === "false") {
      this.set(key, next === "true", arg);
      return 2;
    }
    this.set(key, this.strings.has(key) ? "" : true, arg);
    return 1;
  }

  /** One `-abc`, `-n5`, `-k=value` or `-k value`; returns how many arguments it used. */
  short(arg: string, next: string | undefined): number {
    const letters = [...arg.slice(1, -1)];
    for (const [j, letter] of letters.entries()) {
      const tail = arg.slice(j + 2);
      const value = this.#attached(letter, tail, letters[j + 1]);
      if (value !== undefined && tail !== "-") {
        this.set(letter, value, arg);
        return 1;
      }
      this.set(letter, tail === "-" ? "-" : this.strings.has(letter) ? "" : true, arg);
    }
    const key = arg.slice(-1);
    if (key === "-") return 1;
    if (next !== undefined && next !== "" && !/^--?[^-]/.test(next) && this.takesValue(key)) {
      this.set(key, next, arg);
      return 2;
    }
    return this.#flag(key, arg, next);
  }

  #attached(letter: string, tail: string, following: string | undefined): string | undefined {
    if (/[A-Za-z]/.test(letter)) {
      const value = SHORT_VALUE.exec(tail)?.groups?.["value"];
      if (value !== undefined) return value;
      if (NUMBER_AT_END.test(tail)) return tail;
    }
    return following !== undefined && /\W/.test(following) ? tail : undefined;
  }

  positional(arg: string): void {
    if (this.options.unknown?.(arg) === false) return;
    this.rest.push(this.strings.has("_") || !isNumber(arg) ? arg : Number(arg));
  }

  fillDefaults(): void {
    for (const [key, value] of Object.entries(this.options.default ?? {})) {
      if (!Object.hasOwn(this.result, key)) this.put(key, value, false);
    }
    for (const key of this.booleans) {
      if (!Object.hasOwn(this.result, key)) this.result[key] = this.#collected.has(key) ? [] : false;
    }
    for (const key of this.strings) {
      if (!Object.hasOwn(this.result, key) && this.#collected.has(key)) this.result[key] = [];
    }
  }
}

/** Takes command line arguments apart, as `parseArgs()` of `jsr:@std/cli` does. */
export function parseArgs<
  const B extends string = never,
  const S extends string = never,
  const C extends string = never,
  D extends Record<string, unknown> = Record<never, never>,
  DD extends boolean = false,
>(args: readonly string[], options: ParseOptions<B, S, C, D, DD> = {}): Args<B, S, C, D, DD> {
  const dashes = args.indexOf("--");
  const before = dashes < 0 ? [...args] : args.slice(0, dashes);
  const after = dashes < 0 ? [] : args.slice(dashes + 1);
  const parser = new Parser(before, options as ParseOptions);
  for (let i = 0; i < before.length;) {
    const arg = before[i] ?? "";
    const groups = FLAG.exec(arg)?.groups;
    if (groups !== undefined) {
      i += groups["doubleDash"] ? parser.long(arg, before[i + 1], groups) : parser.short(arg, before[i + 1]);
      continue;
    }
    parser.positional(arg);
    i++;
    if (options.stopEarly) {
      parser.rest.push(...before.slice(i));
      break;
    }
  }
  parser.fillDefaults();
  const result: Record<string, unknown> = { ...parser.result, _: parser.rest };
  if (options["--"]) result["--"] = after;
  else parser.rest.push(...after);
  return result as Args<B, S, C, D, DD>;
}
