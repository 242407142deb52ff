// Tests of inspect.ts, the command: a dataset with a bad row, JSON, and wrong usage.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { goldenImage, writeCauldron } from "./data/helpers.ts";
import { type Outcome, runProcess } from "./run_helpers.ts";

const PNG = goldenImage("1_gray.png");

async function inFolder(test: (folder: string) => Promise<void>): Promise<void> {
  const folder = await Deno.makeTempDir();
  try {
    writeCauldron(`${folder}/train-0.parquet`, [
      {
        image: PNG,
        turns: [["is it <b>?", "yes"], ["what is it that we all see here?", "a horse"]],
      },
      { image: null, turns: [["is it?", "no"]] },
    ]);
    await test(folder);
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
}

function inspect(...args: string[]): Promise<Outcome> {
  const permissions = ["--allow-env", "--allow-read", "--allow-write"];
  return runProcess(Deno.execPath(), ["run", ...permissions, "--quiet", "inspect.ts", ...args]);
}

Deno.test("deno task data may do what a pattern takes", () =>
  inFolder(async (folder) => {
    const args = ["task", "-q", "data", `${folder}/tr*-[0-9].{parquet,csv}`, "--html"];
    const { code, stdout, stderr } = await runProcess(Deno.execPath(), [
      ...args,
      `${folder}/x.html`,
    ]);
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "2 rows");
  }));

Deno.test("inspect.ts shows a dataset and writes its page", () =>
  inFolder(async (folder) => {
    const path = `${folder}/page.html`;
    const { code, stdout, stderr } = await inspect(
      folder,
      "--set",
      "lm_max_length=46",
      "--html",
      path,
    );
    assertEquals(code, 0, stderr);
    assertStringIncludes(stdout, "Left out: 1 of 2 rows (50.0 %)\n  no picture: 1");
    assertStringIncludes(stdout, "Too long to teach anything: 1 of 2 questions (50.0 %)");
    assertStringIncludes(
      stdout,
      "Answers, 2 different; the most frequent one of each kind is right for",
    );
    assert(stdout.endsWith(
      `Wrote ${path}: open it in a browser.\nTrain on it: deno task train --preset tiny ` +
        `--train-dataset ${folder} --set lm_max_length=46\n`,
    ));
    assertStringIncludes(stderr, "Looked at 2 of 2 rows");
    const page = await Deno.readTextFile(path);
    assertStringIncludes(page, "is it &lt;b&gt;?");
    assertStringIncludes(page, `deno task data ${folder} --set lm_max_length=46 --html ${path}`);
  }));

Deno.test("inspect.ts prints JSON, and takes settings and a limit", () =>
  inFolder(async (folder) => {
    const flags = ["--json", "--limit", "1", "--samples", "0", "--set", "lm_max_length=60"];
    const { code, stdout, stderr } = await inspect(folder, "--html", `${folder}/a.html`, ...flags);
    assertEquals(code, 0, stderr);
    const { rows, scanned, questions, too_long, lm_max_length, html, pictures } = JSON.parse(
      stdout,
    );
    assertEquals({ rows, scanned, questions, too_long, lm_max_length, html }, {
      ...{ rows: 2, scanned: 1, questions: 2, too_long: 0, lm_max_length: 60 },
      html: `${folder}/a.html`,
    });
    assertEquals(pictures.types, { PNG: 1 });
    assert(!(await Deno.readTextFile(html)).includes("As the model sees it"));
  }));

Deno.test("inspect.ts tells as one JSON document what it exported", () =>
  inFolder(async (folder) => {
    const args = ["--export", `${folder}/copy`, "--json"];
    const { code, stdout, stderr } = await inspect(folder, ...args);
    assertEquals(code, 0, stderr);
    const { reason, ...written } = JSON.parse(stdout);
    const counts = { pictures: 1, questions: 2, left_out: 1 };
    assertEquals(written, { folder: `${folder}/copy`, ...counts });
    assertStringIncludes(reason, "found nothing, expected a picture");
  }));

Deno.test("inspect.ts says what is wrong", async () => {
  const none = await inspect();
  assertEquals([none.code, none.stdout], [2, ""]);
  assertStringIncludes(none.stderr, "found no dataset");
  const setting = await inspect("shapes", "--set", "lm_max_lenght=3");
  assertEquals(setting.code, 2);
  assertStringIncludes(setting.stderr, "lm_max_length");
  const page = await inspect("shapes", "--html", "nowhere/page.html");
  assertEquals(page.code, 1);
  assertStringIncludes(page.stderr, 'found no folder "nowhere", expected');
  const missing = await inspect("./nowhere");
  assertEquals([missing.code, missing.stdout], [1, ""]);
  assertStringIncludes(missing.stderr, "nowhere");
});

Deno.test("what deno task data says to train with lets it pass the bad rows", async () => {
  const folder = await Deno.makeTempDir();
  try {
    Deno.writeFileSync(`${folder}/a.png`, PNG);
    const lineOf = async (bad: number) => {
      const lines = Array.from(
        { length: 20 },
        (_, i) =>
          JSON.stringify({ file_name: "a.png", question: "q?", answer: i < bad ? " " : "yes" }),
      );
      Deno.writeTextFileSync(`${folder}/metadata.jsonl`, lines.join("\n"));
      const { code, stdout, stderr } = await inspect(folder, "--html", `${folder}/a.htm`);
      assertEquals(code, 0, stderr);
      return stdout.trimEnd().split("\n").at(-1) ?? "";
    };
    assert((await lineOf(3)).endsWith(`--train-dataset ${folder}`));
    assert((await lineOf(4)).endsWith(`--train-dataset ${folder} --allow-bad-rows 40%`));
    assertStringIncludes(await lineOf(20), "Wrote ");
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
