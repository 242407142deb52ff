// Tests of runs/page/: one page that needs nothing else, in which text stays text, of one run and of several.
import { assert, assertEquals, assertStringIncludes } from "@std/assert";
import { encodePng } from "../../../data/png_encoder.ts";
import { html, trusted } from "../../../runs/page/html.ts";
import { reportPage } from "../../../runs/page/page.ts";
import { seriesOf } from "../../../runs/page/series.ts";
import { historyOf, picturePath, readHistory, type RunHistory } from "../../../runs/run_history.ts";

const root = Deno.makeTempDirSync();
addEventListener("unload", () => Deno.removeSync(root, { recursive: true }));

const EVIL = `</script><script>alert("1")</script><img src=x onerror='alert(2)'>&amp;`;

/** A run with a picture, whose texts are all hostile. */
function writeRun(settings: Record<string, unknown> = {}): string {
  const folder = Deno.makeTempDirSync({ dir: root });
  const examples = (given: string) => [
    { index: 7, question: EVIL, expected: EVIL, given, correct: false },
  ];
  const score = { accuracy: 0.5, correct: 1, total: 2, baseline_accuracy: 0.25 };
  const lines = [
    { run: { device: EVIL, steps: 40, config: { vlm: {}, train: { name: EVIL, ...settings } } } },
    { step: 1, loss: 2, gradient_norm: 1 },
    ...["blue", "blue", EVIL].map((given, i) => ({
      ...{ step: 10 * (i + 1), ...score, validation_loss: 1, examples: examples(given) },
      by_category: { [EVIL]: score, colour: score },
    })),
  ];
  Deno.writeTextFileSync(
    `${folder}/metrics.jsonl`,
    lines.map((line) => `${JSON.stringify(line)}\n`).join(""),
  );
  Deno.mkdirSync(`${folder}/examples`);
  const picture = encodePng({ width: 1, height: 1, data: new Uint8Array(3) });
  Deno.writeFileSync(picturePath(folder, 7), picture);
  return folder;
}

/** The elements that a page may run or load from. */
function activeElements(page: string): string[] {
  return [...page.matchAll(/<(script|link|iframe|object|img)\b[^>]*>/gi)].map(([tag]) => tag);
}

Deno.test("html`` escapes what is put in, but for HTML of its own", () => {
  const name = `<b> & "quotes" 'single'`;
  assertEquals(
    html`<p title="${name}">${[html`<i>${1}</i>`, trusted("<br>")]}</p>`.text,
    `<p title="&lt;b&gt; &amp; &quot;quotes&quot; &#39;single&#39;"><i>1</i><br></p>`,
  );
});

Deno.test("reportPage() shows interval and baseline beside every accuracy", () => {
  const folder = writeRun();
  const single = reportPage([readHistory(folder)]);
  const text = single.replaceAll(/\s+/g, " ");
  assertStringIncludes(
    text,
    "1 of 2 held-out questions, 95 % interval 9.5–90.5 %; baseline 25.0 %",
  );
  assertStringIncludes(text, "50.0 % <small>9.5–90.5 %; 1 of 2; baseline 25.0 %</small>");
  assertStringIncludes(single, '"baseline":[0.25,0.25,0.25]');
  const several = reportPage([folder, writeRun({ seed: 1 })].map(readHistory));
  assertStringIncludes(several, "<td>9.5–90.5 %</td><td>25.0 %</td>");
});

Deno.test("reportPage() shows hostile questions and answers as text", () => {
  const folder = writeRun();
  for (const folders of [[folder], [folder, writeRun({ seed: 1 })]]) {
    const page = reportPage(folders.map(readHistory));
    const active = activeElements(page);
    assertEquals(active.filter((tag) => tag.startsWith("<script")), [
      '<script type="application/json" id="series">',
      "<script>",
      "<script>",
    ]);
    const images = active.filter((tag) => tag.startsWith("<img"));
    assertEquals(images.length, folders.length);
    for (const image of images) {
      assert(/^<img src="data:image\/png;base64,[\w+/=]+" alt="">$/.test(image), image);
    }
    assertEquals(page.match(/<\/script>/g)?.length, 3);
    assertEquals(/<[^>]*\bonerror=/i.test(page.slice(0, page.indexOf("<script"))), false);
    assertStringIncludes(page, "&lt;/script&gt;&lt;script&gt;alert");
    const data = page.split('id="series">')[1]!.split("</script>")[0]!;
    assertEquals(Object.keys(JSON.parse(data)[0].kinds).sort(), [EVIL, "colour"].sort());
  }
});

Deno.test("reportPage() names nothing to load, and forbids it", () => {
  const page = reportPage([readHistory(writeRun())]);
  assertEquals(/(src|href)="(?!data:)|url\(|@import/i.test(page), false);
  assertStringIncludes(page, "default-src &#39;none&#39;; img-src data:");
  for (const [, script] of page.matchAll(/<script>([\s\S]*?)<\/script>/g)) new Function(script!);
});

Deno.test("reportPage() puts equal answers at evaluations one after the other together", () => {
  const page = reportPage([readHistory(writeRun())]);
  const list = page.slice(page.indexOf("<ol>"), page.indexOf("</ol>"));
  assertEquals(list.match(/<li>/g)?.length, 2);
  assertStringIncludes(list, "10 – 20");
});

Deno.test("reportPage() of several runs shows the settings that differ", () => {
  const runs = [writeRun({ seed: 1, lr: 3 }), writeRun({ seed: 2, lr: 3 })].map(readHistory);
  const page = reportPage(runs);
  assertStringIncludes(
    page,
    "<code>seed</code></th><td><code>1</code></td><td><code>2</code></td>",
  );
  assertEquals(page.includes("<code>lr</code>"), false);
});

Deno.test("reportPage() takes runs without steps, pictures or a description", () => {
  const folder = Deno.makeTempDirSync({ dir: root });
  Deno.writeTextFileSync(`${folder}/metrics.jsonl`, "");
  assertStringIncludes(reportPage([readHistory(folder)]), "Not finished");
  const old = writeRun();
  Deno.removeSync(`${old}/examples`, { recursive: true });
  assertStringIncludes(reportPage([readHistory(old)]), "no picture");
});

Deno.test("seriesOf() draws a long run by means of a few steps, with null where a number is missing", () => {
  const steps = Array.from(
    { length: 2001 },
    (_, i) => ({
      step: i + 1,
      loss: i,
      gradient_norm: i === 0 ? null : 1.23456789,
      loss_scale: i < 5 ? 65536 : null,
    }),
  );
  const history: RunHistory = {
    ...historyOf(".", []),
    steps,
  };
  const series = seriesOf(history);
  assertEquals(series.stepsPerPoint, 3);
  assertEquals(series.steps["step"]!.slice(0, 2), [3, 6]);
  assertEquals(series.steps["step"]!.at(-1), 2001);
  assertEquals(series.steps["loss"]!.slice(0, 2), [1, 4]);
  assertEquals(series.steps["gradient_norm"]!.slice(0, 2), [null, 1.2346]);
  assertEquals(series.steps["loss_scale"]!.slice(0, 3), [65536, null, null]);
  assertEquals(seriesOf({ ...history, steps: steps.slice(0, 2) }).stepsPerPoint, 1);
});
