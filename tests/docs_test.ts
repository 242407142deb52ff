/**
 * Tests of what README.md and docs/ tell to type: tasks, files and flags exist, and flags take the values that are written.
 */
import { assertEquals, assertGreater, assertStringIncludes, assertThrows } from "@std/assert";
import type { Command } from "../commands/command.ts";
import { type Flags, parseFlags } from "../commands/flags.ts";
import { meaningsIn, pages } from "./docs.ts";
import DENO from "../deno.json" with { type: "json" };

const ROOT = new URL("../", import.meta.url);
const TASKS: Readonly<Record<string, { readonly command: string }>> = DENO.tasks;
const PAGES = [
  "README.md",
  ...[...Deno.readDirSync(new URL("docs/", ROOT))].map(({ name }) => `docs/${name}`)
    .filter((path) => path.endsWith(".md")).sort(),
];

/** What a page tells to type, from its blocks and from what stands between backticks in its text. */
interface Typed {
  /** Without the comment behind it. */
  readonly line: string;
  /** Whether it can be run as it stands. */
  readonly isWhole: boolean;
}

/** The `deno` commands of a page. */
function typedIn(text: string): Typed[] {
  const blocks = [...text.matchAll(/^```\w*\n([^]*?)^```/gm)].map(([, block = ""]) => block);
  const prose = text.replaceAll(/^```[^]*?^```/gm, "");
  const spans = [...prose.matchAll(/`([^`]+)`/g)].map(([, span = ""]) => span);
  const clean = (line: string) =>
    line.replace(/^\$ /, "").replace(/^((time|[A-Z_]+=\S+) )+/, "")
      .replace(/^npx -y deno@2 /, "deno ").replace(/\s+#( .*)?$/, "").trim();
  const isCommand = ({ line }: Typed) => /^deno (run|task|test) /.test(line);
  return [
    ...blocks.flatMap((block) => block.replaceAll(/\s*\\\n\s*(> )?/g, " ").split("\n"))
      .map((line) => ({ line: clean(line), isWhole: true })),
    ...spans.map((span) => ({ line: clean(span.replaceAll(/\s+/g, " ")), isWhole: false })),
  ].filter(isCommand);
}

/** The words of a line, as a shell divides it. */
function wordsOf(line: string): string[] {
  return (line.match(/(?:'[^']*'|"[^"]*"|[^\s'"])+/g) ?? [])
    .map((word) => word.replaceAll(/'([^']*)'|"([^"]*)"/g, "$1$2"));
}

/** The script that a line runs, and what stands behind it. @throws {Error} where there is no such task or file */
function scriptOf(line: string): { readonly script: string; readonly args: readonly string[] } {
  const [, verb = "", ...rest] = wordsOf(line);
  const words = rest.filter((word) => verb === "task" || !/^-/.test(word) || word.startsWith("--"));
  const [name = "", ...args] = words;
  const task = verb === "task" ? TASKS[name] : undefined;
  if (verb === "task" && !task) throw new Error(`there is no task "${name}"`);
  const script = task ? task.command.match(/\S+\.ts$/)?.[0] ?? "" : name;
  if (script !== "") Deno.statSync(new URL(script, ROOT));
  return { script, args };
}

/** Throws where a line cannot be typed; of one that has gaps, only names are looked at. */
async function checkTyped({ line, isWhole }: Typed): Promise<void> {
  const { script, args } = scriptOf(line);
  if (!/^export const COMMAND/m.test(script && Deno.readTextFileSync(new URL(script, ROOT)))) {
    return;
  }
  const { COMMAND: command }: { COMMAND: Command<Flags> } = await import(`${ROOT}${script}`);
  const flags: Flags = { ...command.flags, debug: { help: "" }, help: { help: "" } };
  if (isWhole && !args.includes("…")) return void parseFlags(args, flags, command.positionals);
  const names = args.flatMap((arg) => /^--([\w-]+)/.exec(arg)?.slice(1) ?? []);
  const wrong = names.filter((name) => !(name in flags));
  if (wrong.length > 0) throw new Error(`there is no --${wrong.join(", --")}`);
}

/** What is wrong with a page. */
async function faultsOf(text: string): Promise<string[]> {
  const faults: string[] = [];
  for (const typed of typedIn(text)) {
    await checkTyped(typed).catch((error: Error) => faults.push(`${typed.line}: ${error.message}`));
  }
  return faults;
}

for (const page of PAGES) {
  Deno.test(`${page} tells to type what exists`, async () => {
    assertEquals(await faultsOf(Deno.readTextFileSync(new URL(page, ROOT))), []);
  });
}

Deno.test("settings.md and json.md are what `deno task docs` makes of the code", () => {
  for (const [path, text] of Object.entries(pages())) {
    assertEquals(Deno.readTextFileSync(new URL(path, ROOT)), text, path);
  }
});

Deno.test("meaningsIn() finds the comments of an interface's own keys, and misses none", () => {
  const source = `/** Of the whole. */
interface A<T> extends B {
  /** One. */
  readonly a: number;
  /**
   * Two lines
   * of it.
   */
  c?: { readonly d: number };
}
interface B {
  readonly e: number;
}
`;
  assertEquals([...meaningsIn(source, "A")], [["a", "One."], ["c", "Two lines of it."]]);
  assertThrows(() => meaningsIn(source, "B"), TypeError, '"B.e"');
  assertThrows(() => meaningsIn(source, "C"), TypeError, "no such interface");
});

Deno.test("links between pages lead to files and headings that are there", () => {
  const slug = (heading: string) =>
    heading.toLowerCase().replaceAll(/[^\w\s-]/g, "").trim().replaceAll(/\s/g, "-");
  const broken = PAGES.flatMap((page) => {
    const text = Deno.readTextFileSync(new URL(page, ROOT));
    return [...text.matchAll(/\]\(([^)#:]*)(?:#([^)]*))?\)/g)].filter(([, path = "", anchor]) => {
      const target = new URL(path === "" ? page : path, new URL(path === "" ? "." : page, ROOT));
      try {
        if (anchor === undefined) return !Deno.statSync(target);
        const headings = Deno.readTextFileSync(target).matchAll(/^#+ (.*)$/gm);
        return ![...headings].some(([, heading = ""]) => slug(heading) === anchor);
      } catch {
        return true;
      }
    }).map(([link]) => `${page}: ${link}`);
  });
  assertEquals(broken, []);
});

Deno.test("the rooms' main files are where README.md says", () => {
  const rooms = Deno.readTextFileSync(new URL("README.md", ROOT))
    .matchAll(/^\| `(\w+\/)` .*\| (.*) \|$/gm);
  const files = [...rooms].flatMap(([, room = "", names = ""]) =>
    [...names.matchAll(/`([\w/]+(?:\.ts|\/))`/g)].map(([, name = ""]) => room + name)
  );
  assertGreater(files.length, 30);
  for (const file of files) Deno.statSync(new URL(file, ROOT));
});

Deno.test("what cannot be typed is found, in blocks and in text", async () => {
  const block = (line: string) => `\`\`\`sh\n${line}\n\`\`\`\n`;
  for (
    const [text, fault] of [
      [block("npx -y deno@2 task tran   # trains"), 'no task "tran"'],
      [block("deno task train --presets tiny"), "there is no such flag"],
      [block("deno task train \\\n  --preset huge"), 'found "huge"'],
      [block("HF_HUB_OFFLINE=1 deno run -A generate.ts x.png"), "found no question"],
      [block("$ deno test -A tests/none_test.ts"), "No such file"],
      ["As `deno task eval --chekpoint` does", "there is no --chekpoint"],
      [block("deno run -A generate.ts x.png 'what is it?' # asks"), undefined],
      ["As `deno task eval --checkpoint` or `--nothing` does", undefined],
      [block("deno task train --preset tiny --batch-size 4 …"), undefined],
    ] as const
  ) {
    const [found] = await faultsOf(text);
    if (fault === undefined) assertEquals(found, undefined);
    else assertStringIncludes(found ?? "", fault);
  }
});

Deno.test("messages tell to type tasks that exist", () => {
  const scripts = ["", "commands/", "data/", "data/hub/", "model/", "runs/", "shaders/runtime/"]
    .flatMap((folder) =>
      [...Deno.readDirSync(new URL(folder, ROOT))].flatMap(({ name }) =>
        name.endsWith(".ts") ? [folder + name] : []
      )
    );
  const named = scripts.flatMap((path) =>
    [...Deno.readTextFileSync(new URL(path, ROOT)).matchAll(/deno(?:@2)? task ([\w:]+)/g)]
      .map(([, task = ""]) => task)
  );
  assertEquals([...new Set(named)].filter((task) => !(task in TASKS)), []);
});
