/**
 * Runs a command: its flags, its help text, and errors as one line with an exit status.
 *
 * Around train.ts, eval.ts and generate.ts. Ours.
 */
import { denoCommand, terminalColumns } from "../data/terminal.ts";
import { debugText, errorText } from "./error_text.ts";
import { type Arguments, describeFlags, type Flags, parseFlags, UsageError } from "./flags.ts";

/** The user stopped a command by a signal, and it has saved what it had. */
export class Interrupted extends Error {
  override name = "Interrupted";

  /** `status` is the exit status that tells which signal. */
  constructor(message: string, readonly status: number) {
    super(message);
  }
}

/** A command of the command line. */
export interface Command<F extends Flags> {
  /** How it is called, without arguments, such as "deno task eval". */
  readonly call: string;
  /** What it does: the help text's first lines. */
  readonly summary: string;
  /** Names of its arguments that are no flags. */
  readonly positionals: readonly string[];
  /** Its flags, besides --help and --debug. */
  readonly flags: F;
  /** Does it. */
  run(args: Arguments<F>): Promise<void>;
}

const COMMON_FLAGS = {
  debug: { help: "show where in the code an error came from" },
  help: { help: "show this text" },
} as const satisfies Flags;

/**
 * Runs a command and gives the exit status: 0, 1 where it failed, 2 where it was called wrongly, 130 or 143 where a signal
 * stopped it. What went wrong is one line on stderr, folded where that is a terminal.
 */
export async function runCommand<F extends Flags>(
  command: Command<F>,
  args: readonly string[],
): Promise<number> {
  if (args.includes("--help") || args.includes("-h")) {
    console.log(helpText(command));
    return 0;
  }
  quietenDriver();
  try {
    const flags: Flags = { ...command.flags, ...COMMON_FLAGS };
    const { positionals } = command;
    await command.run(parseFlags(args, flags, positionals) as Arguments<F>);
    return 0;
  } catch (error) {
    const isUsage = error instanceof UsageError;
    const columns = Deno.stderr.isTerminal() ? terminalColumns() : undefined;
    const hint = isUsage ? ` See: ${callOf(command)} --help` : "";
    console.error(args.includes("--debug") ? debugText(error) : errorText(error, hint, columns));
    return isUsage ? 2 : error instanceof Interrupted ? error.status : 1;
  }
}

/**
 * Mesa's software driver complains on stderr where the session has no folder for sockets, as in containers, though it
 * needs none. The tasks of deno.json set one; this is for `deno run -A`.
 */
function quietenDriver(): void {
  const name = "XDG_RUNTIME_DIR";
  if (Deno.build.os !== "linux") return;
  if (Deno.permissions.querySync({ name: "env", variable: name }).state !== "granted") return;
  if (!Deno.env.get(name)) Deno.env.set(name, "/tmp");
}

/** How the command is called, by npx where npx brought Deno. */
function callOf({ call }: Pick<Command<Flags>, "call">): string {
  return denoCommand(call.replace(/^deno /, ""));
}

function helpText({ call, summary, positionals, flags }: Command<Flags>): string {
  const usage = [callOf({ call }), ...positionals.map((name) => `<${name}>`), "[flags]"].join(" ");
  return `${summary}\n\nUsage: ${usage}\n\n${describeFlags({ ...flags, ...COMMON_FLAGS })}`;
}
