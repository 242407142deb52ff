// Pretrained backbones from local Hugging Face folders: SigLIP for the vision encoder, Llama (SmolLM2) for the decoder.
// Turns their config.json into keys of VLMConfig and their tensors into nanoVLM's, read only when asked for.
// Source: ViT.from_pretrained and LanguageModel.from_pretrained of nanoVLM v0.1, models/vision_transformer.py and
// models/language_model.py; SiglipVisionConfig and LlamaConfig of transformers for what a config.json leaves out.
import { BackboneConfig, BackboneFiles } from "./backbone_files.ts";
import { expectedParameters, type ParameterShape } from "./checkpoint.ts";
import type { VLMConfig } from "./config.ts";
import { parseVLMConfig } from "./config_file.ts";
import { listed } from "./fields.ts";
import { CheckpointError } from "./safetensors.ts";

/** An open backbone. Close it, or declare it with `using`. */
export interface Backbone extends Disposable {
  /** The configuration given, with what the backbone determines in its place. */
  readonly config: VLMConfig;
  /** The names that load() takes: nanoVLM's, of all parameters of this part. */
  readonly names: readonly string[];
  /** The values of a parameter, read from the disk at each call. */
  load(name: string): Float32Array<ArrayBuffer>;
  close(): void;
}

/** A tensor of the folder that becomes a part, by rows, of one of ours. */
interface Piece {
  readonly source: string;
  readonly shape: readonly number[];
  /** Rows to put after it, which the folder does not have. */
  readonly newRows?: Float32Array<ArrayBuffer> | undefined;
}

// Deviation of the rows that a larger vocabulary adds, as in nanoVLM.
const NEW_ROW_DEVIATION = 0.02;

/**
 * Opens the SigLIP model in folder `dir` as the vision encoder of `config`.
 *
 * @throws {CheckpointError} if tensors are missing or misshapen (all are listed), or a file is damaged
 * @throws {TypeError} or {RangeError} if the folder holds another kind of model, or one that does not fit `config`
 * @throws {Deno.errors.NotFound} if a file is missing
 */
export function loadVisionBackbone(dir: string, config: VLMConfig): Backbone {
  const merged = parseVLMConfig(
    { ...config, ...visionKeys(BackboneConfig.read(dir)) },
    dir,
  );
  return openBackbone(dir, merged, "vision_encoder.", () => visionPieces);
}

/**
 * Opens the Llama model in folder `dir` as the decoder of `config`.
 *
 * Where `lm_vocab_size` is larger than the folder's vocabulary, the new rows are 0.02 times what `normal` gives, which is
 * to give standard normal numbers.
 *
 * @throws {CheckpointError} if tensors are missing or misshapen (all are listed), or a file is damaged
 * @throws {TypeError} or {RangeError} if the folder holds another kind of model, or one that does not fit `config`
 * @throws {Deno.errors.NotFound} if a file is missing
 */
export function loadLanguageBackbone(
  dir: string,
  config: VLMConfig,
  normal: () => number,
): Backbone {
  const llama = BackboneConfig.read(dir);
  const merged = parseVLMConfig({ ...config, ...languageKeys(llama) }, dir);
  const fileRows = llama.number("vocab_size", 32000);
  if (!Number.isSafeInteger(fileRows) || fileRows < 1 || merged.lm_vocab_size < fileRows) {
    throw new RangeError(
      `Cannot use the backbone "${dir}": its vocabulary has ${fileRows} tokens, expected from 1 to lm_vocab_size, ${merged.lm_vocab_size}. Raise lm_vocab_size.`,
    );
  }
  const newRows = (merged.lm_vocab_size - fileRows) * merged.lm_hidden_dim;
  const draw = () => Float32Array.from({ length: newRows }, () => NEW_ROW_DEVIATION * normal());
  return openBackbone(dir, merged, "decoder.", (files) => {
    // Drawn once, so that every load() gives the same.
    const drawn = new Map(
      [EMBEDDING, HEAD].filter((name) => files.has(name))
        .map((name) => [name, draw()]),
    );
    return (parameter) => languagePiece(parameter, fileRows, drawn);
  });
}

type Mapping = (parameter: ParameterShape) => Piece[];

function openBackbone(
  dir: string,
  config: VLMConfig,
  prefix: "vision_encoder." | "decoder.",
  makeMapping: (files: BackboneFiles) => Mapping,
): Backbone {
  const files = new BackboneFiles(dir);
  try {
    const mapping = makeMapping(files);
    const parameters = expectedParameters(config)
      .filter(({ name }) => name.startsWith(prefix));
    const pieces = new Map(parameters.map(({ name, shape }) => [
      name,
      mapping({ name: name.slice(prefix.length), shape }),
    ]));
    checkPieces(files, [...pieces.values()].flat());
    return {
      config,
      names: [...pieces.keys()],
      load: (name) => loadPieces(files, name, pieces.get(name)),
      close: () => files.close(),
      [Symbol.dispose]: () => files.close(),
    };
  } catch (error) {
    files.close();
    throw error;
  }
}

function checkPieces(files: BackboneFiles, pieces: readonly Piece[]): void {
  const problems = pieces
    .map(({ source, shape }) => files.problem(source, shape))
    .filter((problem) => problem !== undefined);
  if (problems.length === 0) return;
  throw new CheckpointError(
    files.dir,
    listed([...new Set(problems)], (problem) => problem),
    "the tensors that its config.json asks for",
    "Give a complete Hugging Face model folder.",
  );
}

function loadPieces(
  files: BackboneFiles,
  name: string,
  pieces: readonly Piece[] | undefined,
): Float32Array<ArrayBuffer> {
  if (pieces === undefined) {
    throw new RangeError(
      `Cannot load "${name}" from the backbone "${files.dir}": it is no parameter of that part, expected one of its names. Correct the name.`,
    );
  }
  const parts = pieces.flatMap(({ source, newRows }) =>
    newRows === undefined ? [files.read(source)] : [files.read(source), newRows]
  );
  const [first] = parts;
  if (first !== undefined && parts.length === 1) return first;
  const all = new Float32Array(
    parts.reduce((total, part) => total + part.length, 0),
  );
  let position = 0;
  for (const part of parts) {
    all.set(part, position);
    position += part.length;
  }
  return all;
}

/** What SigLIP's config.json determines; the numbers are SiglipVisionConfig's defaults. */
function visionKeys(siglip: BackboneConfig): Partial<VLMConfig> {
  const vision = siglip.part("vision_config") ?? siglip;
  if (vision === siglip) siglip.require("model_type", "siglip_vision_model");
  else siglip.require("model_type", "siglip");
  vision.require("num_channels", 3);
  vision.require("hidden_act", "gelu_pytorch_tanh");
  return {
    vit_dropout: vision.number("attention_dropout", 0),
    vit_hidden_dim: vision.number("hidden_size", 768),
    vit_img_size: vision.number("image_size", 224),
    vit_inter_dim: vision.number("intermediate_size", 3072),
    vit_ln_eps: vision.number("layer_norm_eps", 1e-6),
    vit_n_heads: vision.number("num_attention_heads", 12),
    vit_n_blocks: vision.number("num_hidden_layers", 12),
    vit_patch_size: vision.number("patch_size", 16),
  };
}

/** What Llama's config.json determines; the numbers are LlamaConfig's defaults. */
function languageKeys(llama: BackboneConfig): Partial<VLMConfig> {
  const width = llama.number("hidden_size", 4096);
  const heads = llama.number("num_attention_heads", 32);
  llama.require("model_type", "llama");
  llama.require("hidden_act", "silu");
  llama.require("attention_bias", false);
  llama.require("mlp_bias", false);
  llama.require("rope_scaling", null);
  llama.require("rope_parameters", null);
  llama.require("head_dim", width / heads);
  return {
    lm_hidden_dim: width,
    lm_inter_dim: llama.number("intermediate_size", 11008),
    lm_rms_eps: llama.number("rms_norm_eps", 1e-6),
    lm_re_base: llama.number("rope_theta", 10000),
    lm_max_position_embeddings: llama.number("max_position_embeddings", 2048),
    lm_n_heads: heads,
    lm_n_kv_heads: llama.number("num_key_value_heads", heads),
    lm_dropout: llama.number("attention_dropout", 0),
    lm_n_blocks: llama.number("num_hidden_layers", 32),
  };
}

// Applied in this order to a name without "vision_encoder.".
const VISION_NAMES: ReadonlyArray<readonly [RegExp, string]> = [
  [/^patch_embedding\.conv\./, "embeddings.patch_embedding."],
  [/^patch_embedding\.position_embedding$/, "embeddings.position_embedding.weight"],
  [/^layer_norm\./, "post_layernorm."],
  [/^blocks\./, "encoder.layers."],
  [/\.ln([12])\./, ".layer_norm$1."],
  [/\.attn\./, ".self_attn."],
  [/^/, "vision_model."],
];

// Applied in this order to a name without "decoder.".
const LANGUAGE_NAMES: ReadonlyArray<readonly [RegExp, string]> = [
  [/^token_embedding\./, "model.embed_tokens."],
  [/^head\./, "lm_head."],
  [/^norm\./, "model.norm."],
  [/^blocks\./, "model.layers."],
  [/\.attn\.out_proj\./, ".attn.o_proj."],
  [/\.attn\./, ".self_attn."],
  [/\.norm1\./, ".input_layernorm."],
  [/\.norm2\./, ".post_attention_layernorm."],
];

const EMBEDDING = "model.embed_tokens.weight";
const HEAD = "lm_head.weight";

function translate(name: string, names: typeof VISION_NAMES): string {
  return names.reduce((text, [from, to]) => text.replace(from, to), name);
}

// Queries, keys and values are three tensors there and one here; positions have no batch axis there.
function visionPieces({ name, shape }: ParameterShape): Piece[] {
  const [first = 0, ...rest] = shape;
  const source = translate(name, VISION_NAMES);
  if (name.endsWith("position_embedding")) return [{ source, shape: rest }];
  if (!name.includes(".qkv_proj.")) return [{ source, shape }];
  return ["q_proj", "k_proj", "v_proj"].map((part) => ({
    source: source.replace("qkv_proj", part),
    shape: [first / 3, ...rest],
  }));
}

function languagePiece(
  { name, shape }: ParameterShape,
  fileRows: number,
  drawn: ReadonlyMap<string, Float32Array<ArrayBuffer>>,
): Piece[] {
  const translated = translate(name, LANGUAGE_NAMES);
  if (translated !== HEAD && translated !== EMBEDDING) {
    return [{ source: translated, shape }];
  }
  // Differs from nanoVLM: an untied head comes from the folder's head, or from the embedding where that is tied. nanoVLM
  // v0.1 leaves it random unless the vocabulary grows, which throws the pretrained head away.
  const source = drawn.has(translated) ? translated : EMBEDDING;
  return [{
    source,
    shape: [fileRows, ...shape.slice(1)],
    newRows: drawn.get(source),
  }];
}
