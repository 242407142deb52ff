/**
 * The model card: README.md of a published model, with the Hub's metadata in front, from the model's configuration and what
 * its run left.
 *
 * Between run_history.ts and push.ts. Source: the Hub's specification of model cards (huggingface/hub-docs, modelcard.md) and
 * MODEL_CARD_TEMPLATE of nanoVLM v0.1, models/vision_language_model.py.
 */
import { expectedParameters } from "../model/checkpoint.ts";
import { patchesPerSide, type VLMConfig } from "../model/config.ts";
import { frontMatter } from "./front_matter.ts";
import { code, inline, table } from "./markdown.ts";
import { numberOf, recordOf } from "./metrics.ts";
import { baselineNote, intervalText, percent, scoreRows, scoreText } from "./report.ts";
import { type RunHistory, stepsTaken } from "./run_history.ts";

/** What a card is made of. */
export interface CardFacts {
  /** The repository, "owner/name". */
  readonly name: string;
  /** As published. */
  readonly config: VLMConfig;
  readonly run: RunHistory;
  /** The Hub's name of a licence, such as "apache-2.0". */
  readonly license: string;
  /** The picture of the curves in the repository, if there is one. */
  readonly curves: string | undefined;
  /** Whether a dataset's or a model's name stands for something on this machine, not on the Hub. */
  readonly isLocal: (name: string) => boolean;
}

/** The text of README.md. */
export function modelCard(facts: CardFacts): string {
  const sections = [
    introduction(facts),
    modelSection(facts),
    dataSection(facts),
    recipeSection(facts),
    resultsSection(facts),
    useSection(facts),
  ];
  return [frontMatter(metadata(facts)), ...sections.filter((text) => text !== "")].join("\n\n") +
    "\n";
}

/** What a name or a path on somebody's machine may tell the world: of an absolute path its last part only. */
export function publicName(name: string): string {
  const isPath = /^([/~\\.]|[A-Za-z]:[/\\])/.test(name);
  return isPath
    ? name.replaceAll("\\", "/").split("/").findLast((part) => part !== "") ?? ""
    : name;
}

function isHubName(name: string, { isLocal }: CardFacts): boolean {
  return /^[\w-][\w.-]*\/[\w-][\w.-]*$/.test(name) && !isLocal(name);
}

/** The names in a list of datasets, without the subsets behind a colon. */
function datasetNames(facts: CardFacts): string[] {
  const path = facts.run.train["train_dataset_path"];
  if (typeof path !== "string") return [];
  const names = path.split(/,(?=[^,]*\/|shapes\b)/).map((part) => part.trim().replace(/:.*$/s, ""));
  return [...new Set(names)];
}

/** What gave the first weights, by names on the Hub or those of folders; none for a new model. */
function origins({ config, run }: CardFacts): string[] {
  const { vit_model_type, lm_model_type, vlm_load_backbone_weights } = config;
  const { began_from: checkpoint } = run.description;
  if (typeof checkpoint !== "string") {
    return vlm_load_backbone_weights ? [vit_model_type, lm_model_type].map(publicName) : [];
  }
  const [, owner, name] = /models--(.+?)--([^/\\]+)[/\\]snapshots[/\\]/.exec(checkpoint) ?? [];
  return [owner === undefined ? publicName(`/${checkpoint}`) : `${owner}/${name}`];
}

function metadata(facts: CardFacts) {
  const { name, license, run } = facts;
  const datasets = datasetNames(facts).filter((dataset) => isHubName(dataset, facts));
  const bases = origins(facts).filter((name) => isHubName(name, facts));
  const dataset = publicName(evaluationData(facts) ?? "held-out questions");
  const accuracy = run.result && {
    task: { type: "visual-question-answering" },
    dataset: { type: dataset, name: dataset },
    metrics: [{ type: "accuracy", name: "exact match", value: rounded(run.result.accuracy) }],
  };
  return {
    library_name: "nanovlm",
    license,
    pipeline_tag: "image-text-to-text",
    tags: ["vision-language", "multimodal", "nanovlm", "webgpu"],
    ...(datasets.length > 0 ? { datasets } : {}),
    ...(bases.length > 0 ? { base_model: bases } : {}),
    ...(accuracy
      ? {
        metrics: ["accuracy"],
        "model-index": [{ name: name.replace(/^.*\//, ""), results: [accuracy] }],
      }
      : {}),
  };
}

function rounded(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}

/** What the model was evaluated on, as far as the run says so. */
function evaluationData({ run: { train } }: CardFacts): string | undefined {
  const data = train["val_dataset_path"] ?? train["train_dataset_path"];
  return typeof data === "string" ? data : undefined;
}

function introduction({ name, config, run }: CardFacts): string {
  const { result: best } = run;
  const score = best === undefined
    ? ""
    : ` It answers ${percent(best.accuracy)} of ${
      best.total.toLocaleString("en")
    } held-out questions exactly (95 % ` +
      `interval ${intervalText(best)}).`;
  const origin = Number.isNaN(stepsTaken(run))
    ? "."
    : " and was trained with nanoVLM for WebGPU, in TypeScript on [Deno](https://deno.com).";
  return `# ${inline(name.replace(/^.*\//, ""))}

A small vision-language model: an image and a question go in, an answer comes out. It has ${
    millions(parametersOf(config, ""))
  } parameters${origin} Its files are those of PyTorch's [nanoVLM](https://github.com/huggingface/nanoVLM) v0.1, which \
reads them too.${groundNote(config)}${score}`;
}

/** What a reader in Python has to do, whose nanoVLM squeezes pictures and drops their transparency. */
function groundNote({ image_fit, image_alpha }: VLMConfig): string {
  const ways = [
    ...(image_fit === "pad" ? ["in their own shape, in the middle of a white square"] : []),
    ...(image_alpha === "white" ? ["with transparency laid over white"] : []),
  ];
  if (ways.length === 0) return "";
  return ` It learned from pictures ${ways.join(" and ")}: for PyTorch, make them so first.`;
}

/** Elements of all parameters whose names begin so. */
function parametersOf(config: VLMConfig, prefix: string): number {
  return expectedParameters(config).filter(({ name }) => name.startsWith(prefix))
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b), 0);
}

function millions(count: number): string {
  return count >= 1e6 ? `${(count / 1e6).toFixed(1)}M` : `${(count / 1e3).toFixed(0)}k`;
}

function modelSection(facts: CardFacts): string {
  const { config: c } = facts;
  const tokens = (patchesPerSide(c) / c.mp_pixel_shuffle_factor) ** 2;
  const parts = [
    [
      "vision encoder",
      "vision_encoder.",
      `SigLIP: ${c.vit_n_blocks} blocks, width ${c.vit_hidden_dim}, ${c.vit_n_heads} heads; ${c.vit_img_size}x` +
      `${c.vit_img_size} pixels in patches of ${c.vit_patch_size}x${c.vit_patch_size}`,
    ],
    [
      "projector",
      "MP.",
      `pixel shuffle by ${c.mp_pixel_shuffle_factor} and one linear layer; ${
        patchesPerSide(c) ** 2
      } patches become ` +
      `${tokens} tokens`,
    ],
    [
      "language model",
      "decoder.",
      `Llama: ${c.lm_n_blocks} blocks, width ${c.lm_hidden_dim}, ${c.lm_n_heads} heads, ${c.lm_n_kv_heads} for keys and ` +
      `values; ${c.lm_vocab_size.toLocaleString("en")} tokens`,
    ],
  ] as const;
  const counted = (prefix: string) => parametersOf(c, prefix).toLocaleString("en");
  const rows = [
    ["part", "", "parameters"],
    ...parts.map(([label, prefix, what]) => [label, what, counted(prefix)]),
    ["all", "float32", counted("")],
  ];
  const bases = origins(facts).map(inline);
  const start = bases.length === 0 ? "" : `\n\nTraining began from ${bases.join(" and ")}.`;
  return `## Model\n\n${table(rows, 2)}${start}`;
}

function dataSection(facts: CardFacts): string {
  const { train } = facts.run;
  const spec = train["train_dataset_path"];
  if (typeof spec !== "string") return "";
  const link = (name: string) =>
    name === "shapes"
      ? "`shapes`, pictures that nanoVLM for WebGPU draws itself"
      : isHubName(name, facts)
      ? `[${inline(name)}](https://huggingface.co/datasets/${name})`
      : code(publicName(name));
  const subsets = train["train_dataset_name"];
  const shown = Array.isArray(subsets) && subsets.length > 0
    ? `: ${subsets.map(String).map(inline).join(", ")}`
    : "";
  const held = train["val_dataset_path"];
  const heldOut = typeof held === "string" ? ` Evaluated on ${code(publicName(held))}.` : "";
  return `## Data\n\nTrained on ${datasetNames(facts).map(link).join(", ")}${shown}.${heldOut}`;
}

/** Keys of TrainConfig that a reader needs to train again. */
const RECIPE = {
  batch_size: "questions a step",
  lr_mp: "highest learning rate, projector",
  lr_backbones: "highest learning rate, backbones",
  epochs: "epochs",
  questions_per_row: "questions of a picture",
  kind_balance: "balance of the kinds of questions",
  augmentation: "augmentation",
  freeze: "frozen parts",
  initialization: "initialization",
  seed: "seed",
} as const;

/** Values with which a key is not worth a line. */
const OFF: Readonly<Record<string, unknown>> = { kind_balance: 0, augmentation: "none" };

function recipeSection(facts: CardFacts): string {
  const { run, config } = facts;
  const { train, description } = run;
  const steps = stepsTaken(run);
  const { device } = description;
  const { dtype } = recordOf(description, "plan");
  const hasWarmUp = !(0.03 * numberOf(description, "steps") < 1);
  if (Number.isNaN(steps) && Object.keys(train).length === 0) return "";
  const given = Object.entries(RECIPE)
    .filter(([key]) => key !== "epochs" || typeof train["max_training_steps"] !== "number")
    .filter(([key]) => key !== "initialization" || origins(facts).length === 0)
    .filter(([key]) =>
      train[key] !== undefined && train[key] !== OFF[key] && `${train[key]}` !== ""
    )
    .map(([key, label]) => [label, String(train[key])]);
  const rows = [
    ...(Number.isNaN(steps) ? [] : [["steps", steps.toLocaleString("en")]]),
    ...given,
    ["optimizer", "AdamW (0.9, 0.999), weight decay 0.01"],
    ["schedule", `${hasWarmUp ? "3 %" : "no"} warm-up, cosine to a tenth`],
    ["text tokens a question, at most", String(config.lm_max_length)],
    ...(dtype === undefined ? [] : [["precision", dtype === "f16" ? "mixed (f16)" : "float32"]]),
    ...(typeof device === "string" ? [["device", device]] : []),
  ];
  return `## Training\n\n${table([["setting", "value"], ...rows], 2)}`;
}

function resultsSection({ run: { result: best, final }, curves }: CardFacts): string {
  const picture = curves === undefined
    ? ""
    : `![Loss and accuracy over the steps of training](${curves})`;
  if (best === undefined) return picture === "" ? "" : `## Results\n\n${picture}`;
  const scores = table(scoreRows(best, best.by_category), 1);
  const others = Object.entries(best.datasets).map(([name, set]) =>
    `- ${inline(publicName(name))}: ${scoreText(set)}` +
    (Number.isNaN(set.sampled_accuracy)
      ? ""
      : `; ${percent(set.sampled_accuracy)} where answers are drawn, as nanoVLM's test does`)
  );
  const which = final ? "all held-out questions" : "a sample of the held-out questions";
  const loss = Number.isNaN(best.loss) ? "" : ` The loss on them is ${best.loss.toFixed(4)}.`;
  const text =
    `The model after step ${best.step.toLocaleString("en")}, on ${which}; an answer counts if ` +
    `it is the expected text.${loss}`;
  return ["## Results", text, scores, baselineNote(best), others.join("\n"), picture].filter((
    part,
  ) => part !== "")
    .join("\n\n");
}

function useSection({ name, config: { lm_tokenizer: tokenizer } }: CardFacts): string {
  const bytes =
    `Its tokens are bytes: \`[b + 1 for b in "Question: … Answer:".encode()]\` are the ids of a text, and 0 ` +
    `ends an answer.`;
  const command = `With nanoVLM's command:

\`\`\`sh
python generate.py --hf_model ${name} --image image.png --prompt "question"
\`\`\``;
  return `## Use

In a clone of nanoVLM for WebGPU, with Deno:

\`\`\`sh
deno run -A generate.ts --checkpoint ${name} image.png "question"
\`\`\`

In a clone of PyTorch's [nanoVLM](https://github.com/huggingface/nanoVLM/tree/v0.1) (\`git checkout v0.1\`):

\`\`\`python
from models.vision_language_model import VisionLanguageModel

model = VisionLanguageModel.from_pretrained("${name}")
\`\`\`

${tokenizer === "bytes" ? bytes : command}`;
}
