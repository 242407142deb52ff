/**
 * A checkpoint that nanoVLM's Python reads: config.json has only the keys that it knows, and the weights do what ours did.
 *
 * Between checkpoint.ts and push.ts. Source: VLMConfig(**json) of nanoVLM v0.1, models/vision_language_model.py.
 */
import { openCheckpoint, type ParameterSource, saveCheckpoint } from "./checkpoint.ts";
import { VLM_FIELDS, type VLMConfig } from "./config.ts";
import { formatVLMConfig, METADATA_KEYS } from "./config_file.ts";

const PATCH_WEIGHT = "vision_encoder.patch_embedding.conv.weight";
const PATCH_BIAS = "vision_encoder.patch_embedding.conv.bias";

/** The two files of a checkpoint, and what it was. */
export interface PortableModel {
  /** The text of config.json. */
  readonly config: string;
  /** The path of model.safetensors. */
  readonly weights: string;
  /** The configuration as it was trained. */
  readonly trained: VLMConfig;
}

/**
 * Makes a checkpoint portable.
 *
 * nanoVLM's pixels are in [0, 1]. Where a model subtracts a mean and divides by a deviation, its patch embedding does that
 * instead: W (x - mean) / std + b = (W / std) x + (b - mean / std * the sum of W). What no weights can do moves to the header
 * of model.safetensors, which Python does not look at: the side of padding, which only training and the loss know, and how
 * pictures get their shape and lose their transparency, where Python does it its own way (the model card says so).
 *
 * @param dir the checkpoint
 * @param folder for model.safetensors, if it must be another
 * @param names keys of config.json to replace, such as the tokenizer's
 * @throws {CheckpointError} {SyntaxError} {TypeError} {RangeError} where the checkpoint is damaged, see openCheckpoint()
 */
export async function portableModel(
  dir: string,
  folder: string,
  names: (config: VLMConfig) => Partial<VLMConfig>,
): Promise<PortableModel> {
  using checkpoint = openCheckpoint(dir);
  const { config: own, frequencies } = checkpoint;
  const config: VLMConfig = {
    ...own,
    ...names(own),
    vit_pixel_mean: VLM_FIELDS.vit_pixel_mean.initial,
    vit_pixel_std: VLM_FIELDS.vit_pixel_std.initial,
    lm_padding_side: VLM_FIELDS.lm_padding_side.initial,
    image_fit: VLM_FIELDS.image_fit.initial,
    image_alpha: VLM_FIELDS.image_alpha.initial,
  };
  const text = formatVLMConfig(config);
  const metadata = Object.fromEntries(
    METADATA_KEYS.filter((key) => own[key] !== config[key]).map((key) => [key, own[key]]),
  );
  const { vit_pixel_mean: mean, vit_pixel_std: std } = own;
  const isSame = mean === config.vit_pixel_mean && std === config.vit_pixel_std &&
    Object.keys(metadata).length === 0;
  if (isSame) return { config: text, weights: `${dir}/model.safetensors`, trained: own };
  await saveCheckpoint(folder, config, folded(own, checkpoint.load), {
    frequencies,
    metadata,
  });
  return { config: text, weights: `${folder}/model.safetensors`, trained: own };
}

/** Parameters with the normalization of pixels in the patch embedding. */
function folded(
  { vit_pixel_mean: mean, vit_pixel_std: std, vit_patch_size: side }: VLMConfig,
  load: (name: string) => Float32Array,
): ParameterSource {
  return (name) => {
    if (name === PATCH_WEIGHT) return load(name).map((value) => value / std);
    if (name !== PATCH_BIAS) return load(name);
    const weight = load(PATCH_WEIGHT); // (C, 3, side, side)
    const inputs = 3 * side * side;
    return load(name).map((value, c) => {
      const row = weight.subarray(c * inputs, (c + 1) * inputs);
      return value - mean / std * row.reduce((sum, w) => sum + w, 0);
    });
  };
}
