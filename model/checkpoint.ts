// A folder with config.json and model.safetensors, as nanoVLM's save_pretrained writes it and from_pretrained reads it.
// Between safetensors.ts and vision_language_model.ts. Source: nanoVLM v0.1, models/vision_language_model.py, and
// save_model of the Python package safetensors, which keeps one name of tied weights.
import { whatIs } from "../data/file_kind.ts";
import { patchesPerSide, VLM_FIELDS, type VLMConfig } from "./config.ts";
import { formatVLMConfig, METADATA_KEYS, parseVLMConfig } from "./config_file.ts";
import { listed } from "./fields.ts";
import { type Checksums, writeBeside } from "./saved_files.ts";
import {
  CheckpointError,
  openSafetensors,
  type SafetensorsFile,
  type TensorSource,
  writeSafetensors,
} from "./safetensors.ts";

export { CheckpointError };

/** A parameter's name and shape. */
export interface ParameterShape {
  readonly name: string;
  readonly shape: readonly number[];
}

/** What gives a parameter's values by its name. */
export type ParameterSource = (
  name: string,
) => Float32Array | Promise<Float32Array>;

const EMBEDDING = "decoder.token_embedding.weight";
const HEAD = "decoder.head.weight";
const ROTARY = "decoder.rotary_embd.inv_freq";

/** All parameters of the model, in the order of nanoVLM's named_parameters(): tied weights once, as the embedding. */
export function expectedParameters(config: VLMConfig): ParameterShape[] {
  const { lm_hidden_dim: C, vit_hidden_dim: visionC } = config;
  const shuffled = visionC * config.mp_pixel_shuffle_factor ** 2;
  const shapes: Array<[string, number[]]> = [
    ...visionShapes(config),
    [EMBEDDING, [config.lm_vocab_size, C]],
    ...Array.from(
      { length: config.lm_n_blocks },
      (_, i) => languageBlockShapes(config, `decoder.blocks.${i}`),
    ).flat(),
    ["decoder.norm.weight", [C]],
    ...untiedHeadShapes(config),
    ["MP.proj.weight", [C, shuffled]],
  ];
  return shapes.map(([name, shape]) => ({ name, shape }));
}

function visionShapes(config: VLMConfig): Array<[string, number[]]> {
  const { vit_hidden_dim: C, vit_patch_size: side } = config;
  const patches = patchesPerSide(config) ** 2;
  return [
    ["vision_encoder.patch_embedding.position_embedding", [1, patches, C]],
    ["vision_encoder.patch_embedding.conv.weight", [C, 3, side, side]],
    ["vision_encoder.patch_embedding.conv.bias", [C]],
    ...Array.from(
      { length: config.vit_n_blocks },
      (_, i) => visionBlockShapes(config, `vision_encoder.blocks.${i}`),
    ).flat(),
    ["vision_encoder.layer_norm.weight", [C]],
    ["vision_encoder.layer_norm.bias", [C]],
  ];
}

function visionBlockShapes(
  { vit_hidden_dim: C, vit_inter_dim: I }: VLMConfig,
  block: string,
): Array<[string, number[]]> {
  return [
    [`${block}.ln1.weight`, [C]],
    [`${block}.ln1.bias`, [C]],
    [`${block}.attn.qkv_proj.weight`, [3 * C, C]],
    [`${block}.attn.qkv_proj.bias`, [3 * C]],
    [`${block}.attn.out_proj.weight`, [C, C]],
    [`${block}.attn.out_proj.bias`, [C]],
    [`${block}.ln2.weight`, [C]],
    [`${block}.ln2.bias`, [C]],
    [`${block}.mlp.fc1.weight`, [I, C]],
    [`${block}.mlp.fc1.bias`, [I]],
    [`${block}.mlp.fc2.weight`, [C, I]],
    [`${block}.mlp.fc2.bias`, [C]],
  ];
}

function languageBlockShapes(
  config: VLMConfig,
  block: string,
): Array<[string, number[]]> {
  const { lm_hidden_dim: C, lm_inter_dim: I } = config;
  const kvWidth = C / config.lm_n_heads * config.lm_n_kv_heads;
  return [
    [`${block}.mlp.gate_proj.weight`, [I, C]],
    [`${block}.mlp.up_proj.weight`, [I, C]],
    [`${block}.mlp.down_proj.weight`, [C, I]],
    [`${block}.attn.q_proj.weight`, [C, C]],
    [`${block}.attn.k_proj.weight`, [kvWidth, C]],
    [`${block}.attn.v_proj.weight`, [kvWidth, C]],
    [`${block}.attn.out_proj.weight`, [C, C]],
    [`${block}.norm1.weight`, [C]],
    [`${block}.norm2.weight`, [C]],
  ];
}

function untiedHeadShapes(config: VLMConfig): Array<[string, number[]]> {
  if (config.lm_tie_weights) return [];
  return [[HEAD, [config.lm_vocab_size, config.lm_hidden_dim]]];
}

/** The D / 2 rotary frequencies of a head D wide: a buffer of nanoVLM's state dict, and in its files. */
export function rotaryFrequencies(config: VLMConfig): Float32Array {
  const width = config.lm_hidden_dim / config.lm_n_heads;
  // Rounded to float32 after each operation, as PyTorch does.
  return Float32Array.from(
    { length: width / 2 },
    (_, i) => 1 / Math.fround(config.lm_re_base ** Math.fround(2 * i / width)),
  );
}

/** An open checkpoint. Close it, or declare it with `using`. */
export interface Checkpoint extends Disposable {
  readonly config: VLMConfig;
  /** The D / 2 rotary frequencies in the file, those of rotaryFrequencies() but for their last bits; themselves if rounded. */
  readonly frequencies: Float32Array;
  /** The values of a parameter of expectedParameters(), read from the disk at each call. */
  load(name: string): Float32Array<ArrayBuffer>;
  close(): void;
}

/**
 * Opens the checkpoint in folder `dir` and checks every name and shape in it; reads no parameter yet.
 *
 * @throws {CheckpointError} if tensors are missing, unexpected or misshapen (all are listed), or a file is damaged
 * @throws {SyntaxError} if config.json is no JSON
 * @throws {TypeError} or {RangeError} if the configuration is wrong, see parseVLMConfig()
 * @throws {Deno.errors.NotFound} if one of the two files is missing
 */
export function openCheckpoint(dir: string): Checkpoint {
  const configPath = `${dir}/config.json`;
  const inJson = parseVLMConfig(readJson(configPath), configPath);
  const file = openSafetensors(`${dir}/model.safetensors`);
  let config: VLMConfig;
  let frequencies: Float32Array;
  try {
    config = withMetadata(inJson, file);
    checkTensors(file, config);
    frequencies = frequenciesOf(file, config);
  } catch (error) {
    file.close();
    throw error;
  }
  return {
    config,
    frequencies,
    load: (name) => file.readFloat32(nameInFile(file, config, name)),
    close: () => file.close(),
    [Symbol.dispose]: () => file.close(),
  };
}

/**
 * The JSON in the file `path`.
 *
 * @throws {SyntaxError} if it is none
 */
export function readJson(path: string): unknown {
  const bytes = Deno.readFileSync(path);
  try {
    return JSON.parse(new TextDecoder().decode(bytes));
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new SyntaxError(
      `Cannot read "${path}": it is ${
        whatIs(bytes)
      } (${reason}), expected JSON. Save or fetch the file again.`,
    );
  }
}

// portable.ts puts there what Python refuses to find in config.json.
function withMetadata(config: VLMConfig, { metadata, path }: SafetensorsFile): VLMConfig {
  const found = METADATA_KEYS.filter((key) => metadata.has(key));
  const read = (key: typeof found[0]) =>
    VLM_FIELDS[key].check(metadata.get(key), `use "${key}" of ${path}`);
  return { ...config, ...Object.fromEntries(found.map((key) => [key, read(key)])) };
}

// Tied weights have one tensor. Where a file holds both names the head's counts: Python loads it last.
function nameInFile(
  file: SafetensorsFile,
  config: VLMConfig,
  name: string,
): string {
  const tied = config.lm_tie_weights && name === EMBEDDING;
  return tied && file.tensors.has(HEAD) ? HEAD : name;
}

function checkTensors(file: SafetensorsFile, config: VLMConfig): void {
  const problems: string[] = [];
  const allowed = new Set([ROTARY, EMBEDDING, HEAD]);
  for (const { name, shape } of expectedParameters(config)) {
    allowed.add(name);
    const entry = file.tensors.get(nameInFile(file, config, name));
    if (entry === undefined) problems.push(`"${name}" is missing`);
    else if (entry.shape.join() !== shape.join()) {
      problems.push(
        `"${name}" is [${entry.shape.join(", ")}] instead of [${shape.join(", ")}]`,
      );
    } else if (!["F32", "F16", "BF16"].includes(entry.dtype)) {
      problems.push(`"${name}" is ${entry.dtype} instead of F32, F16 or BF16`);
    }
  }
  for (const name of file.tensors.keys()) {
    if (!allowed.has(name)) problems.push(`"${name}" is unexpected`);
  }
  if (problems.length === 0 && !hasOurFrequencies(file, config, ROUNDED)) {
    problems.push(`"${ROTARY}" does not follow from lm_re_base`);
  }
  if (problems.length > 0) {
    throw new CheckpointError(
      file.path,
      listed(problems, (problem) => problem),
      "the tensors that its config.json asks for",
      "Put both files of one checkpoint in the folder.",
    );
  }
}

// Libraries' powers differ in the last bits of a float32.
const LAST_BITS = { relative: 1e-5, absolute: 0 };
// A file of BF16 has 8 bits of each number; one of F16 has 11, and fewer of numbers near its smallest, 2^-24.
const ROUNDED = { relative: 2 ** -8, absolute: 2 ** -24 };

// nanoVLM reads the frequencies from the file; here they are computed, so a file with others would give other answers.
function hasOurFrequencies(
  file: SafetensorsFile,
  config: VLMConfig,
  { relative, absolute }: typeof LAST_BITS,
): boolean {
  if (!file.tensors.has(ROTARY)) return true;
  const found = file.readFloat32(ROTARY);
  const ours = rotaryFrequencies(config);
  return found.length === ours.length &&
    ours.every((value, i) =>
      Math.abs((found[i] ?? NaN) - value) <= Math.max(relative * value, absolute)
    );
}

function frequenciesOf(file: SafetensorsFile, config: VLMConfig): Float32Array {
  const asInFile = file.tensors.has(ROTARY) && hasOurFrequencies(file, config, LAST_BITS);
  return asInFile ? file.readFloat32(ROTARY) : rotaryFrequencies(config);
}

/** What saveCheckpoint() writes besides the parameters. */
export interface SaveOptions {
  /** The rotary frequencies that were read with the parameters, so that they are written back to the last bit. */
  readonly frequencies?: Float32Array | undefined;
  /** More texts for the header of model.safetensors. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes the model to folder `dir`, which is made if needed, as nanoVLM's save_pretrained does.
 *
 * Each of the two files takes its name only when it is whole. `load` is asked for one parameter after the other.
 *
 * @returns their checksums
 * @throws {RangeError} if a parameter does not have as many elements as the configuration says
 */
export async function saveCheckpoint(
  dir: string,
  config: VLMConfig,
  load: ParameterSource,
  { frequencies = rotaryFrequencies(config), metadata = {} }: SaveOptions = {},
): Promise<Checksums> {
  await Deno.mkdir(dir, { recursive: true });
  const tied = config.lm_tie_weights;
  const tensors: TensorSource[] = expectedParameters(config).map((
    { name, shape },
  ) => ({
    name: tied && name === EMBEDDING ? HEAD : name,
    shape,
    data: () => load(name),
  }));
  tensors.push({
    name: ROTARY,
    shape: [frequencies.length],
    data: frequencies,
  });
  const texts = { ...metadata, ...(tied ? { [EMBEDDING]: HEAD } : {}) };
  const model = await writeSafetensors(`${dir}/model.safetensors`, tensors, texts);
  const text = new TextEncoder().encode(formatVLMConfig(config));
  const json = await writeBeside(`${dir}/config.json`, (put) => put(text));
  return { "model.safetensors": model, "config.json": json };
}
