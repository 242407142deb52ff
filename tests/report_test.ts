// Tests of report.ts, the command: one run, several, and folders that are none.
import { assertEquals, assertStringIncludes } from "@std/assert";
import { runProcess } from "./run_helpers.ts";

function writeRun(folder: string): string {
  Deno.mkdirSync(folder, { recursive: true });
  Deno.writeTextFileSync(`${folder}/metrics.jsonl`, '{"step":1,"loss":2}\n');
  return folder;
}

Deno.test("report.ts makes the page of a run in its folder, and of several where it is told to", async () => {
  const root = await Deno.makeTempDir();
  const [one, other] = [writeRun(`${root}/a/run`), writeRun(`${root}/b/run`)];
  const single = await report(one);
  assertEquals([single.code, single.stdout], [0, `Wrote ${one}/report.html\n`], single.stderr);
  assertStringIncludes(await Deno.readTextFile(`${one}/report.html`), "<h1>run</h1>");
  const both = await report(one, other, "--out", `${root}/both.html`);
  assertEquals(both.code, 0, both.stderr);
  const page = await Deno.readTextFile(`${root}/both.html`);
  assertStringIncludes(page, "<h1>2 runs</h1>");
  for (const name of [one, other]) assertStringIncludes(page, `"name":"${name}"`);
  await Deno.remove(root, { recursive: true });
});

Deno.test("report.ts says what is missing", async () => {
  const folder = await Deno.makeTempDir();
  const empty = await report(folder);
  assertEquals([empty.code, empty.stdout], [1, ""]);
  assertStringIncludes(empty.stderr, "there is no metrics.jsonl in it, expected a folder that");
  const run = writeRun(`${folder}/run`);
  for (const out of [run, `${folder}/no/page.html`]) {
    const { code, stderr } = await report(run, "--out", out);
    assertEquals(code, 1);
    assertStringIncludes(
      stderr,
      `Cannot write the page "${out}": found ${out === run ? "a" : "no"} folder`,
    );
  }
  assertEquals([...Deno.readDirSync(folder)].map(({ name }) => name), ["run"]);
  const none = await report();
  assertEquals(none.code, 2);
  assertStringIncludes(none.stderr, "found no DIR, expected <DIR…>");
  const help = await report("--help");
  assertStringIncludes(help.stdout, "Usage: deno task report <DIR…> [flags]");
  assertEquals((await report("-h")).stdout, help.stdout);
  await Deno.remove(folder, { recursive: true });
});

function report(...args: string[]) {
  const permissions = ["--allow-read", "--allow-write"]; // as in deno.json
  return runProcess(Deno.execPath(), ["run", ...permissions, "--quiet", "report.ts", ...args]);
}
