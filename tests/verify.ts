/**
 * Compares this implementation with the numbers of PyTorch's nanoVLM: `deno task verify --help`.
 *
 * The command line; tests/verify/ has a file for each kind of golden folder. Ours; no upstream.
 */
import { parseArgs } from "@std/cli";
import { verifyBackbone } from "./verify/backbone_case.ts";
import { Context } from "./verify/context.ts";
import { exists, type Kind, kindOf } from "./verify/golden.ts";
import { verifyHash } from "./verify/hash_case.ts";
import { verifyImages } from "./verify/images.ts";
import { verifyModel } from "./verify/model_case.ts";
import { type CaseReport, formatResult, formatTotals, Report } from "./verify/report.ts";
import { verifyTables } from "./verify/tables.ts";

const HELP = `Compares this implementation with the numbers of PyTorch's nanoVLM.

Usage: deno task verify DIR... [--json] [--strict]

DIR is a folder of golden files: a model case, the hashed model, backbones, pictures or tables; its files say which. Every
quantity gets a line: "ok" or "FAIL", the case, the quantity, the largest deviation and the tolerance. Cases of nanoVLM
versions after v0.1 are not supported and get the line "skipped".

  --json     print one JSON document, {"results": [...], "totals": {...}}, instead of lines
  --strict   count what is skipped as failed
  --debug    print the stack of an error
  --help     print this text

Exit status: 0 if all is ok, 1 if anything failed, 2 for wrong usage.
`;

/** Where a run of the command line writes. */
export interface Output {
  readonly out: (text: string) => void;
  readonly error: (text: string) => void;
}

const CASES: Readonly<
  Record<Kind, (dir: string, report: CaseReport, context: Context) => Promise<void>>
> = {
  model: verifyModel,
  hash: verifyHash,
  backbone: verifyBackbone,
  images: verifyImages,
  tables: verifyTables,
};

/** Runs the command line; the result is the exit status. */
export async function main(args: readonly string[], output: Output): Promise<number> {
  const unknown: string[] = [];
  const options = parseArgs([...args], {
    boolean: ["json", "strict", "debug", "help"],
    string: ["_"], // a folder may be called 007
    unknown: (arg, key) => {
      if (key === undefined) return true;
      unknown.push(arg);
      return false;
    },
  });
  if (options.help) {
    output.out(HELP);
    return 0;
  }
  const dirs = options._.map(String);
  if (unknown.length > 0 || dirs.length === 0) {
    const found = unknown.length > 0 ? `the option "${unknown[0]}"` : "no folder";
    output.error(
      `Cannot verify: found ${found}, expected DIR... [--json] [--strict]; see deno task verify --help\n`,
    );
    return 2;
  }
  try {
    return await verify(dirs, options, output);
  } catch (error) {
    const { message, stack } = error instanceof Error ? error : new Error(String(error));
    output.error(`${options.debug ? stack : message}\n`);
    return 1;
  }
}

async function verify(
  dirs: readonly string[],
  { json, strict }: { json: boolean; strict: boolean },
  output: Output,
): Promise<number> {
  // Before anything runs, so that a wrong name costs no time.
  const cases = withoutFiles(dirs, output).map((dir) => ({ dir, kind: requireKind(dir) }));
  const report = new Report(json ? undefined : (result) => output.out(`${formatResult(result)}\n`));
  const context = new Context();
  try {
    for (const { dir, kind } of cases) await CASES[kind](dir, report.for(nameOf(dir)), context);
  } finally {
    await context.close();
  }
  const { results, totals } = report;
  output.out(
    json ? `${JSON.stringify({ results, totals }, undefined, 2)}\n` : `${formatTotals(totals)}\n`,
  );
  return totals.FAIL > 0 || (strict && totals.skipped > 0) ? 1 : 0;
}

/** A shell's `golden/*` names the README beside the folders, too: files among folders are passed over, and said. */
function withoutFiles(dirs: readonly string[], output: Output): readonly string[] {
  if (dirs.every(exists)) return dirs;
  for (const file of dirs.filter(exists)) output.error(`Passing over ${file}: it is no folder\n`);
  return dirs.filter((dir) => !exists(dir));
}

function requireKind(dir: string): Kind {
  let found = "no golden files";
  try {
    const kind = kindOf(dir);
    if (kind) return kind;
  } catch (error) {
    found = error instanceof Error ? error.message : String(error);
  }
  throw new RangeError(
    `Cannot verify "${dir}": ${found}, expected a folder of golden files. Check the path.`,
  );
}

function nameOf(dir: string): string {
  return dir.replace(/\/+$/, "").split("/").at(-1) ?? dir;
}

/** Writes all of a text: one write takes only what a pipe has room for. */
function write(stream: { writeSync(bytes: Uint8Array): number }, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let done = 0; done < bytes.length;) done += stream.writeSync(bytes.subarray(done));
}

if (import.meta.main) {
  const status = await main(Deno.args, {
    out: (text) => write(Deno.stdout, text),
    error: (text) => write(Deno.stderr, text),
  });
  Deno.exit(status);
}
