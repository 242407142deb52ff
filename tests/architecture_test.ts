// Tests of the project's shape: imports go downwards only, files say what they are, and stay short.
import { assert, assertEquals } from "@std/assert";

const ROOT = new URL("../", import.meta.url).pathname;
const NOT_OURS = new Set(["node_modules", "vendor", "checkpoints"]);

/** Rooms that a room may import besides itself; a room that is not named here may import none. */
const BELOW: Readonly<Record<string, readonly string[]>> = {
  model: ["shaders"],
  commands: ["model", "data"],
  runs: ["model", "data"],
};
/** What scripts at the top may import of each other. */
const SCRIPTS_BELOW: Readonly<Record<string, readonly string[]>> = {
  "train.ts": ["eval.ts", "push.ts"],
  "mod.ts": ["train.ts", "eval.ts", "generate.ts", "push.ts"],
};
const LONGEST_FILE = 300;

interface SourceFile {
  readonly path: string;
  readonly text: string;
}

function sourceFiles(folder = ""): SourceFile[] {
  return [...Deno.readDirSync(ROOT + folder)].flatMap(({ name, isDirectory }) => {
    const path = folder + name;
    if (isDirectory) {
      return name.startsWith(".") || NOT_OURS.has(name) ? [] : sourceFiles(`${path}/`);
    }
    if (!/\.(ts|wgsl)$/.test(name)) return [];
    return [{ path, text: Deno.readTextFileSync(ROOT + path) }];
  });
}

const files = sourceFiles();
const product = files.filter(({ path }) => !path.startsWith("tests/"));

/** The first folder of a path, "" for a script at the top. */
function roomOf(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

/** The files that `file` imports, statically, dynamically, or as the URL of a worker. */
function importsOf({ path, text }: SourceFile): string[] {
  const found = text.matchAll(/\b(?:from|import|new URL)\s*\(?\s*"(\.[^"]*)"/g);
  return [...found].map(([, target]) =>
    new URL(target!, `file:///root/${path}`).pathname.slice("/root/".length)
  );
}

function isAllowed(importer: string, imported: string): boolean {
  const from = roomOf(importer), to = roomOf(imported);
  if (from === "tests") return true;
  if (imported === "deno.json") return true; // for the version
  if (imported === "data/file_kind.ts") return true; // which knows of files only
  if (to === "tests" || imported.startsWith("..")) return false;
  if (from === "commands" && imported === "shaders/runtime/device.ts") return true;
  if (from !== "" && to !== "") return from === to || (BELOW[from] ?? []).includes(to);
  if (from !== "") return false;
  if (to === "") return (SCRIPTS_BELOW[importer] ?? []).includes(imported);
  return to !== "shaders" || imported.startsWith("shaders/runtime/");
}

Deno.test("there are files in every room to look at", () => {
  for (const room of ["", "commands", "data", "model", "runs", "shaders", "tests"]) {
    assert(files.some(({ path }) => roomOf(path) === room), `no file in "${room}"`);
  }
});

Deno.test("imports go downwards only", () => {
  const upward = files.flatMap((file) =>
    importsOf(file).filter((imported) => !isAllowed(file.path, imported))
      .map((imported) => `${file.path} imports ${imported}`)
  );
  assertEquals(upward, []);
});

Deno.test("the rule about imports refuses what it should, and finds every kind of import", () => {
  const cases: Array<[string, string, boolean]> = [
    ["train.ts", "import '' from \"./model/config.ts\"", true],
    ["train.ts", 'import { evaluate } from "./eval.ts";', true],
    ["eval.ts", 'import { train } from "./train.ts";', false],
    ["train.ts", 'import { Device } from "./shaders/runtime/device.ts";', true],
    ["train.ts", 'import { linear } from "./shaders/linear.ts";', false],
    ["model/a.ts", 'import {\n  linear,\n} from "../shaders/linear.ts";', true],
    ["model/a.ts", 'import type { Batch } from "../data/collator.ts";', false],
    ["model/a.ts", 'export * from "../mod.ts";', false],
    ["data/a.ts", 'await import("../model/config.ts");', false],
    ["data/a.ts", 'new Worker(new URL("../train.ts", import.meta.url));', false],
    ["data/a.ts", 'new Worker(new URL("./reader_worker.ts", import.meta.url));', true],
    ["shaders/a.ts", 'import "../model/config.ts";', false],
    ["shaders/runtime/a.ts", 'import "../linear.ts";', true],
    ["data/a.ts", 'import { reference } from "../tests/reference/linear.ts";', false],
    ["tests/a.ts", 'import "../model/config.ts";', true],
    ["mod.ts", 'export { evaluate } from "./eval.ts";', true],
    ["generate.ts", 'import "./eval.ts";', false],
    ["runs/a.ts", 'import "../model/config.ts";', true],
    ["runs/a.ts", 'import "../commands/flags.ts";', false],
    ["runs/a.ts", 'import DENO from "../deno.json" with { type: "json" };', true],
    ["commands/a.ts", 'import "../shaders/linear.ts";', false],
    ["elsewhere/a.ts", 'import "../model/config.ts";', false],
  ];
  for (const [path, text, allowed] of cases) {
    const [imported, ...more] = importsOf({ path, text });
    assertEquals(more, []);
    assertEquals(isAllowed(path, imported!), allowed, `${path}: ${text}`);
  }
});

Deno.test("every file opens with a comment", () => {
  const silent = files.filter(({ text }) => !/^(#!.*\n)?\/[/*]/.test(text));
  assertEquals(silent.map(({ path }) => path), []);
});

Deno.test(`no file of the product is longer than ${LONGEST_FILE} lines`, () => {
  const lengths = product.map(({ path, text }) => `${path}: ${text.trimEnd().split("\n").length}`);
  assertEquals(lengths.filter((line) => Number(line.split(": ")[1]) > LONGEST_FILE), []);
});

Deno.test("the product has no default exports and names no path of a developer's machine", () => {
  const wrong = product.filter(({ text }) =>
    /^export default\b/m.test(text) || /["'`(]\/(work|home|Users|tmp)\//.test(text)
  );
  assertEquals(wrong.map(({ path }) => path), []);
});
