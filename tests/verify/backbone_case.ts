/**
 * A golden backbone case: Hugging Face's SigLIP and Llama folders, and what PyTorch's nanoVLM made of them.
 */
import { type Backbone, loadLanguageBackbone, loadVisionBackbone } from "../../model/backbones.ts";
import { type Checkpoint, expectedParameters, openCheckpoint } from "../../model/checkpoint.ts";
import { presets, type VLMConfig } from "../../model/config.ts";
import { isLaterGeneration } from "../../model/config_file.ts";
import { differing } from "./compare.ts";
import { exists, Json } from "./golden.ts";
import { LATER } from "./model_case.ts";
import type { CaseReport } from "./report.ts";

/** What is the user's choice; all other keys must come from the backbones' own files. */
const CHOSEN: ReadonlyArray<keyof VLMConfig> = [
  "vit_cls_flag",
  "vit_model_type",
  "lm_vocab_size",
  "lm_attn_scaling",
  "lm_max_length",
  "lm_use_tokens",
  "lm_tie_weights",
  "lm_model_type",
  "lm_tokenizer",
  "lm_eos_token_id",
  "mp_pixel_shuffle_factor",
  "vlm_load_backbone_weights",
  "vlm_checkpoint_path",
];
/** The only parameter that is in neither backbone. */
const PROJECTOR = "MP.proj.weight";
/** Parameters with a row a token. */
const TABLES: readonly string[] = ["decoder.token_embedding.weight", "decoder.head.weight"];

/** Compares a backbone case. Whatever is wrong goes into the report. */
export async function verifyBackbone(dir: string, report: CaseReport): Promise<void> {
  await report.attempt("backbones", async () => {
    if (isLaterGeneration(Json.read(`${dir}/config.json`).value)) {
      report.skip("backbones", LATER);
      return;
    }
    using golden = openCheckpoint(dir);
    let random: RandomParts = { names: new Set(), rows: Infinity };
    if (exists(`${dir}/note.json`)) {
      await report.attempt("note.json", () => {
        random = readRandomParts(`${dir}/note.json`);
      });
    }
    let config = startOf(golden.config);
    const parts: [string, () => Backbone][] = [
      ["hf_siglip", () => loadVisionBackbone(`${dir}/hf_siglip`, config)],
      ["hf_llama", () => loadLanguageBackbone(`${dir}/hf_llama`, config, () => 0)],
    ];
    const missing = new Set(expectedParameters(golden.config).map(({ name }) => name));
    missing.delete(PROJECTOR);
    for (const [name, open] of parts) {
      await report.attempt(name, async () => {
        using part = open();
        config = part.config;
        for (const name of part.names) missing.delete(name);
        await compareTensors(report, { part, golden, random });
      });
    }
    const wrong = differing(sorted(config), sorted(golden.config));
    report.compare("config", wrong, 0, "keys that differ");
    report.compare("coverage", missing.size, 0, "parameters that no backbone brings");
  });
}

/** nanoVLM's initial configuration with what the golden run chose. */
function startOf(golden: VLMConfig): VLMConfig {
  const chosen = Object.fromEntries(CHOSEN.map((key) => [key, golden[key]]));
  return { ...presets["222m"].vlm, ...chosen };
}

/** Keys and values in one order. */
function sorted(config: VLMConfig): string[] {
  return Object.entries(config).map(([key, value]) => `${key} ${JSON.stringify(value)}`).sort();
}

interface RandomParts {
  /** Names of parameters that are random as a whole. */
  readonly names: ReadonlySet<string>;
  /** Rows of token tables that come from the file; those behind are random. */
  readonly rows: number;
}

/** What note.json calls random: "name (how)", or "name rows a..b (how)". */
function readRandomParts(path: string): RandomParts {
  const note = Json.read(path);
  const parts = note.find("random_parts")?.texts ?? [];
  const whole = parts.filter((part) => !/^\S+ rows /.test(part));
  return {
    names: new Set(whole.map((part) => part.split(" ")[0] ?? "")),
    rows: note.find("rows_from_file")?.number ?? Infinity,
  };
}

async function compareTensors(
  report: CaseReport,
  { part, golden, random }: { part: Backbone; golden: Checkpoint; random: RandomParts },
): Promise<void> {
  for (const name of part.names.filter((name) => !random.names.has(name))) {
    await report.attempt(name, () => {
      const length = TABLES.includes(name) ? random.rows * golden.config.lm_hidden_dim : Infinity;
      const [found, expected] = [part, golden].map((one) => one.load(name).subarray(0, length));
      if (found && expected) {
        report.compare(name, differing(found, expected), 0, "values that differ");
      }
    });
  }
}
