/**
 * Where a run's first weights come from: a checkpoint, pretrained backbones, or chance.
 *
 * Between train.ts and model/. Source: the branch on resume_from_vlm_checkpoint in train() of nanoVLM v0.1, train.py.
 */
import { type Backbone, loadLanguageBackbone, loadVisionBackbone } from "../model/backbones.ts";
import { expectedParameters, openCheckpoint } from "../model/checkpoint.ts";
import type { Config, VLMConfig } from "../model/config.ts";
import { normalGenerator } from "../model/initialization.ts";
import { requireLocal } from "./training_data.ts";

/** First weights. Close them, or declare them with `using`. */
export interface Weights extends Disposable {
  /** The model's configuration, with what the sources determine in its place. */
  readonly vlm: VLMConfig;
  /** What gives weights; all that none has are random. */
  readonly sources: readonly Backbone[];
}

/**
 * Opens the sources of a run's weights.
 *
 * @param checkpoint a model's folder; absent for a new model
 * @throws {Error} where a folder is missing
 * @throws {CheckpointError} {SyntaxError} {TypeError} {RangeError} where one is wrong
 */
export function openWeights({ vlm, train }: Config, checkpoint: string | undefined): Weights {
  if (checkpoint !== undefined) return weights(vlm, [wholeModel(checkpoint, vlm)]);
  if (!vlm.vlm_load_backbone_weights) return weights(vlm, []);
  const remedy =
    "--set vit_model_type=DIR --set lm_model_type=DIR, --checkpoint DIR, or --set vlm_load_backbone_weights=false " +
    "for random weights";
  requireLocal(vlm.vit_model_type, remedy);
  requireLocal(vlm.lm_model_type, remedy);
  const vision = loadVisionBackbone(vlm.vit_model_type, vlm);
  try {
    const normal = normalGenerator(train.seed);
    const language = loadLanguageBackbone(vlm.lm_model_type, vision.config, normal);
    return weights(language.config, [vision, language]);
  } catch (error) {
    vision.close();
    throw error;
  }
}

function weights(vlm: VLMConfig, sources: readonly Backbone[]): Weights {
  return {
    vlm,
    sources,
    [Symbol.dispose]: () => {
      for (const source of sources) source.close();
    },
  };
}

/** A checkpoint as a source of all weights. */
function wholeModel(dir: string, config: VLMConfig): Backbone {
  const checkpoint = openCheckpoint(dir);
  const parameters = expectedParameters(config);
  if (JSON.stringify(parameters) !== JSON.stringify(expectedParameters(checkpoint.config))) {
    checkpoint.close();
    throw new RangeError(
      `Cannot go on from the checkpoint "${dir}": the settings ask for parameters of other shapes, expected its own; ` +
        `leave out those that change the model`,
    );
  }
  return { ...checkpoint, config, names: parameters.map(({ name }) => name) };
}
