// Tests of model/config.ts and model/config_file.ts, against nanoVLM's own config.json in tests/golden.
import { assert, assertEquals, assertStringIncludes, assertThrows } from "@std/assert";
import { patchesPerSide, presets, VLM_FIELDS, type VLMConfig } from "../../model/config.ts";
import {
  applySettings,
  checkVLMConfig,
  formatVLMConfig,
  isLaterGeneration,
  parseVLMConfig,
} from "../../model/config_file.ts";

const GOLDEN = ["v01_a", "backbone_v01"];
const goldenText = (name: string) =>
  Deno.readTextFileSync(new URL(`../golden/${name}/config.json`, import.meta.url));
const goldenJson = (name: string): Record<string, unknown> => JSON.parse(goldenText(name));

for (const name of GOLDEN) {
  Deno.test(`formatVLMConfig() writes ${name}/config.json byte for byte as nanoVLM does`, () => {
    assertEquals(formatVLMConfig(parseVLMConfig(goldenJson(name), name)), goldenText(name));
  });
}

Deno.test("parseVLMConfig() gives keys left out nanoVLM's values", () => {
  assertEquals(parseVLMConfig({}, "nothing"), presets["222m"].vlm);
  assertEquals(parseVLMConfig({ lm_n_blocks: 3 }, "x").lm_n_blocks, 3);
});

Deno.test("parseVLMConfig() throws for unknown keys, all of them, with the nearest known ones", () => {
  const error = assertThrows(
    () => parseVLMConfig({ lm_hiden_dim: 64, vit_imgsize: 32 }, "c.json"),
    TypeError,
  );
  assertStringIncludes(error.message, '"lm_hiden_dim" (did you mean "lm_hidden_dim"?)');
  assertStringIncludes(error.message, '"vit_imgsize" (did you mean "vit_img_size"?)');
  assertStringIncludes(error.message, "c.json");
  assertThrows(() => parseVLMConfig({ constructor: 1 }, "c.json"), TypeError, '"constructor"');
});

Deno.test("parseVLMConfig() throws for values of the wrong kind", () => {
  const wrong: Array<[string, unknown]> = [
    ["lm_n_blocks", "30"],
    ["lm_n_blocks", null],
    ["lm_tie_weights", 1],
    ["lm_tokenizer", 7],
    ["lm_rms_eps", [1e-5]],
  ];
  for (const [key, value] of wrong) {
    assertThrows(() => parseVLMConfig({ [key]: value }, "x"), TypeError, key);
  }
  for (const json of [null, [], 3, "text"]) {
    assertThrows(() => parseVLMConfig(json, "x"), TypeError, "expected an object");
  }
});

Deno.test("parseVLMConfig() throws for impossible values, naming what does not fit", () => {
  const impossible: Array<[Partial<VLMConfig>, string]> = [
    [{ lm_n_blocks: 2.5 }, "lm_n_blocks"],
    [{ vit_hidden_dim: 0 }, "vit_hidden_dim"],
    [{ vit_hidden_dim: 770 }, "multiple of vit_n_heads"],
    [{ lm_hidden_dim: 578 }, "multiple of lm_n_heads"],
    [{ vit_img_size: 15 }, "at least vit_patch_size"],
    [{ vit_img_size: 16384 }, "from 1 to 4096"],
    [{ vit_img_size: 2048, vit_patch_size: 2 }, "1024 patches a side"],
    [{ lm_n_kv_heads: 2 }, "multiple of lm_n_kv_heads"],
    [{ mp_pixel_shuffle_factor: 3 }, "multiple of mp_pixel_shuffle_factor"],
    [{ vit_n_heads: 4 }, "widest head"],
    [{ lm_hidden_dim: 9 * 15 }, "even number"],
    [{ lm_eos_token_id: 49152 }, "less than lm_vocab_size"],
    [{ vit_cls_flag: true }, "vit_cls_flag"],
    [{ vit_dropout: 0.1 }, "dropout"],
    [{ lm_dropout: 0.1 }, "dropout"],
    [{ lm_use_tokens: true }, "lm_use_tokens"],
    [{ vit_pixel_std: 0 }, "vit_pixel_std"],
    [{ lm_rms_eps: NaN }, "lm_rms_eps"],
  ];
  for (const [json, message] of impossible) {
    assertThrows(() => parseVLMConfig(json, "x"), RangeError, message);
  }
});

Deno.test("an image need be no whole number of patches: the rest is left out", () => {
  const so400m = { vit_img_size: 384, vit_patch_size: 14, mp_pixel_shuffle_factor: 3 };
  assertEquals(patchesPerSide(parseVLMConfig(so400m, "x")), 27);
  const even = { ...so400m, mp_pixel_shuffle_factor: 2 };
  assertThrows(() => parseVLMConfig(even, "x"), RangeError, "an image side is 27 patches");
});

Deno.test("isLaterGeneration() tells configurations of later versions, which parseVLMConfig() names", () => {
  const later = { ...goldenJson("v01_a"), vlm_extra_tokens: {}, hf_repo_name: "nanoVLM" };
  assert(isLaterGeneration(later));
  assert(!isLaterGeneration(goldenJson("v01_a")));
  assert(!isLaterGeneration({ some_other_key: 1 }));
  assertThrows(() => parseVLMConfig(later, "x"), TypeError, "A later version of nanoVLM");
});

Deno.test("formatVLMConfig() writes keys of ours only where they differ, floats and texts as Python does", () => {
  const plain = formatVLMConfig(presets["222m"].vlm);
  assert(!plain.includes("vit_pixel"));
  const text = formatVLMConfig({
    ...presets["222m"].vlm,
    vit_pixel_mean: 0.5,
    lm_attn_scaling: 2,
    vit_ln_eps: 2.5e-7,
    lm_rms_eps: 0.0001,
    lm_tokenizer: "é\n🐈",
  });
  assertStringIncludes(text, '"vit_pixel_mean": 0.5\n}');
  assert(!text.includes("vit_pixel_std"));
  assert(!text.includes("lm_padding_side"));
  assertStringIncludes(text, '"lm_attn_scaling": 2.0,');
  assertStringIncludes(text, '"vit_ln_eps": 2.5e-07,');
  assertStringIncludes(text, '"lm_rms_eps": 0.0001,');
  assertStringIncludes(text, '"lm_tokenizer": "\\u00e9\\n\\ud83d\\udc08",');
  assertEquals(parseVLMConfig(JSON.parse(text), "x").lm_tokenizer, "é\n🐈");
});

Deno.test("presets are possible, and written and read back unchanged", () => {
  for (const [name, { vlm }] of Object.entries(presets)) {
    checkVLMConfig(vlm, name);
    assertEquals(parseVLMConfig(JSON.parse(formatVLMConfig(vlm)), name), vlm);
  }
});

// Copied from models/config.py of nanoVLM at v0.1, but for `compile`, `wandb_entity` and `log_wandb`.
const PUBLISHED = {
  vit_hidden_dim: 768,
  vit_inter_dim: 4 * 768,
  vit_patch_size: 16,
  vit_img_size: 224,
  vit_n_heads: 12,
  vit_dropout: 0,
  vit_n_blocks: 12,
  vit_ln_eps: 1e-6,
  vit_cls_flag: false,
  vit_model_type: "google/siglip-base-patch16-224",
  lm_hidden_dim: 576,
  lm_inter_dim: 1536,
  lm_rms_eps: 1e-5,
  lm_re_base: 100000,
  lm_max_position_embeddings: 8192,
  lm_vocab_size: 49152,
  lm_n_heads: 9,
  lm_n_kv_heads: 3,
  lm_dropout: 0,
  lm_n_blocks: 30,
  lm_attn_scaling: 1,
  lm_max_length: 128 - 49,
  lm_use_tokens: false,
  lm_tie_weights: true,
  lm_model_type: "HuggingFaceTB/SmolLM2-135M",
  lm_tokenizer: "HuggingFaceTB/cosmo2-tokenizer",
  lm_eos_token_id: 0,
  mp_pixel_shuffle_factor: 2,
  vlm_load_backbone_weights: true,
  vlm_checkpoint_path: "checkpoints/nanoVLM-222M",
  lr_mp: 2e-3,
  lr_backbones: 1e-4,
  data_cutoff_idx: null,
  val_ratio: 0.01,
  batch_size: 256,
  mmstar_batch_size: 32,
  eval_in_epochs: true,
  epochs: 5,
  resume_from_vlm_checkpoint: false,
  train_dataset_path: "HuggingFaceM4/the_cauldron",
  train_dataset_name: (
    "ai2d aokvqa chart2text chartqa clevr cocoqa datikz diagram_image_to_text docvqa dvqa figureqa finqa geomverse " +
    "hateful_memes hitab iam iconqa infographic_vqa intergps localized_narratives mapqa multihiertt ocrvqa plotqa raven " +
    "rendered_text robut_sqa robut_wikisql robut_wtq scienceqa screen2words st_vqa tabmwp tallyqa tat_qa textcaps textvqa " +
    "tqa vistext visual7w visualmrc vqarad vqav2 vsr websight"
  ).split(" "),
  test_dataset_path: "Lin-Chen/MMStar",
};
// What v0.1's train.py does without a key, and what leaves it as it is.
const UNNAMED = {
  vit_pixel_mean: 0,
  vit_pixel_std: 1,
  image_fit: "squeeze",
  image_alpha: "drop",
  lm_padding_side: "left",
  val_dataset_path: null,
  eval_datasets: [],
  dataset_columns: [],
  dataset_weights: [],
  dataset_download: false,
  relevance_min_rating: 1,
  image_correspondence_min_rating: 1,
  visual_dependency_min_rating: 1,
  formatting_min_rating: 1,
  questions_per_row: "first",
  kind_balance: 0,
  allowed_bad_rows: 0.01,
  data_workers: null,
  shuffle_buffer_megabytes: 512,
  initialization: "nanovlm",
  augmentation: "none",
  seed: 0,
  max_training_steps: null,
  freeze: [],
  lr_overshoot: true,
  eval_interval: 250,
  eval_limit: null,
  checkpoint_every: null,
  push_to: null,
  push_private: false,
  dtype: "auto",
};

Deno.test("the preset 222m has nanoVLM v0.1's values, every one, and nothing of ours that changes them", () => {
  const { vlm, train } = presets["222m"];
  assertEquals({ ...vlm, ...train }, { ...PUBLISHED, ...UNNAMED });
});

Deno.test("applySettings() sets keys of both configurations and leaves the original alone", () => {
  const before = structuredClone(presets.quickstart);
  const { vlm, train } = applySettings(presets.quickstart, [
    "lm_n_blocks=3",
    "lr_mp=1e-4",
    "eval_in_epochs=false",
    "train_dataset_path=a=b",
    "train_dataset_name=ai2d,vqav2",
    "data_cutoff_idx=100",
    "max_training_steps=null",
    "questions_per_row=first",
  ]);
  assertEquals(presets.quickstart, before);
  assertEquals(vlm, { ...before.vlm, lm_n_blocks: 3 });
  assertEquals(train, {
    ...before.train,
    lr_mp: 1e-4,
    eval_in_epochs: false,
    train_dataset_path: "a=b",
    train_dataset_name: ["ai2d", "vqav2"],
    data_cutoff_idx: 100,
    max_training_steps: null,
    questions_per_row: "first",
  });
});

Deno.test("applySettings() checks the configuration only after all settings", () => {
  const { vlm } = applySettings(presets["222m"], ["lm_n_heads=8", "lm_n_kv_heads=4"]);
  assertEquals([vlm.lm_n_heads, vlm.lm_n_kv_heads], [8, 4]);
  assertThrows(() => applySettings(presets["222m"], ["lm_n_heads=8"]), RangeError, "lm_n_kv_heads");
});

Deno.test("applySettings() throws for what it cannot apply", () => {
  const wrong: Array<[string, typeof TypeError | typeof RangeError, string]> = [
    ["lr_mpp=1", TypeError, 'did you mean "lr_mp"?'],
    ["toString=1", TypeError, "unknown"],
    ["compile=true", TypeError, "unknown"],
    ["lr_mp", TypeError, 'no "="'],
    ["lr_mp=fast", TypeError, '"fast"'],
    ["lr_mp=", TypeError, '""'],
    ["batch_size=1.5", RangeError, "1.5"],
    ["batch_size=0", RangeError, "at least 1"],
    ["val_ratio=1", RangeError, "below 1"],
    ["eval_in_epochs=yes", TypeError, "true or false"],
    ["initialization=xavier", TypeError, '"nanovlm" or "fan_in"'],
    ["augmentation=shift_flp", TypeError, 'did you mean "shift_flip"?'],
    ["freeze=vision,langage", TypeError, 'did you mean "language"?'],
    ["lm_dropout=0.5", RangeError, "dropout"],
  ];
  for (const [setting, kind, message] of wrong) {
    assertThrows(() => applySettings(presets.tiny, [setting]), kind, message);
  }
});

Deno.test("VLM_FIELDS has nanoVLM's keys in nanoVLM's order, then ours", () => {
  assertEquals(Object.keys(VLM_FIELDS), [
    ...Object.keys(goldenJson("v01_a")),
    "vit_pixel_mean",
    "vit_pixel_std",
    "lm_padding_side",
    "image_fit",
    "image_alpha",
  ]);
});
