// Tests of model/backbones.ts: backbones as PyTorch's nanoVLM loads them, and folders that do not fit.
import {
  assert,
  assertAlmostEquals,
  assertEquals,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import { type Backbone, loadLanguageBackbone, loadVisionBackbone } from "../../model/backbones.ts";
import { openCheckpoint } from "../../model/checkpoint.ts";
import { presets, type VLMConfig } from "../../model/config.ts";
import { CheckpointError, openSafetensors, writeSafetensors } from "../../model/safetensors.ts";

const GOLDEN = new URL("../golden/backbone_v01/", import.meta.url).pathname;
const SIGLIP = `${GOLDEN}hf_siglip`;
const LLAMA = `${GOLDEN}hf_llama`;
const EMBEDDING = "decoder.token_embedding.weight";
const HEAD = "decoder.head.weight";
/** What nanoVLM's own configuration was when the golden model was made. */
const BEFORE: VLMConfig = {
  ...presets["222m"].vlm,
  lm_vocab_size: 128,
  mp_pixel_shuffle_factor: 1,
};

function counter(): () => number {
  let count = 0;
  return () => ++count;
}

async function inFolder(use: (dir: string) => Promise<void> | void): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** Copies the folder `from`, with keys of config.json and tensors put in, or taken out where undefined. */
async function variant(
  from: string,
  to: string,
  keys: Record<string, unknown>,
  tensors: Record<string, { shape: number[]; data: Float32Array } | undefined> = {},
): Promise<void> {
  const json = JSON.parse(Deno.readTextFileSync(`${from}/config.json`));
  Deno.writeTextFileSync(`${to}/config.json`, JSON.stringify({ ...json, ...keys }));
  using file = openSafetensors(`${from}/model.safetensors`);
  const all: typeof tensors = {};
  for (const [name, { shape }] of file.tensors) {
    all[name] = { shape: [...shape], data: file.readFloat32(name) };
  }
  const kept = Object.entries({ ...all, ...tensors })
    .flatMap(([name, tensor]) => tensor === undefined ? [] : [{ name, ...tensor }]);
  await writeSafetensors(`${to}/model.safetensors`, kept);
}

Deno.test("both backbones give the configuration and the tensors of nanoVLM's from_pretrained", () => {
  using vision = loadVisionBackbone(SIGLIP, BEFORE);
  using language = loadLanguageBackbone(LLAMA, vision.config, counter());
  using golden = openCheckpoint(GOLDEN);
  assertEquals(language.config, {
    ...golden.config,
    vit_model_type: BEFORE.vit_model_type,
    lm_model_type: BEFORE.lm_model_type,
  });
  assertEquals([vision.names.length, language.names.length], [29, 20]);
  for (const part of [vision, language]) {
    for (const name of part.names) assertEquals(part.load(name), golden.load(name), name);
  }
});

Deno.test("backbones in several files with an index give the same", async () => {
  await inFolder(async (dir) => {
    using whole = openSafetensors(`${LLAMA}/model.safetensors`);
    const names = [...whole.tensors.keys()];
    const weight_map: Record<string, string> = {};
    for (const [i, part] of [names.slice(0, 7), names.slice(7)].entries()) {
      const tensors = part.map((name) => ({
        name,
        shape: whole.entry(name).shape,
        data: whole.readFloat32(name),
      }));
      await writeSafetensors(`${dir}/part-${i}.safetensors`, tensors);
      for (const name of part) weight_map[name] = `part-${i}.safetensors`;
    }
    const writeIndex = (map: unknown) =>
      Deno.writeTextFileSync(
        `${dir}/model.safetensors.index.json`,
        JSON.stringify({ weight_map: map }),
      );
    Deno.copyFileSync(`${LLAMA}/config.json`, `${dir}/config.json`);
    writeIndex(weight_map);
    using expected = loadLanguageBackbone(LLAMA, BEFORE_LANGUAGE, counter());
    using found = loadLanguageBackbone(dir, BEFORE_LANGUAGE, counter());
    for (const name of expected.names) assertEquals(found.load(name), expected.load(name));

    const load = () => loadLanguageBackbone(dir, BEFORE_LANGUAGE, counter());
    writeIndex({ ...weight_map, "model.norm.weight": "part-0.safetensors" });
    assertThrows(load, CheckpointError, '"model.norm.weight" is missing');
    writeIndex({ ...weight_map, "model.norm.weight": "../part-0.safetensors" });
    assertThrows(load, CheckpointError, "the name of a file beside it");
    writeIndex({ ...weight_map, "model.norm.weight": "part-9.safetensors" });
    assertThrows(load, Deno.errors.NotFound);
    writeIndex([]);
    assertThrows(load, CheckpointError, "weight_map");
  });
});

const BEFORE_LANGUAGE: VLMConfig = { ...BEFORE, mp_pixel_shuffle_factor: 2 };

Deno.test("a larger vocabulary gets new rows from the generator, the same at every load", () => {
  using language = loadLanguageBackbone(LLAMA, { ...BEFORE, lm_vocab_size: 131 }, counter());
  using golden = openCheckpoint(GOLDEN);
  const table = language.load(EMBEDDING);
  assertEquals(table.length, 131 * 48);
  assertEquals(table.slice(0, 128 * 48), golden.load(EMBEDDING));
  for (let i = 0; i < 3 * 48; i++) {
    assertAlmostEquals(table[128 * 48 + i]!, 0.02 * (i + 1), 1e-6);
  }
  assertEquals(language.load(EMBEDDING), table);
});

Deno.test("an untied head comes from the folder's head, or else from its embedding", async () => {
  const untied = { ...BEFORE, lm_tie_weights: false, lm_vocab_size: 129 };
  using withoutHead = loadLanguageBackbone(LLAMA, untied, counter());
  assertEquals(withoutHead.load(HEAD), withoutHead.load(EMBEDDING));
  await inFolder(async (dir) => {
    const data = new Float32Array(128 * 48).fill(7);
    await variant(LLAMA, dir, {}, { "lm_head.weight": { shape: [128, 48], data } });
    using withHead = loadLanguageBackbone(dir, untied, counter());
    assertEquals(withHead.load(HEAD).slice(0, 128 * 48), data);
    assertEquals(withHead.load(EMBEDDING), withoutHead.load(EMBEDDING));
  });
});

Deno.test("keys left out of config.json have transformers' values", async () => {
  await inFolder(async (dir) => {
    const missing = {
      rms_norm_eps: undefined,
      rope_theta: undefined,
      max_position_embeddings: undefined,
      num_key_value_heads: undefined,
      attention_dropout: undefined,
    };
    const full = { shape: [48, 48], data: new Float32Array(48 * 48) };
    const tensors = Object.fromEntries(
      [0, 1].flatMap((i) =>
        ["k", "v"].map((x) => [`model.layers.${i}.self_attn.${x}_proj.weight`, full])
      ),
    );
    await variant(LLAMA, dir, missing, tensors);
    using language = loadLanguageBackbone(dir, BEFORE, counter());
    const { config } = language;
    assertEquals([config.lm_rms_eps, config.lm_re_base], [1e-6, 10000]);
    assertEquals([config.lm_max_position_embeddings, config.lm_n_kv_heads], [2048, 3]);
  });
  using vision = loadVisionBackbone(SIGLIP, BEFORE); // its config.json leaves layer_norm_eps out
  assertEquals(vision.config.vit_ln_eps, 1e-6);
});

Deno.test("a SigLIP folder of the vision tower alone is read too", async () => {
  await inFolder((dir) => {
    const json = JSON.parse(Deno.readTextFileSync(`${SIGLIP}/config.json`));
    Deno.copyFileSync(`${SIGLIP}/model.safetensors`, `${dir}/model.safetensors`);
    Deno.writeTextFileSync(`${dir}/config.json`, JSON.stringify(json.vision_config));
    using vision = loadVisionBackbone(dir, BEFORE);
    assertEquals(vision.config.vit_hidden_dim, 32);
  });
});

Deno.test("missing and misshapen tensors throw one error that lists them all", async () => {
  await inFolder(async (dir) => {
    await variant(LLAMA, dir, { intermediate_size: 57 }, { "model.norm.weight": undefined });
    const { message } = assertThrows(
      () => loadLanguageBackbone(dir, BEFORE, counter()),
      CheckpointError,
    );
    assertStringIncludes(message, '"model.norm.weight" is missing');
    assertStringIncludes(
      message,
      '"model.layers.1.mlp.down_proj.weight" is [48, 56] instead of [48, 57]',
    );
    assertEquals(message.match(/" is /g)?.length, 7);
  });
  await inFolder(async (dir) => {
    const key = "vision_model.encoder.layers.1.self_attn.k_proj.bias";
    await variant(SIGLIP, dir, {}, { [key]: undefined });
    assertThrows(() => loadVisionBackbone(dir, BEFORE), CheckpointError, `"${key}" is missing`);
  });
});

Deno.test("folders of another kind of model throw, naming what differs", async () => {
  const cases: Array<[string, (dir: string) => Backbone, Record<string, unknown>, string]> = [
    [LLAMA, language, { model_type: "mistral" }, "model_type"],
    [LLAMA, language, { hidden_act: "gelu" }, "hidden_act"],
    [LLAMA, language, { attention_bias: true }, "attention_bias"],
    [LLAMA, language, { rope_scaling: { type: "linear", factor: 2 } }, "rope_scaling"],
    [LLAMA, language, { head_dim: 32 }, "head_dim"],
    [LLAMA, language, { attention_dropout: 0.1 }, "dropout"],
    [LLAMA, language, { vocab_size: 200 }, "Raise lm_vocab_size"],
    [LLAMA, language, { num_hidden_layers: 1.5 }, "lm_n_blocks"],
    [SIGLIP, vision, { model_type: "clip" }, "model_type"],
    [SIGLIP, vision, { vision_config: { image_size: 7, patch_size: 8 } }, "vit_patch_size"],
    [SIGLIP, vision, { vision_config: { hidden_act: "relu" } }, "hidden_act"],
  ];
  for (const [from, load, keys, message] of cases) {
    await inFolder(async (dir) => {
      await variant(from, dir, keys);
      assertThrows(() => load(dir), RangeError, message);
    });
  }
  await inFolder(async (dir) => {
    await variant(LLAMA, dir, { hidden_size: "48" });
    assertThrows(() => language(dir), TypeError, "hidden_size");
    Deno.writeTextFileSync(`${dir}/config.json`, "[]");
    assertThrows(() => language(dir), TypeError, "expected an object");
    Deno.writeTextFileSync(`${dir}/config.json`, "{");
    assertThrows(() => language(dir), SyntaxError, "config.json");
  });
  assertThrows(() => vision("/no/such/folder"), Deno.errors.NotFound);
});

function language(dir: string): Backbone {
  return loadLanguageBackbone(dir, BEFORE, counter());
}

function vision(dir: string): Backbone {
  return loadVisionBackbone(dir, BEFORE);
}

Deno.test("load() throws for a name of the other part", () => {
  using backbone = vision(SIGLIP);
  assert(!backbone.names.includes(EMBEDDING));
  assertThrows(() => backbone.load(EMBEDDING), RangeError, EMBEDDING);
});
