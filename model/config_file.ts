// Configurations from outside: config.json of a checkpoint, read and written, and `--set key=value` of a command line.
// Between config.ts, which says what the keys are, and checkpoint.ts and the entry scripts.
// Source: VLMConfig(**json) and json.dumps(asdict(config), indent=4) of nanoVLM v0.1, models/vision_language_model.py.
import { type Config, patchesPerSide, TRAIN_FIELDS, VLM_FIELDS, type VLMConfig } from "./config.ts";
import { didYouMean, type Field, type Fields, keysOf, listed, LONGEST_SHOWN } from "./fields.ts";

// Keys that only nanoVLM's versions after v0.1 write.
const LATER_KEYS = [
  "extra_token_amount",
  "hf_repo_name",
  "lm_base_vocab_size",
  "lm_chat_template",
  "max_img_size",
  "mp_image_token_length",
  "resize_to_max_side_len",
  "vlm_extra_tokens",
];

/** Keys that may stand in the header of a checkpoint's weights: portable.ts puts there what Python refuses to find. */
export const METADATA_KEYS = ["lm_padding_side", "image_fit", "image_alpha"] as const;

// Ours: left out of config.json at these initial values, since Python's VLMConfig(**json) rejects keys it does not know.
const OWN_KEYS: ReadonlyArray<keyof VLMConfig> = [
  "vit_pixel_mean",
  "vit_pixel_std",
  ...METADATA_KEYS,
];

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Whether `json`, the content of a config.json, was written by a nanoVLM later than v0.1, which is not supported. */
export function isLaterGeneration(json: unknown): boolean {
  return isRecord(json) && LATER_KEYS.some((key) => Object.hasOwn(json, key));
}

/**
 * The model configuration in `json`, the content of a config.json found at `where`; keys left out keep nanoVLM's values.
 *
 * @throws {TypeError} if it is no object, has an unknown key, a value of the wrong kind, or is of a later nanoVLM
 * @throws {RangeError} if a value is impossible, alone or beside another
 */
export function parseVLMConfig(json: unknown, where: string): VLMConfig {
  if (!isRecord(json)) {
    throw new TypeError(
      `Cannot read the configuration ${where}: ${
        JSON.stringify(json).slice(0, LONGEST_SHOWN)
      }, expected an object. Give a config.json that nanoVLM wrote.`,
    );
  }
  if (isLaterGeneration(json)) {
    const found = LATER_KEYS.filter((key) => Object.hasOwn(json, key));
    throw new TypeError(
      `Cannot read the configuration ${where}: it has ${
        found.map((key) => `"${key}"`).join(", ")
      }, expected the keys of nanoVLM v0.1. A later version of nanoVLM wrote it; use a checkpoint of v0.1.`,
    );
  }
  const unknown = Object.keys(json).filter((key) => !Object.hasOwn(VLM_FIELDS, key));
  if (unknown.length > 0) {
    throw new TypeError(
      `Cannot read the configuration ${where}: unknown ${
        listed(unknown, (key) => describeUnknown(key, keysOf(VLM_FIELDS)))
      }, expected nanoVLM's keys only. Correct or remove them.`,
    );
  }
  return checkVLMConfig(checkFields(VLM_FIELDS, json, where), where);
}

function describeUnknown(key: string, known: readonly string[]): string {
  return `"${key.slice(0, LONGEST_SHOWN)}"${didYouMean(key, known)}`;
}

function checkFields<T extends object>(
  fields: Fields<T>,
  json: Record<string, unknown>,
  where: string,
): T {
  const values: Partial<T> = {};
  for (const key of keysOf(fields)) {
    values[key] = Object.hasOwn(json, key)
      ? fields[key].check(json[key], `use "${key}" of ${where}`)
      : fields[key].initial;
  }
  return values as T;
}

/**
 * `config` itself, if a model can be made of it.
 *
 * @throws {RangeError} if its values do not fit together, or ask for what is not supported
 */
export function checkVLMConfig(config: VLMConfig, where: string): VLMConfig {
  const problem = widthProblem(config, "vit", config.vit_n_heads) ??
    widthProblem(config, "lm", config.lm_n_heads) ??
    imageProblem(config) ?? languageProblem(config) ??
    unsupportedProblem(config);
  if (problem !== undefined) {
    throw new RangeError(
      `Cannot use the configuration ${where}: ${problem}. Correct the configuration.`,
    );
  }
  return config;
}

// The attention kernels hold one head's row in registers, for which 128 numbers are the most they are written for.
const LARGEST_HEAD = 128;

function widthProblem(
  config: VLMConfig,
  part: "vit" | "lm",
  heads: number,
): string | undefined {
  const width = config[`${part}_hidden_dim`];
  if (width % heads !== 0) {
    return `${part}_hidden_dim is ${width}, expected a multiple of ${part}_n_heads, ${heads}`;
  }
  if (width / heads > LARGEST_HEAD) {
    return `${part}_hidden_dim / ${part}_n_heads is ${
      width / heads
    }, expected at most ${LARGEST_HEAD}, the widest head that the attention kernels take`;
  }
  return undefined;
}

// Attention compares all patches with each other: with more along a side it would take gigabytes.
const MOST_PATCHES = 128;

function imageProblem(config: VLMConfig): string | undefined {
  const { vit_img_size: side, vit_patch_size: patch } = config;
  const factor = config.mp_pixel_shuffle_factor;
  if (side < patch) return `vit_img_size is ${side}, expected at least vit_patch_size, ${patch}`;
  if (patchesPerSide(config) > MOST_PATCHES) {
    return `vit_img_size ${side} makes ${
      patchesPerSide(config)
    } patches a side, expected at most ${MOST_PATCHES}`;
  }
  if (patchesPerSide(config) % factor !== 0) {
    return `an image side is ${
      patchesPerSide(config)
    } patches, expected a multiple of mp_pixel_shuffle_factor, ${factor}`;
  }
  return undefined;
}

function languageProblem(config: VLMConfig): string | undefined {
  const { lm_n_heads: heads, lm_n_kv_heads: kvHeads } = config;
  if (heads % kvHeads !== 0) {
    return `lm_n_heads is ${heads}, expected a multiple of lm_n_kv_heads, ${kvHeads}`;
  }
  if ((config.lm_hidden_dim / heads) % 2 !== 0) {
    return `lm_hidden_dim / lm_n_heads is ${
      config.lm_hidden_dim / heads
    }, expected an even number, since rotary embeddings turn pairs`;
  }
  if (config.lm_eos_token_id >= config.lm_vocab_size) {
    return `lm_eos_token_id is ${config.lm_eos_token_id}, expected less than lm_vocab_size, ${config.lm_vocab_size}`;
  }
  return undefined;
}

function unsupportedProblem(config: VLMConfig): string | undefined {
  if (config.vit_cls_flag) {
    return "vit_cls_flag is true, expected false: with a class token nothing is left for nanoVLM's pixel shuffle to take";
  }
  if (config.vit_dropout !== 0 || config.lm_dropout !== 0) {
    return `vit_dropout is ${config.vit_dropout} and lm_dropout ${config.lm_dropout}, expected 0: dropout is not supported`;
  }
  if (config.lm_use_tokens) {
    return "lm_use_tokens is true, expected false: the decoder takes embeddings, of the image and of the text";
  }
  return undefined;
}

/** The text of config.json, byte for byte as nanoVLM writes it; keys of ours only where they matter. */
export function formatVLMConfig(config: VLMConfig): string {
  const lines = keysOf(VLM_FIELDS)
    .filter((key) => !OWN_KEYS.includes(key) || config[key] !== VLM_FIELDS[key].initial)
    .map((key) => `    "${key}": ${toPython(config[key], VLM_FIELDS[key].isFloat)}`);
  return `{\n${lines.join(",\n")}\n}`;
}

function toPython(value: VLMConfig[keyof VLMConfig], isFloat: boolean): string {
  if (typeof value !== "number" || !isFloat) {
    return JSON.stringify(value).replace(
      /[\u007f-\uffff]/g,
      (unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, "0")}`,
    );
  }
  const [digits = "", exponent = ""] = value.toExponential().split("e");
  const power = Number(exponent);
  if (power < -4 || power >= 16) {
    const sign = power < 0 ? "-" : "+";
    return `${digits}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
  }
  return Number.isInteger(value) ? `${value}.0` : String(value);
}

/**
 * `config` with every `key=value` of `settings` put in its place, in VLMConfig or TrainConfig; lists have commas.
 *
 * @throws {TypeError} if a setting has no `=`, an unknown key, or a value of the wrong kind
 * @throws {RangeError} if a value is impossible, alone or beside another
 */
export function applySettings(
  config: Config,
  settings: readonly string[],
): Config {
  const vlm: Record<string, unknown> = { ...config.vlm };
  const train: Record<string, unknown> = { ...config.train };
  for (const setting of settings) {
    const equals = setting.indexOf("=");
    if (equals < 0) {
      throw new TypeError(
        `Cannot apply the setting "${setting}": it has no "=", expected key=value. Write it as key=value.`,
      );
    }
    const key = setting.slice(0, equals);
    const target = Object.hasOwn(VLM_FIELDS, key) ? vlm : train;
    target[key] = settingField(key).fromText(setting.slice(equals + 1));
  }
  return {
    vlm: checkVLMConfig(
      checkFields(VLM_FIELDS, vlm, "the settings"),
      "with these settings",
    ),
    train: checkFields(TRAIN_FIELDS, train, "the settings"),
  };
}

function settingField(key: string): Field<unknown> {
  const fields: Record<string, Field<unknown>> = {
    ...VLM_FIELDS,
    ...TRAIN_FIELDS,
  };
  const field = Object.hasOwn(fields, key) ? fields[key] : undefined;
  if (field !== undefined) return field;
  throw new TypeError(
    `Cannot apply the setting: unknown ${
      describeUnknown(key, Object.keys(fields))
    }, expected a key of the model or of the training; docs/settings.md has them all. Correct the name.`,
  );
}
