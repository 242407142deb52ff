// Tests of model cards and curves: what a card says with much and with little known, and what it must not say.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { presets, type VLMConfig } from "../../model/config.ts";
import { curvesSvg } from "../../runs/curves.ts";
import { frontMatter } from "../../runs/front_matter.ts";
import { code, inline } from "../../runs/markdown.ts";
import type { Metric } from "../../runs/metrics.ts";
import { type CardFacts, modelCard, publicName } from "../../runs/model_card.ts";
import { historyOf } from "../../runs/run_history.ts";

/** The lines of a run of `steps` steps with an evaluation every tenth of it. */
function runLines(steps: number): Record<string, unknown>[] {
  const { vlm, train } = presets.quickstart;
  const config = { vlm, train };
  const score = { accuracy: 0.75, correct: 3, total: 4, baseline_accuracy: 0.4 };
  return [
    { run: { steps, device: "llvmpipe", config, plan: { dtype: "f16" } } },
    ...Array.from({ length: steps }, (_, i) => i + 1).flatMap((step) => [
      { step, loss: 5 / step, lr_mp: 1e-3 },
      ...(step % (steps / 10) === 0
        ? [{ step, accuracy: step / steps / 2, correct: 1, total: 2, validation_loss: 6 / step }]
        : []),
    ]),
    { skipped: "a.png", reason: "broken" },
    {
      ...{ step: steps, ...score, validation_loss: 0.25, final: true },
      by_category: { shape: { accuracy: 0.5, correct: 1, total: 2 }, "a|b": score },
    },
  ];
}

function card(
  lines: readonly Metric[],
  config: Partial<VLMConfig> = {},
  facts: Partial<CardFacts> = {},
): string {
  return modelCard({
    name: "me/model",
    config: { ...presets.quickstart.vlm, ...config },
    run: historyOf(".", lines),
    license: "apache-2.0",
    curves: undefined,
    isLocal: (name) => name.startsWith("data/"),
    ...facts,
  });
}

/** The lines of a run with other settings of the training. */
function linesWith(settings: Record<string, unknown>) {
  const [{ run, ...first } = {}, ...rest] = runLines(10);
  const { config, ...description } = run as { config: typeof presets.quickstart };
  const train = { ...config.train, ...settings };
  return [{ ...first, run: { ...description, config: { ...config, train } } }, ...rest];
}

Deno.test("modelCard() opens with metadata that says what the Hub asks for", () => {
  const text = card(runLines(10));
  assertEquals(
    text.slice(0, text.indexOf("\n# ")),
    `---
library_name: nanovlm
license: apache-2.0
pipeline_tag: image-text-to-text
tags:
- vision-language
- multimodal
- nanovlm
- webgpu
metrics:
- accuracy
model-index:
- name: model
  results:
  - task:
      type: visual-question-answering
    dataset:
      type: shapes
      name: shapes
    metrics:
    - type: accuracy
      name: exact match
      value: 0.75
---
`,
  );
});

Deno.test("modelCard() shows parts, recipe, results by kind, curves and both ways of use", () => {
  const text = card(runLines(10), {}, { curves: "curves.svg" });
  for (
    const expected of [
      /\| vision encoder \| SigLIP: 2 blocks, width 64, 4 heads; 32x32 pixels.* \| 113,472 \|/,
      /\| steps \| 10 \|/,
      /\| highest learning rate, projector \| 0.002 \|/,
      /\| device \| llvmpipe \|/,
      /\| {2}\| accuracy \| 95 % interval \| baseline \| correct \| of \|/,
      /\| a\\\|b \| 75.0 % \| 30.1–95.4 % \| 40.0 % \| 3 \| 4 \|\n\| shape \| 50.0 % \| .* \| – \| 1 \| 2 \|\n\| all /,
      /The model is not clearly better than always giving .* \(the baseline, 40.0 %\)/,
      /It answers 75.0 % of 4 held-out questions exactly \(95 % interval 30.1–95.4 %\)/,
      /\| precision \| mixed \(f16\) \|/,
      /\| schedule \| no warm-up/,
      /The model after step 10, on all held-out questions.*The loss on them is 0.2500/,
      /!\[Loss and accuracy[^\]]*\]\(curves.svg\)/,
      /deno run -A generate.ts --checkpoint me\/model image.png "question"/,
      /VisionLanguageModel.from_pretrained\("me\/model"\)/,
      /Its tokens are bytes/,
    ]
  ) assertMatch(text, expected);
  const rows = [
    ...text.matchAll(/^\| (?:vision encoder|projector|language model|all) \| .*\| ([\d,]+) \|$/gm),
  ]
    .map(([, count]) => Number(count!.replaceAll(",", "")));
  assertEquals(rows.slice(0, 3).reduce((a, b) => a + b), rows[3]);
});

Deno.test("modelCard() links datasets and backbones that are on the Hub, and no others", () => {
  const hub = card(
    linesWith({ train_dataset_path: "HuggingFaceM4/the_cauldron:ai2d,aokvqa,data/own,me/set" }),
    { ...presets["222m"].vlm },
  );
  assertMatch(hub, /^datasets:\n- HuggingFaceM4\/the_cauldron\n- me\/set\nbase_model:$/m);
  assertMatch(
    hub,
    /^base_model:\n- google\/siglip-base-patch16-224\n- HuggingFaceTB\/SmolLM2-135M$/m,
  );
  assertMatch(hub, /\[me\/set\]\(https:\/\/huggingface.co\/datasets\/me\/set\)/);
  assertMatch(hub, /`data\/own`/);
  assertMatch(hub, /python generate.py --hf_model me\/model/);
});

Deno.test("modelCard() says which model the training began from", () => {
  const from = (folder: string, settings = {}) => {
    const [{ run, ...first } = {}, ...rest] = linesWith(settings);
    return card([{ ...first, run: { ...run as object, began_from: folder } }, ...rest]);
  };
  const hub = from("/home/me/.cache/hub/models--some--base-vlm/snapshots/c0ffee", {
    freeze: ["vision"],
  });
  assertMatch(hub, /^base_model:\n- some\/base-vlm$/m);
  assertMatch(hub, /^Training began from some\/base-vlm\.$/m);
  assertMatch(hub, /\| frozen parts \| vision \|/);
  const own = from("models/first");
  assertMatch(own, /^Training began from first\.$/m);
  assertEquals(/base_model|initialization|frozen|\/home/.test(own), false);
});

Deno.test("modelCard() says of folders on somebody's machine only their names", () => {
  const text = card(linesWith({
    train_dataset_path: "/home/someone/secret/pictures",
    val_dataset_path: "~/secret/others",
  }));
  assert(!text.includes("secret") && !text.includes("someone"), text);
  assertMatch(text, /Trained on `pictures`\. Evaluated on `others`\./);
  assertEquals(
    ["/a/b/", "C:\\a\\b", "./a/b", "../b", "a/b", "shapes"].map(publicName),
    ["b", "b", "b", "b", "a/b", "shapes"],
  );
});

Deno.test("modelCard() does with a model alone, and with a run that was interrupted", () => {
  const alone = card([]);
  assert(
    !/undefined|NaN|null|## (Data|Training|Results)|model-index|was trained/.test(alone),
    alone,
  );
  const lines = runLines(10).slice(0, -1);
  const cut = card(lines.slice(1));
  assert(!/undefined|NaN|null|## Data/.test(cut), cut);
  assertMatch(cut, /The model after step 10, on a sample of the held-out questions/);
});

Deno.test("frontMatter() puts text in quotes that YAML would take for something else", () => {
  const text = frontMatter({
    a: "true",
    b: "1.0",
    c: "a: b",
    d: 'say "hi"',
    e: "plain text",
    f: [[1]],
  });
  assertEquals(
    text,
    '---\na: "true"\nb: "1.0"\nc: "a: b"\nd: "say \\"hi\\""\ne: plain text\nf:\n- - 1\n---',
  );
});

Deno.test("curvesSvg() draws a long run in few points, without a background and without the final line", async () => {
  const svg = await curvesSvg(historyOf(".", runLines(3000)));
  assertMatch(svg ?? "", /^<svg [^>]*viewBox/);
  for (const word of ["training", "validation", "accuracy", "loss", "step"]) {
    assert(svg?.includes(`>${word}</text>`), word);
  }
  assert((svg?.length ?? Infinity) < 60_000, `${svg?.length}`);
  assert(!/fill="(white|#fff)/.test(svg ?? ""));
  assertEquals(svg?.match(/accuracy: 75/), null);
});

Deno.test("curvesSvg() draws what there is, and nothing where there is no curve", async () => {
  const curves = (lines: readonly Metric[]) => curvesSvg(historyOf(".", lines));
  assertEquals(await curves([]), undefined);
  assertEquals(await curves([{ step: 1, loss: 2 }, { step: 1, accuracy: 0.5 }]), undefined);
  const losses = await curves([{ step: 1, loss: 2 }, { step: 2, loss: 0 }]) ?? "";
  assert(losses.includes(">loss</text>") && !losses.includes(">accuracy</text>"));
  assert(!losses.includes("NaN"));
});

Deno.test("modelCard() tells what came of further datasets, also drawn, and which model was kept", () => {
  const score = { accuracy: 0.5, correct: 2, total: 4 };
  const text = card([
    {
      ...{ step: 5, ...score, validation_loss: 1, best: true },
      datasets: {
        "owner/test": { ...score, loss: 1, sampled_accuracy: 0.25 },
        "/data/mine/more.parquet": { ...score, loss: null },
      },
    },
    { step: 10, accuracy: 0.9, correct: 9, total: 10, validation_loss: 0.5 },
  ]);
  assertMatch(text, /^The model after step 5, /m);
  assertMatch(
    text,
    /^- owner\/test: 50\.0 % \(2 of 4, 95 % interval 15\.0–85\.0 %\); 25\.0 % where answers are drawn, as nanoVLM's test does$/m,
  );
  assertMatch(text, /^- more\.parquet: 50\.0 % \(2 of 4, 95 % interval 15\.0–85\.0 %\)$/m);
});

Deno.test("modelCard() has the settings to train again, and leaves out what was off", () => {
  const plain = card(runLines(10));
  assertMatch(plain, /\| seed +\| +0 \|/);
  assertEquals(/augmentation|balance/.test(plain), false);
  const changed = card(linesWith({ augmentation: "shift_flip", kind_balance: 0.5 }));
  assertMatch(changed, /\| augmentation +\| +shift_flip \|/);
  assertMatch(changed, /\| balance of the kinds of questions +\| +0\.5 \|/);
});

Deno.test("modelCard() shows foreign texts as texts, wherever they stand", () => {
  const foreign = "x\x1b[2J|<!-- **b**\n# [a](http://b) `c` <img src=x> &lt; \u202e1. $$x$$";
  const lines = linesWith({
    train_dataset_path: `data/${foreign}`,
    val_dataset_path: foreign,
    train_dataset_name: [foreign],
    augmentation: foreign,
  });
  const score = { accuracy: 0.5, correct: 2, total: 4 };
  const text = card(
    [...lines, {
      ...{ step: 10, ...score, validation_loss: 1, final: true },
      by_category: { [foreign]: score },
      datasets: { [foreign]: { ...score, loss: 1 } },
    }],
    {},
    { license: foreign },
  );
  assert(!/[\p{Cc}\u202e]/u.test(text.replaceAll("\n", "")), text);
  assertEquals(text.match(/^#.*$/gm)?.length, 6, text); // our own headings
  const outsideCode = text.slice(text.indexOf("\n# ")).replaceAll("\\`", "").replaceAll(
    /(`+).*?[^`]\1(?!`)/gs,
    "",
  );
  assert(!/<!--|<img|\*\*b|(?<!\\)\]\(http:\/\/b|(?<!\\)\$/.test(outsideCode), outsideCode);
  const rows = outsideCode.split("\n").filter((line) => line.startsWith("| "));
  const columns = rows.map((row) => row.replaceAll("\\|", "").split("|").length);
  assertEquals(new Set(columns), new Set([4, 5, 8]));
});

Deno.test("inline() and code() keep what a text says", () => {
  const cases = [
    ["kind_of_shape", "kind_of_shape"],
    ["_a_ *b*", "\\_a\\_ \\*b\\*"],
    ["- a", "\\- a"],
    ["1. a", "1\\. a"],
    ["0.5", "0.5"],
    ["a & b &amp; c", "a & b &amp;amp; c"],
    ["C:\\x", "C:\\\\x"],
    ["http://a.b/c www.a.b", "http&#58;//a.b/c www&#46;a.b"],
    ["a@b.co a_@b.co mailto:a", "a&#64;b.co a\\_&#64;b.co mailto&#58;a"],
    ["a: b // @c", "a: b // @c"],
  ] as const;
  for (const [text, expected] of cases) assertEquals(inline(text), expected);
  assertEquals(code("a"), "`a`");
  assertEquals(code("a`b``c"), "```a`b``c```");
  assertEquals(code("`"), "`` ` ``");
});
