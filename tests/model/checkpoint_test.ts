// Tests of model/checkpoint.ts: checkpoints of PyTorch's nanoVLM read and written again, and wrong ones.
import {
  assert,
  assertEquals,
  assertNotEquals,
  assertRejects,
  assertStringIncludes,
  assertThrows,
} from "@std/assert";
import {
  CheckpointError,
  expectedParameters,
  openCheckpoint,
  rotaryFrequencies,
  saveCheckpoint,
} from "../../model/checkpoint.ts";
import { presets, type VLMConfig } from "../../model/config.ts";
import { formatVLMConfig } from "../../model/config_file.ts";
import { openSafetensors, writeSafetensors } from "../../model/safetensors.ts";

const GOLDEN = new URL("../golden/", import.meta.url).pathname;
const SHARED = new URL("../../../shared/golden/", import.meta.url).pathname;
const EMBEDDING = "decoder.token_embedding.weight";
const HEAD = "decoder.head.weight";

async function inFolder(use: (dir: string) => Promise<void>): Promise<void> {
  const dir = await Deno.makeTempDir();
  try {
    await use(dir);
  } finally {
    await Deno.remove(dir, { recursive: true });
  }
}

/** The preset quickstart, smaller; weights that all differ. */
const SMALL: VLMConfig = { ...presets.quickstart.vlm, vit_n_blocks: 1, lm_n_blocks: 1 };
const UNTIED: VLMConfig = { ...SMALL, lm_tie_weights: false };
const numbered = (config: VLMConfig) => (name: string) => {
  const parameters = expectedParameters(config);
  const index = parameters.findIndex((parameter) => parameter.name === name);
  const count = parameters[index]!.shape.reduce((a, b) => a * b, 1);
  return Float32Array.from({ length: count }, (_, i) => index + i / count);
};

for (const [name, folder] of [["v01_a", GOLDEN], ["backbone_v01", GOLDEN], ["v01_b", SHARED]]) {
  const dir = `${folder}${name}`;
  const ignore = !isFolder(dir);
  if (ignore) console.log(`Skipped: reading ${name}, since there is no ${dir}.`);
  Deno.test({
    name: `saveCheckpoint() writes nanoVLM's ${name} byte for byte from what openCheckpoint() read`,
    ignore,
    fn: () =>
      inFolder(async (copy) => {
        using checkpoint = openCheckpoint(dir);
        await saveCheckpoint(`${copy}/new/folder`, checkpoint.config, checkpoint.load);
        for (const file of ["config.json", "model.safetensors"]) {
          assertEquals(
            Deno.readFileSync(`${copy}/new/folder/${file}`),
            Deno.readFileSync(`${dir}/${file}`),
          );
        }
        assertEquals([...Deno.readDirSync(`${copy}/new/folder`)].length, 2);
      }),
  });
}

function isFolder(path: string): boolean {
  try {
    return Deno.statSync(path).isDirectory;
  } catch {
    return false;
  }
}

Deno.test("expectedParameters() has the names of nanoVLM's file, tied weights as the embedding", () => {
  using checkpoint = openCheckpoint(`${GOLDEN}v01_a`);
  using file = openSafetensors(`${GOLDEN}v01_a/model.safetensors`);
  const names = expectedParameters(checkpoint.config).map(({ name }) => name);
  const inFile = [...file.tensors.keys()].map((name) => name === HEAD ? EMBEDDING : name)
    .filter((name) => name !== "decoder.rotary_embd.inv_freq");
  assertEquals(names.toSorted(), inFile.toSorted());
  assertEquals(names[0], "vision_encoder.patch_embedding.position_embedding");
  assertEquals(names.at(-1), "MP.proj.weight");
});

Deno.test("expectedParameters() of nanoVLM's own configuration has 222,081,600 numbers", () => {
  const count = expectedParameters(presets["222m"].vlm)
    .reduce((sum, { shape }) => sum + shape.reduce((a, b) => a * b, 1), 0);
  assertEquals(count, 222_081_600);
});

Deno.test("expectedParameters() has a head of its own only when it is untied", () => {
  const names = (config: VLMConfig) => expectedParameters(config).map(({ name }) => name);
  assert(!names(SMALL).includes(HEAD));
  assertEquals(names(UNTIED).filter((name) => !names(SMALL).includes(name)), [HEAD]);
});

Deno.test("load() gives tied weights whichever of the two names the file has", async () => {
  for (const kept of [[HEAD], [EMBEDDING], [HEAD, EMBEDDING]]) {
    await inFolder(async (dir) => {
      const load = numbered(SMALL);
      const tensors = expectedParameters(SMALL).flatMap(({ name, shape }) =>
        (name === EMBEDDING ? kept : [name]).map((as) => ({ name: as, shape, data: load(name) }))
      );
      await writeSafetensors(`${dir}/model.safetensors`, tensors);
      Deno.writeTextFileSync(`${dir}/config.json`, formatVLMConfig(SMALL));
      using checkpoint = openCheckpoint(dir);
      assertEquals(checkpoint.load(EMBEDDING), load(EMBEDDING));
    });
  }
});

Deno.test("untied weights are saved and loaded as two tensors", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, UNTIED, numbered(UNTIED));
    using checkpoint = openCheckpoint(dir);
    assertEquals(checkpoint.config, UNTIED);
    assertEquals(checkpoint.load(HEAD), numbered(UNTIED)(HEAD));
    assertEquals(checkpoint.load(EMBEDDING), numbered(UNTIED)(EMBEDDING));
    assertNotEquals(checkpoint.load(HEAD), checkpoint.load(EMBEDDING));
  });
});

Deno.test("openCheckpoint() lists all missing, unexpected and misshapen tensors", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    const other = { ...SMALL, lm_inter_dim: 96, vit_n_blocks: 0, lm_n_blocks: 2 };
    Deno.writeTextFileSync(`${dir}/config.json`, formatVLMConfig(other));
    const { message } = assertThrows(() => openCheckpoint(dir), CheckpointError);
    assertStringIncludes(message, `"decoder.blocks.0.mlp.up_proj.weight" is [192, 64] instead of`);
    assertStringIncludes(
      message,
      `"decoder.blocks.0.mlp.down_proj.weight" is [64, 192] instead of`,
    );
    assertStringIncludes(message, `"decoder.blocks.1.norm2.weight" is missing`);
    assertStringIncludes(message, `"vision_encoder.blocks.0.ln1.bias" is unexpected`);
    assertEquals(message.match(/" is /g)?.length, 3 + 9 + 12);
    assertStringIncludes(message, dir);
  });
});

Deno.test("openCheckpoint() refuses parameters of whole numbers and other rotary frequencies", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    const path = `${dir}/model.safetensors`;
    const bytes = Deno.readFileSync(path);
    const text = new TextDecoder("latin1").decode(bytes.subarray(0, 12000));
    const at = text.indexOf(`"MP.proj.weight":{"dtype":"F32"`) +
      `"MP.proj.weight":{"dtype":"`.length;
    bytes.set(new TextEncoder().encode("I32"), at);
    Deno.writeFileSync(path, bytes);
    assertThrows(() => openCheckpoint(dir), CheckpointError, `"MP.proj.weight" is I32`);

    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    Deno.writeTextFileSync(`${dir}/config.json`, formatVLMConfig({ ...SMALL, lm_re_base: 10000 }));
    assertThrows(() => openCheckpoint(dir), CheckpointError, "lm_re_base");
  });
});

Deno.test("openCheckpoint() throws for files that are missing or damaged", async () => {
  await inFolder(async (dir) => {
    assertThrows(() => openCheckpoint(dir), Deno.errors.NotFound);
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    Deno.removeSync(`${dir}/model.safetensors`);
    assertThrows(() => openCheckpoint(dir), Deno.errors.NotFound);
    Deno.writeTextFileSync(`${dir}/model.safetensors`, "<!DOCTYPE html>");
    assertThrows(() => openCheckpoint(dir), CheckpointError, "its header claims");
    Deno.writeTextFileSync(`${dir}/config.json`, '{"vit_hidden_dim": ');
    assertThrows(() => openCheckpoint(dir), SyntaxError, "config.json");
  });
});

Deno.test("load() throws for a name that is no parameter", () => {
  using checkpoint = openCheckpoint(`${GOLDEN}v01_a`);
  assertThrows(() => checkpoint.load("decoder.bias"), CheckpointError, '"decoder.bias"');
});

Deno.test("saveCheckpoint() that fails half-way leaves the old checkpoint readable", async () => {
  await inFolder(async (dir) => {
    await saveCheckpoint(dir, SMALL, numbered(SMALL));
    const broken = (name: string) =>
      name.startsWith("vision") ? new Float32Array(1) : numbered(SMALL)(name);
    await assertRejects(() => saveCheckpoint(dir, SMALL, broken), RangeError, "has 1 elements");
    using checkpoint = openCheckpoint(dir);
    assertEquals(checkpoint.load("MP.proj.weight"), numbered(SMALL)("MP.proj.weight"));
    assertEquals([...Deno.readDirSync(dir)].length, 2);
  });
});

Deno.test("rotaryFrequencies() equals the buffer in nanoVLM's file bit for bit", () => {
  using checkpoint = openCheckpoint(`${GOLDEN}v01_a`);
  using file = openSafetensors(`${GOLDEN}v01_a/model.safetensors`);
  const frequencies = rotaryFrequencies(checkpoint.config);
  assertEquals(frequencies, file.readFloat32("decoder.rotary_embd.inv_freq"));
  assertEquals(checkpoint.frequencies, frequencies);
});
