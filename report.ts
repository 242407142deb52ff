/**
 * Makes the page of a run again, from what training left in its folder, or lays several runs over each other in one page.
 *
 * Beside train.ts, which makes the page of its own run. `deno task report --help` shows the command's flags.
 */
import { type Command, runCommand } from "./commands/command.ts";
import type { Arguments, Flags } from "./commands/flags.ts";
import { printLine } from "./data/terminal.ts";
import { requirePagePath, savePage } from "./runs/page/page.ts";
import { readHistory, type RunHistory } from "./runs/run_history.ts";

const FLAGS = {
  "out": {
    value: "FILE",
    help:
      "where to write the page (default: report.html in the run's folder; in this folder for several runs)",
  },
} as const satisfies Flags;

/** Runs whose folders have the same name are called by the whole path. */
function distinctlyNamed(runs: readonly RunHistory[]): RunHistory[] {
  const isShared = (name: string) => runs.filter((run) => run.name === name).length > 1;
  return runs.map((run) => isShared(run.name) ? { ...run, name: run.folder } : run);
}

/** The command. */
export const COMMAND: Command<typeof FLAGS> = {
  call: "deno task report",
  summary: "Makes a page with curves and answers of a run, or of several runs to compare.",
  positionals: ["DIR…"],
  flags: FLAGS,
  run: (args: Arguments<typeof FLAGS>) => {
    const folders = args.positionals;
    const runs = distinctlyNamed(folders.map(readHistory));
    const path = args.text("out") ??
      (folders.length === 1 ? `${folders[0]}/report.html` : "report.html");
    requirePagePath(path);
    savePage(path, runs);
    printLine(`Wrote ${path}`);
    return Promise.resolve();
  },
};

if (import.meta.main) Deno.exit(await runCommand(COMMAND, Deno.args));
