// Tests of names on the Hub wherever a folder is accepted: fetched from a local server once, then from the cache.
import { assert, assertEquals, assertMatch } from "@std/assert";
import { parseFlags } from "../commands/flags.ts";
import { TRAIN_FLAGS, trainingRequest } from "../commands/training_config.ts";
import { Display } from "../runs/display.ts";
import { train } from "../train.ts";
import { downloadRoute } from "./hub/download_routes.ts";
import { startHub } from "./hub/server.ts";
import { HubStore } from "./hub/store.ts";
import { hasAdapter, runScriptWith, smallRun, writeDataset } from "./run_helpers.ts";

const SILENT = new Display({ isTerminal: () => false, writeSync: (bytes) => bytes.length });
const BACKBONES = new URL("./golden/backbone_v01/", import.meta.url).pathname;

/** All files of a folder, by name. */
function filesOf(dir: string): Record<string, Uint8Array<ArrayBuffer>> {
  const names = [...Deno.readDirSync(dir)].filter(({ isFile }) => isFile).map(({ name }) => name);
  return Object.fromEntries(names.map((name) => [name, Deno.readFileSync(`${dir}/${name}`)]));
}

Deno.test({
  name: "generate.ts fetches a model by name, asks the server little when warm and nothing offline",
  ignore: !hasAdapter,
  fn: async () => {
    const [data, out, cache] = [
      await writeDataset(),
      await Deno.makeTempDir(),
      await Deno.makeTempDir(),
    ];
    await train(await trainingRequest(parseFlags(smallRun(data, out), TRAIN_FLAGS, [])), SILENT);
    const store = new HubStore();
    store.addRepository({ kind: "model", name: "somebody/tiny-vlm", files: filesOf(out) });
    const args = [`${out}/example.png`, "What color?", "--json", "--max-new-tokens", "4"];
    const named = [...args, "--checkpoint", "somebody/tiny-vlm"];
    const local = await runScriptWith({}, "generate.ts", ...args, "--checkpoint", out);
    await using hub = startHub(store, [downloadRoute]);
    const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: cache, HF_HUB_OFFLINE: "0" };

    const cold = await runScriptWith(env, "generate.ts", ...named);
    assertEquals(cold.code, 0, cold.stderr);
    assertMatch(cold.stderr, /^Downloaded 2 files, \d/m);
    assertEquals(JSON.parse(cold.stdout).answers, JSON.parse(local.stdout).answers);
    const weights = () => hub.seen.filter(({ path }) => path.includes("model.safetensors")).length;
    const fetched = weights();
    assert(fetched > 0);

    const model = "Model: somebody/tiny-vlm, from the Hugging Face Hub\n";
    const warm = await runScriptWith(env, "generate.ts", ...named);
    assertEquals([warm.code, warm.stdout, warm.stderr], [0, cold.stdout, model]);
    assertEquals(weights(), fetched);

    const seen = hub.seen.length;
    const offline = await runScriptWith({ ...env, HF_HUB_OFFLINE: "1" }, "generate.ts", ...named);
    assertEquals([offline.code, offline.stdout, offline.stderr], [0, cold.stdout, model]);
    assertEquals(hub.seen.length, seen);
    for (const dir of [data, out, cache]) await Deno.remove(dir, { recursive: true });
  },
});

/** A tokenizer of printable ASCII, in Hugging Face's format. */
function characterTokenizer(): Record<string, string> {
  const characters = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i));
  const tokens = ["<|endoftext|>", ...characters, "Ġ", "Ċ"];
  const eos = { id: 0, content: tokens[0], special: true, single_word: false, lstrip: false };
  const byteLevel = {
    type: "ByteLevel",
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: true,
  };
  return {
    "tokenizer.json": JSON.stringify({
      version: "1.0",
      added_tokens: [{ ...eos, rstrip: false, normalized: false }],
      normalizer: null,
      pre_tokenizer: byteLevel,
      post_processor: null,
      decoder: byteLevel,
      model: {
        type: "BPE",
        vocab: Object.fromEntries(tokens.map((token, id) => [token, id])),
        merges: [],
      },
    }),
    "tokenizer_config.json": JSON.stringify({ eos_token: tokens[0] }),
  };
}

Deno.test({
  name: "train.ts starts from backbones and a tokenizer by name as from their folders",
  ignore: !hasAdapter,
  fn: async () => {
    const [data, tokenizer, cache] = [
      await writeDataset(),
      await Deno.makeTempDir(),
      await Deno.makeTempDir(),
    ];
    for (const [name, text] of Object.entries(characterTokenizer())) {
      await Deno.writeTextFile(`${tokenizer}/${name}`, text);
    }
    const store = new HubStore();
    const add = (name: string, dir: string) =>
      store.addRepository({ kind: "model", name, files: filesOf(dir) });
    add("google/siglip-toy", `${BACKBONES}hf_siglip`);
    add("HuggingFaceTB/llama-toy", `${BACKBONES}hf_llama`);
    add("HuggingFaceTB/toy-tokenizer", tokenizer);
    await using hub = startHub(store, [downloadRoute]);
    const env = { HF_ENDPOINT: hub.endpoint, HF_HOME: cache, HF_HUB_OFFLINE: "0" };
    const run = async (vision: string, language: string, tokens: string) => {
      const out = await Deno.makeTempDir();
      const flags =
        `--preset 222m --train-dataset ${data} --val-dataset ${data} --tokenizer ${tokens} --out ${out} ` +
        `--max-steps 2 --batch-size 4 --eval-every 2 --dtype f32 --set vit_model_type=${vision} --set lm_model_type=${language} ` +
        "--set lm_vocab_size=128 --set mp_pixel_shuffle_factor=1 --set mmstar_batch_size=8";
      const outcome = await runScriptWith(env, "train.ts", ...flags.split(" "), "--json");
      assertEquals(outcome.code, 0, outcome.stderr);
      const config = JSON.parse(await Deno.readTextFile(`${out}/config.json`));
      const weights = await Deno.readFile(`${out}/model.safetensors`);
      await Deno.remove(out, { recursive: true });
      return { loss: JSON.parse(outcome.stdout).loss, config, weights };
    };
    const local = await run(`${BACKBONES}hf_siglip`, `${BACKBONES}hf_llama`, tokenizer);
    const named = await run(
      "google/siglip-toy",
      "HuggingFaceTB/llama-toy",
      "HuggingFaceTB/toy-tokenizer",
    );
    assertEquals([named.loss, named.weights], [local.loss, local.weights]);
    const { vit_model_type, lm_model_type, lm_tokenizer } = named.config;
    assertEquals(
      [vit_model_type, lm_model_type, lm_tokenizer],
      ["google/siglip-toy", "HuggingFaceTB/llama-toy", "HuggingFaceTB/toy-tokenizer"],
    );
    for (const dir of [data, tokenizer, cache]) await Deno.remove(dir, { recursive: true });
  },
});

Deno.test("a name that neither this machine nor the Hub knows is one clear line", async () => {
  await using hub = startHub(new HubStore(), [downloadRoute]);
  const env = { HF_ENDPOINT: hub.endpoint, HF_HUB_OFFLINE: "0" };
  const args = ["--checkpoint", "nobody/nothing", "--dataset", "shapes"];
  const { code, stdout, stderr } = await runScriptWith(env, "eval.ts", ...args);
  assertEquals([code, stdout], [1, ""]);
  assertMatch(
    stderr,
    /^Cannot [^\n]*nobody\/nothing[^\n]*no folder "nobody\/nothing" on this machine either[^\n]*\n$/,
  );
});
