// Tests of a dataset's page: text stays text, and nothing is loaded from elsewhere.
import { assert, assertEquals, assertMatch, assertStringIncludes } from "@std/assert";
import { VQACollator } from "../../../data/collator.ts";
import type { Dataset } from "../../../data/dataset.ts";
import { decodeImage } from "../../../data/image.ts";
import { ImageProcessor } from "../../../data/processor.ts";
import { resize } from "../../../data/resize.ts";
import { byteTokenizer } from "../../../data/tokenizer.ts";
import { readSamples } from "../../../runs/dataset_samples.ts";
import { surveyDataset } from "../../../runs/dataset_survey.ts";
import { datasetPage } from "../../../runs/page/dataset_page.ts";
import { goldenImage } from "../../data/helpers.ts";

const EVIL = `</style><script>alert("1")</script>'"><img src=x onerror=alert(2)>&lt;`;
const PNG = goldenImage("0_rgb.png");

async function page(format: Dataset["format"] = "vqa", question: string = EVIL): Promise<string> {
  const dataset: Dataset = {
    name: EVIL,
    rows: 2,
    format,
    columns: [EVIL],
    row: (index) => ({
      image: index === 0 ? PNG : PNG.subarray(0, 99),
      imageName: EVIL,
      turns: [{ question, answer: EVIL, category: EVIL }],
    }),
    turnCounts: () => Promise.resolve(Uint32Array.of(1, 1)),
    allTurns: async function* () {},
  };
  const tokenizer = byteTokenizer();
  const options = { tokenizer, maxLength: 100, questionsPerRow: "all", seed: 0 } as const;
  const survey = await surveyDataset(dataset, { ...options, samples: 9 });
  const collator = new VQACollator(tokenizer, 100, new ImageProcessor({ vit_img_size: 16 }));
  const samples = await readSamples(dataset, survey.samples, { ...options, collator });
  return datasetPage({ survey, samples, settings: { [EVIL]: EVIL }, command: EVIL });
}

Deno.test("datasetPage() lets no text of a dataset become HTML", async () => {
  const text = await page("multiple-choice");
  assertEquals(text.match(/<script/g), null);
  assertEquals(
    text.match(/<img (?!src="data:image\/(png|jpeg);base64,[\w+/=]+" alt="" class="(small)?">)/g),
    null,
  );
  assertEquals(text.match(/<[^>]*\son\w+=/g), null);
  assertEquals(text.match(/<\/style>/g)!.length, 1);
  assertStringIncludes(text, "&lt;script&gt;alert(&quot;1&quot;)&lt;/script&gt;");
  assertStringIncludes(text, "An evaluation asks");
});

Deno.test("datasetPage() needs nothing from elsewhere, and the browser is told so", async () => {
  const text = await page();
  assertMatch(text, /Content-Security-Policy" content="default-src &#39;none&#39;; img-src data:/);
  assertEquals(text.match(/(src|href)="(?!data:)|@import|url\(/g), null);
  assertStringIncludes(text, 'name="viewport"');
  assertStringIncludes(text, "prefers-color-scheme: dark");
  assert(!text.includes("An evaluation asks"));
  assertEquals((await page("vqa", "é".repeat(5000))).match(/é{2001,}|é{2000}…/g), [
    "é".repeat(2000) + "…",
  ]);
});

Deno.test("datasetPage() shows the picture as the model gets it, and what is left out", async () => {
  const text = await page();
  const sources = [...text.matchAll(/src="data:image\/png;base64,([^"]+)"/g)];
  const pictures = await Promise.all(
    sources.map(([, data]) => decodeImage(Uint8Array.fromBase64(data!), "page")),
  );
  const whole = await decodeImage(PNG, "whole");
  assertEquals(pictures, [resize(whole, 16, 16), whole]);
  assertStringIncludes(text, "unreadable picture");
  assertStringIncludes(text, "cut: too long to teach anything");
});
